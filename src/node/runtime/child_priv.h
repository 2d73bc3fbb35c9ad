/* What the code that runs in the child shares, between clone and exec. For this folder alone.
 *
 * In here everything ends by exec or by child_die(); memory and descriptors are not given back. */
#ifndef GT_NODE_RUNTIME_CHILD_PRIV_H
#define GT_NODE_RUNTIME_CHILD_PRIV_H

#include "lib/base/arena.h"
#include "node/runtime/container.h"
#include "node/runtime/user.h"

/* The order of descriptors in the launch message; after these, one for each bind mount. */
enum { FD_ROOT, FD_IN, FD_OUT, FD_ERR, FD_NET, FD_UTS, FD_FIXED };

struct launch { /* then spec_n bytes */
    uint32_t spec_n;
    uint32_t wait_go;
    uint32_t present; /* bit i: FD_i is among the descriptors */
    uint32_t n_binds;
};

struct stage { /* what the child has before it knows the specification */
    int sock;
    struct rt_world world;
    struct cgroup_sys *sys;
    struct cgroup *cg;
    int ipc_ns;                       /* to be joined; -1: none */
    int proc, dev, pts, shm, cgroups; /* roots of mounts; cgroups -1: none */
};

void child_die(int sock, struct gt_err *err) __attribute__((noreturn));
void child_warn(int sock, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void child_send(int sock, const struct rt_report *r, int fd);

/* stage.c: mounts that every container has */
int stage_build(struct stage *st, struct gt_err *err);
int stage_mask(int root, const char *path, int null_from, int *empty, struct gt_err *err);
int stage_readonly(int root, const char *path, struct gt_err *err);
int stage_mask_defaults_sys(int sys, int dev, struct gt_err *err);

/* assemble.c: the root file system's own mounts, and the way in */
int assemble_root(struct stage *st, const struct rt_spec *spec, const int *fd, uint32_t n_binds,
                  struct gt_err *err);
int assemble_enter(int root, struct gt_err *err);

/* copyup.c: into a folder that is empty, what another has and whose it is. `from` is O_PATH or not.
 * 0 too when it was not empty. */
int copy_up(int from, int to, struct gt_err *err);

/* become.c: the last steps, common to a container's main process and to exec */
struct process {
    struct rt_strs argv, env;
    const char *cwd;
    int cwd_fd; /* of the folder, opened inside the root; -1: not yet */
    struct user *user;
    struct rt_caps caps;
    bool caps_by_user, no_new_privs, privileged;
    uint32_t seccomp, umask;
    int sock;
};
int process_rlimits(int sock, const struct rt_rlimits *limits, struct gt_err *err);
int process_oom(int sock, int proc, int adj, struct gt_err *err);
int process_stdio(const int fd[3], int null_dir, const char *null_path, uid_t uid,
                  struct gt_err *err);
int process_terminal(int sock, int pts, unsigned rows, unsigned cols, uid_t uid, int *slave,
                     struct gt_err *err);
void process_exec(struct process *p) __attribute__((noreturn));

/* reaper.c: process 1 of our own. Returns in the child that is to become the container's command */
void reaper_fork(int sock);

#endif
