/*
 * Which keys a name means whose history somebody wants to see. Pure.
 *
 *     task/ID, task/CLUSTER/ID, service/CLUSTER/NAME, node/ID, cluster/NAME,
 * taskdef/FAMILY:REVISION ecs/..., logs/..., ...       a key after account and region; '*' stands
 * for one part
 *     ~/..., 000000000000/...      a whole key
 */
#ifndef GT_CONTROL_SERVICES_ADMIN_HISTORY_H
#define GT_CONTROL_SERVICES_ADMIN_HISTORY_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

/* A pattern of whole keys, in the arena; NULL: such a name means nothing, or too much. */
char *history_pattern(struct gt_str said, struct gt_str account, struct gt_str region,
                      struct gt_arena *a, struct gt_err *err);
/* '*' is one part of a key, whole. */
bool history_match(const char *pattern, struct gt_str key);

#endif
