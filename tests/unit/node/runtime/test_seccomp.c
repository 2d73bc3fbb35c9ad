/* The compiled filter, run by an interpreter of the few instructions that it uses. */
#include "gt_test.h"
#include "lib/base/mem.h"
#include "node/runtime/seccomp.h"
#include "node/runtime/spec.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

static struct sock_filter prog[SECCOMP_MAX_INSNS];
static int prog_n;
static unsigned steps;

static uint32_t run(const struct seccomp_data *d)
{
    uint32_t acc = 0;
    steps = 0;
    for (int pc = 0; pc < prog_n; pc++) {
        const struct sock_filter *i = &prog[pc];
        steps++;
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            assert_true(i->k + 4 <= sizeof *d);
            memcpy(&acc, (const char *)d + i->k, 4);
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += acc == i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += acc >= i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += acc & i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JA:
            pc += (int)i->k;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            fail_msg("instruction %#x", i->code);
        }
    }
    fail_msg("the filter has an open end");
    return 0;
}

#ifdef __x86_64__
#define ARCH AUDIT_ARCH_X86_64
#define OTHER_ARCH AUDIT_ARCH_I386
#else
#define ARCH AUDIT_ARCH_AARCH64
#define OTHER_ARCH AUDIT_ARCH_ARM
#endif
#define ERRNO(e) (SECCOMP_RET_ERRNO | (e))
#define CAP(name) rt_cap_mask(name)

static void compile(uint64_t caps)
{
    struct gt_err err = GT_ERR_INIT;
    prog_n = seccomp_compile_default(caps, prog, &err);
    gt_assert_ok(prog_n, err);
}

static uint32_t call(int nr, uint64_t arg0)
{
    struct seccomp_data d = {.nr = nr, .arch = ARCH, .args = {arg0}};
    return run(&d);
}

GT_TEST(decides)
{
    static const struct {
        int nr;
        uint64_t arg0;
        uint32_t want;
        const char *cap; /* that allows it */
    } cases[] = {
        {SYS_read, 0, SECCOMP_RET_ALLOW, NULL},
        {SYS_execve, 0, SECCOMP_RET_ALLOW, NULL},
        {SYS_ptrace, 0, SECCOMP_RET_ALLOW, NULL},
        {SYS_openat2, 0, SECCOMP_RET_ALLOW, NULL},
        {SYS_unshare, 0, ERRNO(EPERM), "SYS_ADMIN"},
        {SYS_setns, 0, ERRNO(EPERM), "SYS_ADMIN"},
        {SYS_mount, 0, ERRNO(EPERM), "SYS_ADMIN"},
        {SYS_move_mount, 0, ERRNO(EPERM), "SYS_ADMIN"},
        {SYS_fsconfig, 0, ERRNO(EPERM), "SYS_ADMIN"},
        {SYS_bpf, 0, ERRNO(EPERM), "BPF"},
        {SYS_perf_event_open, 0, ERRNO(EPERM), "PERFMON"},
        {SYS_open_by_handle_at, 0, ERRNO(EPERM), "DAC_READ_SEARCH"},
        {SYS_init_module, 0, ERRNO(EPERM), "SYS_MODULE"},
        {SYS_reboot, 0, ERRNO(EPERM), "SYS_BOOT"},
        {SYS_clock_settime, 0, ERRNO(EPERM), "SYS_TIME"},
        {SYS_chroot, 0, ERRNO(EPERM), "SYS_CHROOT"},
        {SYS_syslog, 0, ERRNO(EPERM), "SYSLOG"},
        {SYS_kexec_load, 0, ERRNO(EPERM), NULL},
        {SYS_add_key, 0, ERRNO(EPERM), NULL},
        {SYS_io_uring_setup, 0, ERRNO(EPERM), NULL},
        {SYS_userfaultfd, 0, ERRNO(EPERM), NULL},
        {SYS_clone, 0x00010f00, SECCOMP_RET_ALLOW, NULL},   /* a thread */
        {SYS_clone, 0x10000000, ERRNO(EPERM), "SYS_ADMIN"}, /* CLONE_NEWUSER */
        {SYS_clone, 0x40000011, ERRNO(EPERM), "SYS_ADMIN"}, /* CLONE_NEWNET */
        {SYS_clone3, 0, ERRNO(ENOSYS), "SYS_ADMIN"},
        {SYS_socket, 2, SECCOMP_RET_ALLOW, NULL},
        {SYS_socket, 40, ERRNO(EPERM), NULL},
        {SYS_personality, 0, SECCOMP_RET_ALLOW, NULL},
        {SYS_personality, 0xffffffff, SECCOMP_RET_ALLOW, NULL},
        {SYS_personality, 0x0040000, ERRNO(EPERM), NULL}, /* ADDR_NO_RANDOMIZE */
        {470, 0, ERRNO(EPERM), "SYS_ADMIN"},
        {471, 0, ERRNO(ENOSYS), NULL}, /* newer than the table */
        {100000, 0, ERRNO(ENOSYS), NULL},
        {-1, 0, ERRNO(ENOSYS), NULL},
        {0x40000000, 0, ERRNO(ENOSYS), NULL}, /* x32's read */
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        compile(0);
        uint32_t got = call(cases[i].nr, cases[i].arg0);
        if (got != cases[i].want) {
            fail_msg("call %d(%#lx): %#x, not %#x", cases[i].nr, (unsigned long)cases[i].arg0, got,
                     cases[i].want);
        }
        if (cases[i].cap) {
            compile(CAP(cases[i].cap));
            assert_int_equal(call(cases[i].nr, cases[i].arg0), SECCOMP_RET_ALLOW);
        }
    }
}

GT_TEST(other_architectures_get_nothing)
{
    struct seccomp_data d = {.nr = SYS_read, .arch = OTHER_ARCH};
    compile(RT_CAPS_ALL);
    assert_int_equal(run(&d), ERRNO(ENOSYS));
}

GT_TEST(is_small_and_shallow)
{
    static const uint64_t sets[] = {0, RT_CAPS_DEFAULT, RT_CAPS_ALL};
    for (size_t s = 0; s < GT_ARRAY_LEN(sets); s++) {
        unsigned worst = 0;
        compile(sets[s]);
        assert_true(prog_n < 260);
        for (int nr = 0; nr < 512; nr++) {
            call(nr, 0);
            worst = GT_MAX(worst, steps);
        }
        assert_true(worst <= 24);
    }
}

GT_RUN(GT_CASE(decides), GT_CASE(other_architectures_get_nothing), GT_CASE(is_small_and_shallow))
