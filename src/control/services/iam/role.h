/*
 * Roles in the core's state.
 *
 *     <account>/aws-global/iam/role/<name>                   struct rec_iam_role
 *     <account>/aws-global/iam/role-policy/<name>/<policy>   struct rec_iam_role_policy
 *
 * IAM has no regions: the keys have a word in that place. Names are the same in whatever case they
 * are written; keys have them in lower case, records as they were given.
 */
#ifndef GT_CONTROL_SERVICES_IAM_ROLE_H
#define GT_CONTROL_SERVICES_IAM_ROLE_H

#include "control/core/tx.h"
#include "lib/policy/policy.h"
#include "lib/wire/gen/iam.h"
#include "store/record/gen/rec_iam.h"

/* AWS's quotas. Policies are measured without white space. */
enum {
    IAM_LIMIT_ROLES = 1000,
    IAM_LIMIT_TRUST = 2048,
    IAM_LIMIT_POLICIES = 10240, /* all inline policies of a role together */
    IAM_LIMIT_TAGS = 50,
    IAM_DEFAULT_SESSION = 3600, /* seconds */
};
/* With white space, so that a role's policies are read in one breath. A limit of our own. */
#define IAM_LIMIT_WRITTEN (128UL * 1024)

char *role_key(struct tx *tx, struct gt_str name);
/* Prefix of the role's policies when policy.p is NULL. */
char *role_policy_key(struct tx *tx, struct gt_str role, struct gt_str policy);
char *role_prefix(struct tx *tx);

/* NULL: there is none. */
struct rec_iam_role *role_find(struct tx *tx, struct gt_str name);
/* By its ARN, which must be exactly that of the role; NULL: there is none. */
struct rec_iam_role *role_of_arn(struct tx *tx, struct gt_str arn);
struct gt_str role_arn(struct tx *tx, const struct rec_iam_role *role);

/* As role_find; NULL: NoSuchEntity is in err. */
struct rec_iam_role *role_need(struct tx *tx, struct gt_str name, struct gt_err *err);

void role_show(struct tx *tx, const struct rec_iam_role *rec, struct iam_role *out);
/* Documents are sent percent-encoded. */
struct gt_str role_encode_document(struct tx *tx, struct gt_str document);

/* Parses a trust policy and holds it against the quota, and its principals against the roles that
 * there are. */
int role_check_trust(struct tx *tx, struct gt_str document, struct gt_err *err);

/* `tags` with those of `add` put or replaced. `add` names no key twice. */
int role_tags_merge(struct tx *tx, struct rec_kv_list *tags, const struct iam_tag_list *add,
                    struct gt_err *err);

#endif
