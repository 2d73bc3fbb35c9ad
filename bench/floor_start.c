/* The floor of a container's start: clone with all namespaces, mount an overlay, pivot, exec. No
 * daemon, no cgroup, no limits, no checks.
 *
 *     floor_start N LOWER UPPER WORK MERGED SHARED
 *
 * LOWER holds /probe and a folder /out; the folder SHARED is bound to it. Prints the ns from just
 * before clone to the probe's first instruction, a line a start; 60 ms between starts. */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { BETWEEN_US = 60000, STACK = 64 * 1024 };

struct where {
    const char *merged, *options, *shared;
};

static int child(void *arg)
{
    const struct where *w = arg;
    char out[4096];
    snprintf(out, sizeof out, "%s/out", w->merged);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("overlay", w->merged, "overlay", 0, w->options) < 0 ||
        mount(w->shared, out, NULL, MS_BIND, NULL) < 0 || chdir(w->merged) < 0 ||
        syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0) {
        perror("floor_start");
        _exit(1);
    }
    execl("/probe", "probe", "/out/t", NULL);
    _exit(127);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: floor_start N LOWER UPPER WORK MERGED SHARED\n");
        return 2;
    }
    char options[8192], path[4096], text[64];
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", argv[2], argv[3],
             argv[4]);
    snprintf(path, sizeof path, "%s/t", argv[6]);
    struct where w = {argv[5], options, argv[6]};
    static char stack[STACK] __attribute__((aligned(16)));
    int flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET |
                CLONE_NEWCGROUP | SIGCHLD;
    for (int i = atoi(argv[1]); i > 0; i--) {
        unlink(path);
        int64_t begin = now();
        pid_t pid = clone(child, stack + sizeof stack, flags, &w);
        int status;
        if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
            perror("floor_start: clone");
            return 1;
        }
        int fd = open(path, O_RDONLY);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n <= 0) {
            perror("floor_start: the probe said nothing");
            return 1;
        }
        close(fd);
        text[n] = '\0';
        printf("%" PRId64 "\n", strtol(text, NULL, 10) - begin);
        fflush(stdout);
        usleep(BETWEEN_US);
    }
    return 0;
}
