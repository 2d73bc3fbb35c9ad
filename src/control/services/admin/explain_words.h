/* What an explanation says in words. All texts are in the arena. */
#ifndef GT_CONTROL_SERVICES_ADMIN_EXPLAIN_WORDS_H
#define GT_CONTROL_SERVICES_ADMIN_EXPLAIN_WORDS_H

#include "control/scheduler/explain.h"
#include "lib/wire/gen/admin.h"

/* "80/tcp" of a SCHED_PORT. */
struct gt_str words_port(int64_t port, struct gt_arena *a);
/* "spread(attribute:ecs.availability-zone)", "binpack(memory)", "random". */
struct gt_str words_strategy(const struct sched_strategy *s, struct gt_arena *a);
/* Why one filter refuses a node, with the numbers. */
struct gt_str words_refusal(enum sched_refusal why, const struct explain_node *node,
                            const struct sched_request *rq, struct gt_arena *a);
/* "FREE_CPU" and so on. */
const char *words_change_kind(enum explain_change_kind kind);
/* What to do: "let 512 CPU units become free on it". */
struct gt_str words_change(const struct explain_change *c, const struct sched_request *rq,
                           struct gt_arena *a);

#endif
