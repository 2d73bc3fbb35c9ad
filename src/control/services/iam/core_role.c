/* CreateRole, GetRole, UpdateRole, UpdateRoleDescription, UpdateAssumeRolePolicy, DeleteRole. */
#include "control/services/gen/iam_handlers.h"
#include "control/services/iam/role.h"

#include <errno.h>

/* "AROA" and 17 of [A-Z2-7]: never that of another role, not even of one with the same name. */
static struct gt_str make_id(struct tx *tx)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    char *id = gt_arena_printf(tx_arena(tx), "AROA%17s", "");
    uint64_t a = tx_random(tx), b = tx_random(tx);
    for (int i = 0; i < 17; i++) {
        uint64_t *from = i < 12 ? &a : &b;
        id[4 + i] = digits[*from & 31];
        *from >>= 5;
    }
    return gt_str(id);
}

static int check_new(struct tx *tx, const struct iam_create_role_in *in, struct gt_err *err)
{
    if (in->permissions_boundary.p) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED, "Gantry has no permissions boundaries");
    }
    if (tx_exists(tx, role_key(tx, in->role_name))) {
        return gt_err_aws(err, GT_ERR_EXISTS, "EntityAlreadyExistsException",
                          "Role with name " GT_STR_FMT " already exists.",
                          GT_STR_ARG(in->role_name));
    }
    if (tx_count(tx, role_prefix(tx)) >= IAM_LIMIT_ROLES) {
        return gt_err_aws(err, GT_ERR_LIMIT, "LimitExceededException",
                          "Cannot exceed quota for RolesPerAccount: %d", IAM_LIMIT_ROLES);
    }
    return role_check_trust(tx, in->assume_role_policy_document, err);
}

static void show_tags(struct tx *tx, const struct rec_iam_role *rec, struct iam_role *out)
{
    out->tags.n = rec->tags.n;
    out->tags.v = gt_arena_array(tx_arena(tx), struct iam_tag, rec->tags.n + 1);
    for (size_t i = 0; i < rec->tags.n; i++) {
        out->tags.v[i] = (struct iam_tag){.key = rec->tags.v[i].key, .value = rec->tags.v[i].value};
        out->tags.v[i].value.p = out->tags.v[i].value.p ? out->tags.v[i].value.p : "";
    }
}

static struct iam_role *shown(struct tx *tx, const struct rec_iam_role *rec)
{
    struct iam_role *out = gt_arena_new(tx_arena(tx), struct iam_role);
    role_show(tx, rec, out);
    show_tags(tx, rec, out);
    return out;
}

int iam_create_role(struct tx *tx, const struct iam_create_role_in *in,
                    struct iam_create_role_out *out, struct gt_err *err)
{
    int r = check_new(tx, in, err);
    if (r < 0) {
        return r;
    }
    struct rec_iam_role rec = {
        .name = in->role_name,
        .path = in->path.p ? in->path : GT_STR_LIT("/"),
        .id = make_id(tx),
        .created_at = tx_now(tx) / 1000 * 1000,
        .trust = in->assume_role_policy_document,
        .description = in->description,
        .max_session =
            in->has_max_session_duration ? in->max_session_duration : IAM_DEFAULT_SESSION,
    };
    r = role_tags_merge(tx, &rec.tags, &in->tags, err);
    if (r < 0) {
        return r;
    }
    tx_put(tx, role_key(tx, rec.name), &rec_iam_role_desc, &rec);
    out->role = shown(tx, &rec);
    return 0;
}

int iam_get_role(struct tx *tx, const struct iam_get_role_in *in, struct iam_get_role_out *out,
                 struct gt_err *err)
{
    const struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    if (!rec) {
        return -ENOENT;
    }
    out->role = shown(tx, rec);
    return 0;
}

static void put(struct tx *tx, const struct rec_iam_role *rec)
{
    tx_put(tx, role_key(tx, rec->name), &rec_iam_role_desc, rec);
}

/* Without a duration it is the default one again: so says IAM's reference. */
int iam_update_role(struct tx *tx, const struct iam_update_role_in *in,
                    struct iam_update_role_out *out, struct gt_err *err)
{
    struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    if (!rec) {
        return -ENOENT;
    }
    rec->description = in->description.p ? in->description : rec->description;
    rec->max_session =
        in->has_max_session_duration ? in->max_session_duration : IAM_DEFAULT_SESSION;
    put(tx, rec);
    return 0;
}

int iam_update_role_description(struct tx *tx, const struct iam_update_role_description_in *in,
                                struct iam_update_role_description_out *out, struct gt_err *err)
{
    struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    if (!rec) {
        return -ENOENT;
    }
    rec->description = in->description;
    put(tx, rec);
    out->role = shown(tx, rec);
    return 0;
}

int iam_update_assume_role_policy(struct tx *tx, const struct iam_update_assume_role_policy_in *in,
                                  struct iam_update_assume_role_policy_out *out, struct gt_err *err)
{
    struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    if (!rec) {
        return -ENOENT;
    }
    int r = role_check_trust(tx, in->policy_document, err);
    if (r == 0) {
        rec->trust = in->policy_document;
        put(tx, rec);
    }
    return r;
}

int iam_delete_role(struct tx *tx, const struct iam_delete_role_in *in,
                    struct iam_delete_role_out *out, struct gt_err *err)
{
    const struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    if (!rec) {
        return -ENOENT;
    }
    struct tx_cursor c = tx_scan(tx, role_policy_key(tx, rec->name, (struct gt_str){0}), NULL);
    if (tx_next(&c)) {
        return gt_err_aws(err, GT_ERR_CONFLICT, "DeleteConflictException",
                          "Cannot delete entity, must delete policies first.");
    }
    tx_delete(tx, role_key(tx, rec->name));
    return 0;
}
