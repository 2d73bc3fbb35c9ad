/*
 * Replica services: a count of tasks that is kept, and how one definition replaces another.
 *
 * Operations write what is wanted into the service's record and return; the controller
 * "ecs-service" looks at the service and its tasks and takes the next step, as often as one of them
 * changes.
 */
#ifndef GT_CONTROL_ECS_SERVICE_H
#define GT_CONTROL_ECS_SERVICE_H

#include "control/core/controller.h"
#include "control/services/ecs/task.h"
#include "lib/wire/gen/ecs.h"
#include "store/record/gen/rec_ecs.h"

#define SERVICE_ACTIVE "ACTIVE"
#define SERVICE_DRAINING "DRAINING"
#define SERVICE_INACTIVE "INACTIVE"
#define SERVICE_KEPT_MS (3600 * 1000LL) /* how long an inactive one is shown */
#define SERVICE_EVENTS_MAX 100

enum rollout { ROLLOUT_IN_PROGRESS, ROLLOUT_COMPLETED, ROLLOUT_FAILED };

/* NULL: no such service. `said`: a name or an ARN. */
struct rec_ecs_service *service_of(struct tx *tx, struct gt_str cluster, struct gt_str said);
void service_put(struct tx *tx, struct rec_ecs_service *s);

/* The deployment that is to be: there is always one. */
struct rec_ecs_deployment *service_primary(struct rec_ecs_service *s);
/* A new primary one; the old becomes ACTIVE. Uses the service's definition, subnets, count. */
void service_deploy(struct tx *tx, struct rec_ecs_service *s);
void deployment_rollout(struct rec_ecs_deployment *d, enum rollout state, struct tx *tx);

/* What the next task of a deployment is to be, and what it asks of a node. False: its definition is
 * gone. */
bool service_ask(struct tx *tx, const struct rec_ecs_service *s, const struct rec_ecs_deployment *d,
                 struct task_ask *ask, struct sched_request *rq);

/* The group that a service's tasks are in: "service:<name>". */
struct gt_str service_group(struct tx *tx, struct gt_str name);
/* What a service looks at in a task: little, as there may be thousands. */
struct service_task {
    struct gt_str id, node;
    struct gt_str deployment; /* one of the service's; empty: of none that it still has */
    int64_t last_status, desired_status, created_at;
    bool unhealthy;
    bool leaving;  /* its node is DRAINING */
    bool held;     /* its node is not heard, and it is not replaced */
    bool unpinned; /* of the primary deployment, and knows a digest that this has not pinned */
};
/* Its tasks whose last status is not STOPPED. In the arena. */
struct service_task *service_tasks(struct tx *tx, const struct rec_ecs_service *s, size_t *ret_n);
/* Whether the deployment has the digest of a container's image. */
bool deployment_pinned(const struct rec_ecs_deployment *d, struct gt_str container);

/* Adds "(service NAME) <text>" to its events. */
void service_event(struct tx *tx, const struct rec_ecs_service *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void service_show(struct tx *tx, struct rec_ecs_service *s, bool with_tags,
                  struct ecs_service *out);

/*
 * How many tasks to start and stop next; pure. Counts are of tasks that are wanted RUNNING. A task
 * on a DRAINING node is to be replaced, as one of an old deployment is.
 */
struct plan_in {
    int64_t desired, min_percent, max_percent;
    int64_t new_running, new_pending; /* of the primary deployment, and where they may stay */
    int64_t old_running, old_pending; /* the others */
};
struct plan {
    int64_t start;    /* of the primary deployment */
    int64_t stop_new; /* surplus of those that may stay */
    int64_t stop_old; /* pending ones first */
    bool stuck;       /* the percentages let nothing happen */
};
struct plan service_plan(const struct plan_in *in);

/* How long to wait before the next start after so many failures in a row, in ms. */
int64_t service_backoff(int64_t failures);

/* service_watch.c */
void service_watch(struct tx *tx, const char *changed, void (*emit)(void *arg, const char *key),
                   void *arg);

extern const struct controller service_controller;

#endif
