/*
 * What the caller of a transaction may do. The root key may do everything; a session of a role what
 * the role's policies allow, and when it has a policy of its own, what that allows too.
 */
#ifndef GT_CONTROL_SERVICES_IAM_GRANTS_H
#define GT_CONTROL_SERVICES_IAM_GRANTS_H

#include "control/services/iam/context.h"
#include "store/record/gen/rec_iam.h"

struct iam_grants;

/* Reads and parses the policies of the caller's role. UnrecognizedClientException when the role
 * that was assumed is there no more; one of the same name that was made since is another. */
int iam_grants_load(struct tx *tx, struct iam_grants **ret, struct gt_err *err);

/* 0, or AccessDeniedException in AWS's words. `c` has the keys of this request. */
int iam_grants_check(const struct iam_grants *g, struct tx *tx, const char *action,
                     struct gt_str resource, const struct iam_context *c, struct gt_err *err);

/* Whether the caller may assume the role: as its trust policy says, and the caller's own. Any
 * caller. AccessDenied. */
int iam_may_assume(struct tx *tx, const struct rec_iam_role *role, const char *action,
                   const struct iam_context *c, struct gt_err *err);

/* Whether a service ("ecs-tasks.amazonaws.com") may assume the role, for the resource that it acts
 * for (aws:SourceArn). */
bool iam_trusts_service(struct tx *tx, const struct rec_iam_role *role, const char *service,
                        struct gt_str source_arn);

/* Whether the caller may hand this role on to a service: iam:PassRole. An empty ARN is none. */
int iam_may_pass(struct tx *tx, struct gt_str role_arn, const char *service, struct gt_err *err);

/* The words of a refusal; `why` may be "". */
int iam_denied(struct tx *tx, const char *action, struct gt_str resource, const char *why,
               struct gt_err *err);

#endif
