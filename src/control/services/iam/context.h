/* The condition keys of a request, as they are gathered; see policy.h. */
#ifndef GT_CONTROL_SERVICES_IAM_CONTEXT_H
#define GT_CONTROL_SERVICES_IAM_CONTEXT_H

#include "control/core/tx.h"
#include "lib/policy/policy.h"

struct iam_context {
    struct gt_arena *arena; /* texts and lists are its, or live as long */
    struct policy_key *v;
    size_t n, room;
};

/* Nothing is added for an absent value (p NULL). */
void iam_context_add(struct iam_context *c, const char *name, struct gt_str value);
void iam_context_add_list(struct iam_context *c, const char *name, const struct gt_str *v,
                          size_t n);
/* `prefix` and the tag's key: "aws:RequestTag/" "team". */
void iam_context_add_tag(struct iam_context *c, const char *prefix, struct gt_str key,
                         struct gt_str value);
/* Who calls, when, from where: aws:PrincipalArn, aws:CurrentTime, aws:SourceIp ... The tags of the
 * principal are its role's, and over them its session's. */
void iam_context_add_caller(struct iam_context *c, struct tx *tx);

#endif
