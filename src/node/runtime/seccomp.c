#include "node/runtime/seccomp.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum seccomp_do { DO_ALLOW, DO_EPERM, DO_ENOSYS, DO_CLONE, DO_SOCKET, DO_PERSONALITY };

struct seccomp_range {
    uint16_t first, last;
    uint32_t otherwise; /* enum seccomp_do, unless one of caps is there */
    uint64_t caps;
};

#include "node/runtime/seccomp_table.h"

#ifdef __x86_64__
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#error "no table of system calls for this architecture"
#endif

#define CLONE_NEW_ANY 0x7e020000U /* mount, cgroup, uts, ipc, user, pid, net */
#define AF_VSOCK_ 40

/* The numbers from `start` to the next segment's start are treated alike. */
struct segment {
    uint32_t start;
    enum seccomp_do action;
};

struct builder {
    struct sock_filter *to;
    unsigned n;
    struct segment seg[2 * GT_ARRAY_LEN(default_ranges) + 1];
    unsigned n_seg;
};

static void add_segment(struct builder *b, uint32_t start, enum seccomp_do action)
{
    if (b->n_seg == 0 || b->seg[b->n_seg - 1].action != action) {
        b->seg[b->n_seg++] = (struct segment){start, action};
    }
}

static void put(struct builder *b, uint16_t code, uint32_t k, unsigned jt, unsigned jf)
{
    GT_ASSERT(b->n < SECCOMP_MAX_INSNS && jt < 256 && jf < 256);
    b->to[b->n++] = (struct sock_filter){code, (uint8_t)jt, (uint8_t)jf, k};
}

static void put_errno(struct builder *b, unsigned e)
{
    put(b, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | e, 0, 0);
}

static void put_allow(struct builder *b)
{
    put(b, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

/* The low half of argument 0, which is where the flags and numbers looked at here are. */
static void put_load_arg0(struct builder *b)
{
    put(b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]), 0, 0);
}

static void put_personality(struct builder *b)
{
    static const uint32_t good[] = {0, 8, 0x20000, 0x20008, 0xffffffff};
    put_load_arg0(b);
    for (unsigned i = 0; i < GT_ARRAY_LEN(good); i++) {
        put(b, BPF_JMP | BPF_JEQ | BPF_K, good[i], (unsigned)GT_ARRAY_LEN(good) - i, 0);
    }
    put_errno(b, EPERM);
    put_allow(b);
}

static void put_action(struct builder *b, enum seccomp_do action)
{
    switch (action) {
    case DO_ALLOW:
        put_allow(b);
        return;
    case DO_EPERM:
        put_errno(b, EPERM);
        return;
    case DO_ENOSYS:
        put_errno(b, ENOSYS);
        return;
    case DO_CLONE:
        put_load_arg0(b);
        put(b, BPF_JMP | BPF_JSET | BPF_K, CLONE_NEW_ANY, 1, 0);
        put_allow(b);
        put_errno(b, EPERM);
        return;
    case DO_SOCKET:
        put_load_arg0(b);
        put(b, BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK_, 1, 0);
        put_allow(b);
        put_errno(b, EPERM);
        return;
    case DO_PERSONALITY:
        put_personality(b);
        return;
    }
}

/* A search tree over segments lo..hi. The left half is emitted first and jumped over; a jump is
 * patched when it is known how far, by way of a long one where 255 is not enough. */
static void put_tree(struct builder *b, unsigned lo, unsigned hi)
{
    if (lo == hi) {
        put_action(b, b->seg[lo].action);
        return;
    }
    unsigned mid = lo + (hi - lo + 1) / 2;
    unsigned at = b->n;
    put(b, BPF_JMP | BPF_JGE | BPF_K, b->seg[mid].start, 0, 1);
    put(b, BPF_JMP | BPF_JA, 0, 0, 0);
    put_tree(b, lo, mid - 1);
    b->to[at + 1].k = b->n - (at + 2);
    put_tree(b, mid, hi);
}

int seccomp_compile_default(uint64_t caps, struct sock_filter to[static SECCOMP_MAX_INSNS],
                            struct gt_err *err)
{
    struct builder b = {.to = to};
    uint32_t end = 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(default_ranges); i++) {
        const struct seccomp_range *r = &default_ranges[i];
        add_segment(&b, r->first, r->caps & caps ? DO_ALLOW : (enum seccomp_do)r->otherwise);
        end = r->last + 1U;
    }
    add_segment(&b, end, DO_ENOSYS); /* newer than this table; x32's numbers are above, too */
    if (b.n_seg * 8 > SECCOMP_MAX_INSNS - 8) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "the system call filter has %u segments", b.n_seg);
    }
    put(&b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    put(&b, BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
    put_errno(&b, ENOSYS); /* another architecture's numbers mean other calls */
    put(&b, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    put_tree(&b, 0, b.n_seg - 1);
    return (int)b.n;
}

int seccomp_install_default(uint64_t caps, struct gt_err *err)
{
    struct sock_filter filter[SECCOMP_MAX_INSNS];
    int n = seccomp_compile_default(caps, filter, err);
    if (n < 0) {
        return n;
    }
    struct sock_fprog prog = {.len = (unsigned short)n, .filter = filter};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0) {
        return gt_err_errno(err, errno, "load the system call filter");
    }
    return 0;
}
