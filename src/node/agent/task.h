/*
 * A task on this node, and its containers. Owned by node->tasks, touched by the loop alone, but for
 * what `prepare` reads (definitions, which never change).
 *
 * Life: PREPARING (images, networks, a shim) → ACTIVE (containers start in the order of dependsOn
 * and run) → STOPPING (containers stop in the reverse order) → CLEANING (logs shipped, everything
 * given back) → STOPPED, kept until the server has heard of it.
 */
#ifndef GT_NODE_AGENT_TASK_H
#define GT_NODE_AGENT_TASK_H

#include "lib/wire/gen/agent.h"
#include "lib/wire/gen/ecs.h"
#include "node/agent/node.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum task_phase { TASK_PREPARING, TASK_ACTIVE, TASK_STOPPING, TASK_CLEANING, TASK_STOPPED };

enum container_state { CONTAINER_NONE, CONTAINER_CREATING, CONTAINER_RUNNING, CONTAINER_STOPPED };

enum health_state { HEALTH_NONE, HEALTH_UNKNOWN, HEALTH_HEALTHY, HEALTH_UNHEALTHY };

enum network_mode { NETWORK_BRIDGE, NETWORK_AWSVPC, NETWORK_HOST, NETWORK_NONE };

struct health {
    enum health_state state;
    int64_t since_ms, next_ms, deadline_ms; /* next check; when the running one is too late */
    int fails;                              /* in a row */
    unsigned round;                         /* names the exec of each check */
    int64_t request;                        /* to the shim, of the last check */
    bool running;
    int last_exit;
};

#define CONTAINER_MAX_PORTS 100

/* Keys of the task's role, as gantry-link serves them. */
struct task_keys {
    char id[40]; /* the end of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI; "": the task has no role */
    char *json;  /* NULL: none yet */
    int64_t due_ms;   /* when newer ones are to be had, by the server's clock */
    int64_t again_ms; /* not before this, by the monotonic clock: the last try came to nothing */
    bool renewing;
};

struct container {
    struct task *task;
    const struct ecs_container_definition *def;
    const struct ecs_container_override *override_; /* NULL: none */
    const char *name, *runtime_id, *arn;            /* in the task's arena */
    char endpoint[64];                              /* of the metadata service */

    enum container_state state;
    bool start_failed; /* it never ran */
    struct image *image;
    char image_digest[80];    /* "sha256:..." once known */
    char manifest_digest[80]; /* of this platform's manifest: finds the image again */
    int pid;
    bool has_exit;
    int exit_code;
    bool oom;
    char reason[512];
    char cgroup[256];
    int64_t created_ms, started_ms, stopped_ms;
    int64_t wait_deadline_ms; /* startTimeout: dependents give up waiting for this one */
    int64_t kill_deadline_ms; /* 0: not asked to stop yet */
    bool killed;
    int64_t request; /* id of the CREATE under way */

    struct net_attachment net; /* of its own in bridge mode, the task's otherwise */
    struct net_port *ports;
    size_t n_ports;
    struct health health;
    struct log_stream *log;       /* NULL: nothing is shipped */
    uint64_t dropped, spool_from; /* bytes; where the first kept frame of the spool begins */
};

struct task {
    struct node *node;
    struct gt_arena arena; /* the server's task, the definition, names */
    struct agent_task in;
    struct ecs_task_definition def;
    struct ecs_task_override over;
    const char *id;
    enum network_mode network;

    enum task_phase phase;
    bool desired_stop;
    bool preparing;      /* a prepare job is under way */
    atomic_bool give_up; /* the job is to end soon: nobody wants the task any more */
    bool prepared;
    bool cleaning;
    bool adopted;   /* found again after a restart of the agent */
    bool forgotten; /* the server does not know it: no reports */
    struct shim *shim;
    bool shim_dead;
    uv_poll_t *poll;
    uv_timer_t *timer;

    struct container *containers;
    size_t n_containers;
    struct task_keys keys;

    const char *stop_code; /* static text; NULL: not stopped by the node */
    char stopped_reason[512];
    int64_t pull_started_ms, pull_stopped_ms, started_ms, stopping_ms, execution_stopped_ms;
    int64_t cleaning_ms; /* when all of its containers had stopped */
    int64_t sequence;    /* of the last report */
    bool dirty;          /* something to report */
    char last_log[4097];
};

static inline bool container_essential(const struct container *c)
{
    return !c->def->has_essential || c->def->essential;
}

