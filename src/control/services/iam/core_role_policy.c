/* PutRolePolicy, GetRolePolicy, ListRolePolicies, DeleteRolePolicy: a role's inline policies. */
#include "control/services/gen/iam_handlers.h"
#include "control/services/iam/page.h"
#include "control/services/iam/role.h"

#include <errno.h>

/* With all others of the role's, as IAM measures it. */
static int check_size(struct tx *tx, const struct rec_iam_role *role, const char *key,
                      struct gt_str document, struct gt_err *err)
{
    size_t size = policy_size(document), written = document.n;
    struct tx_cursor c = tx_scan(tx, role_policy_key(tx, role->name, (struct gt_str){0}), NULL);
    for (const char *at; (at = tx_next(&c));) {
        const struct rec_iam_role_policy *p =
            gt_streq(at, key) ? NULL : tx_get(tx, at, &rec_iam_role_policy_desc);
        size += p ? policy_size(p->document) : 0;
        written += p ? p->document.n : 0;
    }
    if (size > IAM_LIMIT_POLICIES) {
        return gt_err_aws(err, GT_ERR_LIMIT, "LimitExceededException",
                          "Maximum policy size of %d bytes exceeded for role " GT_STR_FMT,
                          IAM_LIMIT_POLICIES, GT_STR_ARG(role->name));
    }
    if (written > IAM_LIMIT_WRITTEN) {
        return gt_err_aws(err, GT_ERR_LIMIT, "LimitExceededException",
                          "Maximum policy size of %lu bytes with white space exceeded for "
                          "role " GT_STR_FMT,
                          IAM_LIMIT_WRITTEN, GT_STR_ARG(role->name));
    }
    return 0;
}

int iam_put_role_policy(struct tx *tx, const struct iam_put_role_policy_in *in,
                        struct iam_put_role_policy_out *out, struct gt_err *err)
{
    const struct rec_iam_role *role = role_need(tx, in->role_name, err);
    const struct policy *policy;
    if (!role) {
        return -ENOENT;
    }
    const char *key = role_policy_key(tx, role->name, in->policy_name);
    int r = policy_parse(in->policy_document, POLICY_IDENTITY, tx_arena(tx), &policy, err);
    r = r < 0 ? r : check_size(tx, role, key, in->policy_document, err);
    if (r == 0) {
        struct rec_iam_role_policy rec = {.name = in->policy_name, .document = in->policy_document};
        tx_put(tx, key, &rec_iam_role_policy_desc, &rec);
    }
    return r;
}

static struct rec_iam_role_policy *find(struct tx *tx, const struct rec_iam_role *role,
                                        struct gt_str name, struct gt_err *err)
{
    struct rec_iam_role_policy *rec =
        tx_get(tx, role_policy_key(tx, role->name, name), &rec_iam_role_policy_desc);
    if (!rec) {
        (void)gt_err_aws(err, GT_ERR_NOT_FOUND, "NoSuchEntityException",
                         "The role policy with name " GT_STR_FMT " cannot be found.",
                         GT_STR_ARG(name));
    }
    return rec;
}

int iam_get_role_policy(struct tx *tx, const struct iam_get_role_policy_in *in,
                        struct iam_get_role_policy_out *out, struct gt_err *err)
{
    const struct rec_iam_role *role = role_need(tx, in->role_name, err);
    const struct rec_iam_role_policy *rec = role ? find(tx, role, in->policy_name, err) : NULL;
    if (!rec) {
        return -ENOENT;
    }
    out->role_name = role->name;
    out->policy_name = rec->name;
    out->policy_document = role_encode_document(tx, rec->document);
    return 0;
}

int iam_delete_role_policy(struct tx *tx, const struct iam_delete_role_policy_in *in,
                           struct iam_delete_role_policy_out *out, struct gt_err *err)
{
    const struct rec_iam_role *role = role_need(tx, in->role_name, err);
    const struct rec_iam_role_policy *rec = role ? find(tx, role, in->policy_name, err) : NULL;
    if (!rec) {
        return -ENOENT;
    }
    tx_delete(tx, role_policy_key(tx, role->name, rec->name));
    return 0;
}

int iam_list_role_policies(struct tx *tx, const struct iam_list_role_policies_in *in,
                           struct iam_list_role_policies_out *out, struct gt_err *err)
{
    const struct rec_iam_role *role = role_need(tx, in->role_name, err);
    struct iam_page page;
    if (!role) {
        return -ENOENT;
    }
    const char *prefix = role_policy_key(tx, role->name, (struct gt_str){0});
    int r = iam_page_open(tx, &page, prefix, in->marker, in->has_max_items, in->max_items, err);
    if (r < 0) {
        return r;
    }
    out->policy_names.v = gt_arena_array(tx_arena(tx), struct gt_str, page.max);
    out->policy_names.has = true;
    struct tx_cursor c = tx_scan(tx, prefix, page.after);
    for (const char *key; (key = tx_next(&c)) && iam_page_add(&page, key);) {
        const struct rec_iam_role_policy *rec = tx_get(tx, key, &rec_iam_role_policy_desc);
        out->policy_names.v[out->policy_names.n++] = rec->name;
    }
    WIRE_SET(out, is_truncated, page.more);
    out->marker = iam_page_marker(&page, prefix);
    return 0;
}
