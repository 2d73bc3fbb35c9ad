/* For services/logs alone: log groups, as the core keeps them. */
#ifndef GT_CONTROL_SERVICES_LOGS_GROUP_H
#define GT_CONTROL_SERVICES_LOGS_GROUP_H

#include "control/core/data.h"
#include "store/record/gen/rec_logs.h"

#define DAY_MS (24 * 3600 * (int64_t)1000)

char *group_key(struct tx *tx, struct gt_str name);
/* NULL with ResourceNotFoundException. */
struct rec_logs_group *group_get(struct tx *tx, struct gt_str name, struct gt_err *err);

/* The same from a data operation: copies live as long as the request. */
struct log_group_ref {
    struct gt_str name, id;
    int64_t created;
    int64_t keep_from; /* events before this time are over their retention; 0: all are kept */
};
int group_find(struct data_req *rq, struct gt_str name, struct log_group_ref *ret,
               struct gt_err *err);
/* By name, or by an identifier that is a name or an ARN; both given is an error. */
int group_find_either(struct data_req *rq, struct gt_str name, struct gt_str identifier,
                      struct log_group_ref *ret, struct gt_err *err);

extern const struct service_change *const logs_changes[]; /* NULL-terminated */

/* An error of the store as the API has it: a full disk is ServiceUnavailableException. */
int store_error(struct gt_err *err);

#endif
