/* Process 1 of a container with initProcessEnabled: passes signals on to the command, reaps what is
 * orphaned, and ends as the command did. It stays our own program, so it keeps as little as it can:
 * no capability but KILL, no descriptor, not dumpable. */
#include "node/runtime/child_priv.h"

#include "node/runtime/caps.h"
#include "node/runtime/kernel.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void end_like(int status)
{
    /* A signal cannot end process 1 from inside, so it is told in the shell's way. */
    _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

static void reap(pid_t command)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == command) {
            end_like(status);
        }
    }
}

static void run(pid_t command)
{
    sigset_t all;
    sigfillset(&all);
    for (;;) {
        siginfo_t info;
        int signo = sigwaitinfo(&all, &info);
        if (signo == SIGCHLD) {
            reap(command);
        } else if (signo > 0 && signo != SIGTTIN && signo != SIGTTOU) {
            kill(command, signo);
        }
    }
}

void reaper_fork(int sock)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t command = fork();
    if (command < 0) {
        struct gt_err err = GT_ERR_INIT;
        gt_err_errno(&err, errno, "fork the command");
        child_die(sock, &err);
    }
    if (command == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return;
    }
    prctl(PR_SET_NAME, "gantry-init");
    k_close_range(0, ~0U, 0);
    struct rt_caps caps = {0};
    caps.effective = caps.permitted = 1ULL << CAP_KILL;
    caps_bound(caps.permitted, NULL);
    caps_apply(&caps, NULL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    run(command);
}
