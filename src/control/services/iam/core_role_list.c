/* ListRoles, and the listings of what Gantry does not attach to roles. */
#include "control/services/gen/iam_handlers.h"
#include "control/services/iam/page.h"
#include "control/services/iam/role.h"

#include <errno.h>

int iam_list_roles(struct tx *tx, const struct iam_list_roles_in *in,
                   struct iam_list_roles_out *out, struct gt_err *err)
{
    const char *prefix = role_prefix(tx);
    struct gt_str path = in->path_prefix.p ? in->path_prefix : GT_STR_LIT("/");
    struct iam_page page;
    int r = iam_page_open(tx, &page, prefix, in->marker, in->has_max_items, in->max_items, err);
    if (r < 0) {
        return r;
    }
    out->roles.v = gt_arena_array(tx_arena(tx), struct iam_role, page.max);
    out->roles.has = true;
    struct tx_cursor c = tx_scan(tx, prefix, page.after);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        const struct rec_iam_role *rec = tx_get(tx, key, &rec_iam_role_desc);
        if (!rec || !gt_str_starts(rec->path, path)) {
            gt_arena_release(tx_arena(tx), mark);
            continue;
        }
        if (!iam_page_add(&page, key)) {
            break;
        }
        role_show(tx, rec, &out->roles.v[out->roles.n++]);
    }
    WIRE_SET(out, is_truncated, page.more);
    out->marker = iam_page_marker(&page, prefix);
    return 0;
}

/* Nothing can be attached: AttachRolePolicy is refused. So these lists are empty, truly. Tools ask
 * for them before they change or delete a role. */
int iam_list_attached_role_policies(struct tx *tx,
                                    const struct iam_list_attached_role_policies_in *in,
                                    struct iam_list_attached_role_policies_out *out,
                                    struct gt_err *err)
{
    if (!role_need(tx, in->role_name, err)) {
        return -ENOENT;
    }
    out->attached_policies.has = true;
    WIRE_SET(out, is_truncated, false);
    return 0;
}

int iam_list_instance_profiles_for_role(struct tx *tx,
                                        const struct iam_list_instance_profiles_for_role_in *in,
                                        struct iam_list_instance_profiles_for_role_out *out,
                                        struct gt_err *err)
{
    if (!role_need(tx, in->role_name, err)) {
        return -ENOENT;
    }
    out->instance_profiles.has = true;
    WIRE_SET(out, is_truncated, false);
    return 0;
}
