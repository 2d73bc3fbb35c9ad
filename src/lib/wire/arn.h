/*
 * Amazon resource names: arn:partition:service:region:account:resource.
 *
 * Parsing borrows: the parts point into the text.
 */
#ifndef GT_LIB_WIRE_ARN_H
#define GT_LIB_WIRE_ARN_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"

#include <stdbool.h>

struct arn {
    struct gt_str partition, service, region, account;
    struct gt_str resource; /* all after the fifth colon: "task/default/0123..." */
    struct gt_str type;     /* resource up to its first '/' or ':'; empty when it has neither */
    struct gt_str id; /* the rest after that separator; the whole resource when type is empty */
};

bool arn_parse(struct gt_str text, struct arn *ret);
bool arn_is(struct gt_str text); /* begins with "arn:" */

/*
 * A resource given in one of the forms that ECS takes: a bare id, "cluster/id" or an ARN
 * ("arn:...:task/cluster/id", or the older "arn:...:task/id" without a cluster). False when it is
 * an ARN of another service or resource type, or malformed.
 */
struct arn_ref {
    struct gt_str cluster; /* p NULL: not named */
    struct gt_str id;
    struct gt_str region, account; /* p NULL: not named */
};
bool arn_ref_parse(struct gt_str text, const char *service, const char *type, struct arn_ref *ret);

#endif
