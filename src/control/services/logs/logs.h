/*
 * CloudWatch Logs. Groups are records of the core (<account>/<region>/logs/group/<name>); streams
 * and events are in store/logs under the group's id, so that a group that is deleted and made again
 * has nothing of the old one. Containers' output comes from the nodes by POST /_gantry/logs
 * (data_ingest.c).
 */
#ifndef GT_CONTROL_SERVICES_LOGS_LOGS_H
#define GT_CONTROL_SERVICES_LOGS_LOGS_H

#include "control/core/service.h"
#include "control/server/route.h"
#include "store/logs/logs.h"

/* Always the same object. data_store() must give this service a struct log_store. */
const struct service *logs_control(void);
extern const struct server_route logs_routes[];
extern const size_t n_logs_routes;

/* Applies retention, forgets what belongs to groups that are no more, gives back space. From time
 * to time, on a thread that may block. `call` runs a function on the core, in any account and
 * region, and waits. */
int logs_tidy(struct log_store *store, int64_t now,
              int (*call)(void *arg, int (*fn)(struct tx *tx, void *arg, struct gt_err *err),
                          void *fn_arg, struct gt_err *err),
              void *arg, struct gt_err *err);

#endif
