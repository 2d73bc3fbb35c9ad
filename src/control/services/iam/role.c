#include "control/services/iam/role.h"

#include "lib/base/mem.h"
#include "lib/wire/arn.h"
#include "lib/wire/uri.h"

#include <ctype.h>

static char *lower(struct tx *tx, struct gt_str s)
{
    char *to = gt_arena_str(tx_arena(tx), s);
    for (size_t i = 0; i < s.n; i++) {
        to[i] = (char)tolower((unsigned char)to[i]);
    }
    return to;
}

char *role_prefix(struct tx *tx)
{
    return gt_arena_printf(tx_arena(tx), GT_STR_FMT "/aws-global/iam/role/",
                           GT_STR_ARG(tx_account(tx)));
}

char *role_key(struct tx *tx, struct gt_str name)
{
    return gt_arena_printf(tx_arena(tx), "%s%s", role_prefix(tx), lower(tx, name));
}

char *role_policy_key(struct tx *tx, struct gt_str role, struct gt_str policy)
{
    return gt_arena_printf(tx_arena(tx), GT_STR_FMT "/aws-global/iam/role-policy/%s/%s",
                           GT_STR_ARG(tx_account(tx)), lower(tx, role), lower(tx, policy));
}

struct rec_iam_role *role_find(struct tx *tx, struct gt_str name)
{
    return name.n > 0 && name.n <= 64 ? tx_get(tx, role_key(tx, name), &rec_iam_role_desc) : NULL;
}

struct gt_str role_arn(struct tx *tx, const struct rec_iam_role *role)
{
    return gt_str(gt_arena_printf(
        tx_arena(tx), "arn:aws:iam::" GT_STR_FMT ":role" GT_STR_FMT GT_STR_FMT,
        GT_STR_ARG(tx_account(tx)), GT_STR_ARG(role->path), GT_STR_ARG(role->name)));
}

struct rec_iam_role *role_of_arn(struct tx *tx, struct gt_str arn)
{
    const char *slash = arn.n ? memrchr(arn.p, '/', arn.n) : NULL;
    if (!slash) {
        return NULL;
    }
    struct rec_iam_role *role =
        role_find(tx, gt_str_n(slash + 1, arn.n - (size_t)(slash + 1 - arn.p)));
    return role && gt_str_eq(role_arn(tx, role), arn) ? role : NULL;
}

struct rec_iam_role *role_need(struct tx *tx, struct gt_str name, struct gt_err *err)
{
    struct rec_iam_role *role = role_find(tx, name);
    if (!role) {
        (void)gt_err_aws(err, GT_ERR_NOT_FOUND, "NoSuchEntityException",
                         "The role with name " GT_STR_FMT " cannot be found.", GT_STR_ARG(name));
    }
    return role;
}

struct gt_str role_encode_document(struct tx *tx, struct gt_str document)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(3 * POLICY_LIMIT_TEXT);
    wire_uri_encode(document, /* keep_slash= */ false, &b);
    return gt_str_n(gt_arena_str(tx_arena(tx), gt_buf_view(&b)), b.n);
}

void role_show(struct tx *tx, const struct rec_iam_role *rec, struct iam_role *out)
{
    out->path = rec->path;
    out->role_name = rec->name;
    out->role_id = rec->id;
    out->arn = role_arn(tx, rec);
    WIRE_SET(out, create_date, rec->created_at);
    out->assume_role_policy_document = role_encode_document(tx, rec->trust);
    if (rec->description.n) {
        out->description = rec->description;
    }
    WIRE_SET(out, max_session_duration, rec->max_session);
}

/* An ARN of this account must be that of its root or of a role that there is: everybody else of
 * this account cannot be. Of other accounts nothing is known. */
static bool principal_known(struct tx *tx, const struct policy_principal *p)
{
    struct arn arn;
    if (!gt_streq(p->type, "AWS")) {
        return true;
    }
    if (!arn_parse(p->id, &arn)) {
        return false;
    }
    bool sts = gt_str_is(arn.service, "sts");
    if (!gt_str_eq(arn.account, tx_account(tx))) {
        return sts || gt_str_is(arn.service, "iam");
    }
    if (sts) { /* a session need not be there yet; its role must */
        const char *slash =
            gt_str_is(arn.type, "assumed-role") ? memchr(arn.id.p, '/', arn.id.n) : NULL;
        return slash && role_find(tx, gt_str_n(arn.id.p, (size_t)(slash - arn.id.p)));
    }
    return gt_str_is(arn.service, "iam") &&
           (gt_str_is(arn.resource, "root") || role_of_arn(tx, p->id));
}

int role_check_trust(struct tx *tx, struct gt_str document, struct gt_err *err)
{
    const struct policy *policy;
    struct policy_principal p;
    int r = policy_parse(document, POLICY_TRUST, tx_arena(tx), &policy, err);
    if (r < 0) {
        return r;
    }
    if (policy_size(document) > IAM_LIMIT_TRUST || document.n > IAM_LIMIT_WRITTEN) {
        return gt_err_aws(err, GT_ERR_LIMIT, "LimitExceededException",
                          "Cannot exceed quota for ACLSizePerRole: %d", IAM_LIMIT_TRUST);
    }
    for (size_t at = 0; policy_next_principal(policy, &at, &p);) {
        if (!principal_known(tx, &p)) {
            return gt_err_aws(err, GT_ERR_INVALID, "MalformedPolicyDocumentException",
                              "Invalid principal in policy: \"%s\":\"" GT_STR_FMT "\"", p.type,
                              (int)GT_MIN(p.id.n, (size_t)300), p.id.p);
        }
    }
    return 0;
}