/* --- task.c */
/* From the server's words, which are copied. -EINVAL when they make no sense. */
int task_new(struct node *n, const struct agent_task *in, struct task **ret, struct gt_err *err);
void task_free(struct task *t);
struct container *task_container(struct task *t, const char *name);
/* <state>/agent/tasks/<id>/task.json: what task_load() needs after a restart. */
int task_save(struct task *t, struct gt_err *err);
int task_load(struct node *n, const char *id, struct task **ret, struct gt_err *err);
void task_forget(struct task *t); /* removes its folder and the task itself */
/* Fills a report; text points into the task. */
void task_report(struct task *t, struct gt_arena *arena, struct agent_task_report *r);
const char *task_last_status(const struct task *t);
char *task_dir(const struct task *t, const char *what); /* <state>/agent/<what>/<id>; free it */
/* <run>/etc/<id>: hosts, hostname and resolv.conf of its containers. They need not outlive a
 * reboot, and files in memory are made ten times faster. */
char *task_etc_dir(const struct task *t);

/* --- step.c */
void task_step(struct task *t); /* may free t when nobody needs it any more */
void task_step_all(struct node *n);
void task_changed(struct task *t); /* marks it for a report, writes the metadata */
/* The task is to end because of something on the node. The first reason stays. */
void task_fail(struct task *t, const char *stop_code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void task_desired(struct task *t, const struct agent_task *in);
/* The earliest time at which something is due; INT64_MAX: nothing. */
int64_t task_deadline(const struct task *t);

/* --- shim.c */
void task_attach_shim(struct task *t);         /* watches t->shim */
struct shim *task_detach_shim(struct task *t); /* ends that; NULL, or it is the caller's */
void task_drain_shim(struct task *t);          /* handles what its shim has said */
/* The shim is dead, or as good as dead: then it dies when its cgroup goes. */
void task_shim_lost(struct task *t, const char *how);
void container_not_started(struct container *c, const struct gt_err *err);

/* --- clean.c: gives everything back, then the task is STOPPED. Waits for logs to be shipped. */
enum { TASK_DRAIN_MS = 5000 };
void task_clean(struct task *t, int64_t now);

/* --- order.c: pure */
enum order_verdict { ORDER_WAIT, ORDER_GO, ORDER_NEVER };
/* May this container start, given the states of what it depends on? *ret_why names the dependency
 * that will never be met. */
enum order_verdict order_start(const struct task *t, const struct container *c,
                               const struct container **ret_why);
/* May it be stopped: has everything that depends on it stopped? */
bool order_stop(const struct task *t, const struct container *c);

/* --- prepare.c */
void task_prepare(struct task *t);
void task_detach_network(struct task *t); /* blocks: on the pool */

/* --- spec.c */
/* Everything in *ret lives in the arena. */
int container_spec(struct container *c, struct gt_arena *a, struct rt_spec *ret,
                   struct gt_err *err);
/* argv of image and definition by docker's rules; shared with exec's environment. */
void container_argv(const struct container *c, struct gt_arena *a, struct rt_strs *ret);
void container_env(const struct container *c, struct gt_arena *a, struct rt_strs *ret);
void task_limits(const struct task *t, struct rt_limits *ret);

/* --- stop_signal.c: an image's STOPSIGNAL, "SIGQUIT", "quit", "3", "RTMIN+3"; SIGTERM when it is
 * NULL or none of these */
int stop_signal(const char *said);

/* --- mounts.c: s->mounts */
int container_mounts(const struct container *c, struct gt_arena *a, struct rt_spec *s,
                     struct gt_err *err);

/* --- health.c */
void health_start(struct container *c);
void health_step(struct container *c, int64_t now);
void health_exec_exited(struct container *c, const char *exec_id, int exit_code);
void health_exec_refused(struct container *c, const struct gt_err *why);
int64_t health_deadline(const struct container *c);
const char *health_name(enum health_state s);

/* --- meta.c: what gantry-link knows of it */
void task_write_metadata(struct task *t);
void task_remove_metadata(struct task *t); /* before its addresses can be another's */

/* --- credentials.c: the keys of tasks with a role. They are in what gantry-link reads, and nowhere
 * else: there they stay when the agent dies, and are found again. */
bool task_has_role(const struct task *t); /* and a way to ask for its keys */
void task_keys_name(struct task *t);      /* makes the id */
/* Asks the server; blocks, on the pool. *ret_json is the caller's. */
int task_keys_fetch(struct task *t, char **ret_json, int64_t *ret_due_ms, struct gt_err *err);
void task_keys_take(struct task *t, char *json, int64_t due_ms); /* json: from now on the task's */
void task_keys_find(struct task *t); /* after a restart of the agent: from gantry-link's file */
void node_keys_tick(struct node *n); /* once a second: what is due is renewed */

/* --- recover.c */
int node_recover(struct node *n, struct gt_err *err);
/* Asks the task's shim for its containers and takes their states over. */
int task_adopt(struct task *t, struct gt_err *err);

#endif
