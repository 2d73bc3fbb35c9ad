/*
 * From nothing to a running process, in two steps, so that the first can be done ahead:
 *
 * 1. rt_park(): a child is cloned into new namespaces and a cgroup. It mounts what every container
 *    has (proc with its masks, dev, pts, shm, mqueue, the view of its cgroup) and waits.
 * 2. rt_launch(): the parent, which lives on the host, mounts the root file system and opens what
 *    the container gets to see of the host, all as detached descriptors, and sends them with the
 *    specification. The child assembles its root, pivots, becomes the user, and execs.
 *
 * The parent must be single-threaded (it enters a pid namespace for a moment when the container
 * joins one). Nothing in it blocks on the child: what the child has to say comes as reports on
 * child.sock, and the end of file there means that exec worked (or that the child died: wait for
 * it).
 *
 * The child is never dumpable before exec and dies with the parent's thread. Every descriptor in it
 * is close-on-exec.
 */
#ifndef GT_NODE_RUNTIME_CONTAINER_H
#define GT_NODE_RUNTIME_CONTAINER_H

#include "lib/base/err.h"
#include "node/runtime/cgroup.h"
#include "node/runtime/spec.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What has to be known before the specification is: a parked child fits only its like. */
struct rt_world {
    bool new_pid, new_ipc, new_uts, new_cgroup;
    bool privileged;
    bool default_masks;
};
struct rt_world rt_world_of(const struct rt_spec *spec);
bool rt_world_equal(const struct rt_world *a, const struct rt_world *b);

struct rt_child {
    pid_t pid;
    int pidfd;
    int sock; /* reports; -1 once closed */
};
#define RT_CHILD_NONE ((struct rt_child){0, -1, -1})

/* `spec` decides about a joined pid namespace; NULL for a child of the pool. The cgroup exists. */
int rt_park(const struct rt_world *world, struct cgroup_sys *sys, struct cgroup *cg,
            const struct rt_spec *spec, struct rt_child *ret, struct gt_err *err);

struct rt_io {
    int in, out, err; /* become 0, 1, 2; -1: /dev/null of the container. Unused with a tty */
};

/* Sends the child on its way. The descriptors of io stay the caller's. With wait_go it stops before
 * exec, reports READY, and goes on after rt_go(). On error the child is useless: kill it. */
int rt_launch(struct rt_child *child, const struct rt_spec *spec, const void *spec_bytes,
              size_t spec_n, const struct rt_io *io, bool wait_go, struct gt_err *err);
int rt_go(struct rt_child *child, struct gt_err *err);

/* A process more in a running container: `target` is its main process. cg as above. */
int rt_exec_start(int target_pidfd, struct cgroup_sys *sys, struct cgroup *cg,
                  const struct rt_exec *exec, const struct rt_io *io, struct rt_child *ret,
                  struct gt_err *err);

enum rt_report_kind {
    RT_REPORT_WARNING = 1, /* something was clamped */
    RT_REPORT_ERROR,       /* the last word: it exits */
    RT_REPORT_TTY,         /* with the terminal's other end */
    RT_REPORT_READY,       /* waits for rt_go() */
    RT_REPORT_EXEC,        /* exec comes next; an end of file after it means that it worked */
};

struct rt_report {
    uint32_t kind;
    int32_t sys_errno;
    char text[504];
};

/* 1 and a report (fd: the terminal's other end, now the caller's, or -1), 0 nothing now,
 * -EPIPE end of file. */
int rt_child_report(struct rt_child *child, struct rt_report *ret, int *fd);
void rt_child_close(struct rt_child *child); /* the descriptors; the process is the caller's */

#endif
