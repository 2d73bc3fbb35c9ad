/*
 * The worker's system calls. Built by hand, not with libseccomp, which takes 15 ms for it: one
 * comparison for each call, the frequent ones first. Whatever is not here kills the process, and
 * the pull fails with the number of the call.
 */
#include "lib/base/mem.h"
#include "node/image/unpack/sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "name the audit architecture of this machine"
#endif

static const unsigned allowed[] = {
    /* for each file */
    SYS_openat,
    SYS_openat2,
    SYS_pwrite64,
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_fchown,
    SYS_fchmod,
    SYS_utimensat,
    SYS_fsetxattr,
    SYS_ftruncate,
    SYS_mkdirat,
    SYS_symlinkat,
    SYS_linkat,
    SYS_mknodat,
    SYS_fchownat,
    SYS_unlinkat,
    SYS_newfstatat,
    SYS_fstat,
    SYS_lseek,
    /* memory, time, the end */
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_brk,
    SYS_mprotect,
    SYS_madvise,
    SYS_futex,
    SYS_clock_gettime,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_exit,
    SYS_exit_group,
    SYS_getpid,
    SYS_gettid,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_restart_syscall,
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    /* what the sanitizers' own reports take */
    SYS_sigaltstack,
    SYS_rt_sigaction,
    SYS_sched_yield,
    SYS_readlinkat,
    SYS_prctl,
    SYS_tgkill,
    SYS_getrlimit,
    SYS_prlimit64,
    SYS_sched_getaffinity,
    SYS_uname,
    SYS_ioctl,
#ifdef SYS_readlink
    SYS_readlink,
#endif
#endif
};

int sandbox_filter(struct gt_err *err)
{
    struct sock_filter code[5 + 2 * GT_ARRAY_LEN(allowed) + 1];
    size_t n = 0;
#define PUT(...) code[n++] = (struct sock_filter)__VA_ARGS__
    PUT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    PUT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0));
    PUT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    PUT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
    for (size_t i = 0; i < GT_ARRAY_LEN(allowed); i++) {
        PUT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1));
        PUT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    PUT(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
#undef PUT
    struct sock_fprog prog = {.len = (unsigned short)n, .filter = code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0) {
        return gt_err_errno(err, errno, "sandbox: seccomp");
    }
    return 0;
}
