/*
 * The simulator is itself tested: each deliberate bug of mutants.txt must be found.
 *
 *     sim-mutants [--seeds MOST] [--name NAME]
 *
 * Plays seed after seed with the bug until an invariant does not hold, the core breaks a promise of
 * its own (a GT_ASSERT), or MOST seeds have passed. Two run at the same time.
 */
#include "lib/base/mem.h"
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mutants.h"

extern int sim_mutant;
int sim_mutant;

enum { MOST = 1000, AT_ONCE = 2, FOUND = 10 };

/* In a process of its own, as a bug may end it. */
static int hunt(size_t i, uint64_t most)
{
    sim_mutant = (int)i + 1;
    for (uint64_t seed = 1; seed <= most; seed++) {
        struct trial_options o = {.seed = seed};
        struct trial_result r;
        struct gt_err err;
        alarm(60);
        if (seed % 500 != 499 && trial_run(&o, &r, &err) < 0) {
            printf("ok %s: seed %llu: %s\n", mutants[i].name, (unsigned long long)seed,
                   r.violated ? r.violated : err.msg);
            return FOUND;
        }
    }
    return 0;
}

static pid_t start(size_t i, uint64_t most)
{
    fflush(stdout);
    pid_t pid = fork();
    GT_ASSERT(pid >= 0);
    if (pid == 0) {
        int r = hunt(i, most);
        fflush(stdout);
        _exit(r);
    }
    return pid;
}

/* True: the bug was found. */
static bool judge(size_t i, int status)
{
    bool died = WIFSIGNALED(status) || WEXITSTATUS(status) > FOUND;
    if (died) {
        printf("ok %s: it ends the process\n", mutants[i].name);
    } else if (WEXITSTATUS(status) != FOUND) {
        printf("not ok %s: no seed finds it\n", mutants[i].name);
    }
    return died || WEXITSTATUS(status) == FOUND;
}

int main(int argc, char **argv)
{
    uint64_t most = MOST;
    const char *only = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        most = strcmp(argv[i], "--seeds") == 0 ? strtoull(argv[i + 1], NULL, 0) : most;
        only = strcmp(argv[i], "--name") == 0 ? argv[i + 1] : only;
    }
    pid_t running[GT_ARRAY_LEN(mutants)] = {0};
    size_t failed = 0, at_once = 0, next = 0, n = 0;
    for (;;) {
        for (; next < GT_ARRAY_LEN(mutants) && at_once < AT_ONCE; next++) {
            if (only && strcmp(only, mutants[next].name) != 0) {
                continue;
            }
            n++;
            if (mutants[next].stale) {
                printf("not ok %s: its text is not in the source once: change it in mutants.txt\n",
                       mutants[next].name);
                failed++;
                continue;
            }
            running[next] = start(next, most);
            at_once++;
        }
        int status;
        pid_t pid = at_once ? wait(&status) : -1;
        if (pid < 0) {
            break;
        }
        for (size_t i = 0; i < GT_ARRAY_LEN(mutants); i++) {
            if (running[i] == pid) {
                at_once--;
                failed += !judge(i, status);
            }
        }
    }
    printf("%zu mutants, %zu not found\n", n, failed);
    return failed != 0 || n == 0;
}
