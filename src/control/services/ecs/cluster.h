/* Clusters, and what else a request says before it comes to the point. */
#ifndef GT_CONTROL_ECS_CLUSTER_H
#define GT_CONTROL_ECS_CLUSTER_H

#include "control/core/tx.h"
#include "lib/wire/gen/ecs.h"
#include "store/record/gen/rec_ecs.h"

#define CLUSTER_ACTIVE "ACTIVE"
#define CLUSTER_INACTIVE "INACTIVE"

/*
 * The active cluster that a request means: a name, an ARN, or absent for "default", which exists
 * from the first time that anyone means it. NULL with ClusterNotFoundException.
 */
struct rec_ecs_cluster *cluster_of(struct tx *tx, struct gt_str said, struct gt_err *err);

/* Keys that begin with "aws:", in whatever case, are ECS's own. */
bool tag_reserved(struct gt_str key);
/* Tags of a request as records, checked: at most 50, no key twice, none that is reserved. */
int tags_check(struct tx *tx, const struct ecs_tag_list *in, struct rec_kv_list *ret,
               struct gt_err *err);
/* Puts `more` over `to`: same keys are replaced. */
void kv_merge(struct tx *tx, struct rec_kv_list *to, const struct rec_kv_list *more);
/* Likewise, of tags. -E2BIG: more than 50; reserved ones do not count. */
int tags_merge(struct tx *tx, struct rec_kv_list *tags, const struct rec_kv_list *more);
/* The same keys with the same values, in whatever order. */
bool tags_same(const struct rec_kv_list *a, const struct rec_kv_list *b);
void tags_show(struct tx *tx, const struct rec_kv_list *tags, struct ecs_tag_list *out);
/* Whether a describe's include asks for it. */
bool includes(const struct wire_str_list *include, const char *what);

/* One more failure in an answer's list. */
void failure_add(struct tx *tx, struct ecs_failure_list *to, struct gt_str arn, const char *reason,
                 const char *detail);

int invalid(struct gt_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int refused(struct gt_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
