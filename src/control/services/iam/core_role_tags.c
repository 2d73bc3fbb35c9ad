/* TagRole, UntagRole, ListRoleTags. Keys are kept as written and told apart without their case. */
#include "control/services/gen/iam_handlers.h"
#include "control/services/iam/page.h"
#include "control/services/iam/role.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <strings.h>

static bool same_key(struct gt_str a, struct gt_str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static size_t position(const struct rec_kv_list *tags, struct gt_str key)
{
    size_t i = 0;
    while (i < tags->n && !same_key(tags->v[i].key, key)) {
        i++;
    }
    return i;
}

static int check_added(const struct iam_tag_list *add, struct gt_err *err)
{
    for (size_t i = 0; i < add->n; i++) {
        struct gt_str prefix = gt_str_n(add->v[i].key.p, GT_MIN(add->v[i].key.n, (size_t)4));
        if (same_key(prefix, GT_STR_LIT("aws:"))) {
            return gt_err_aws(err, GT_ERR_INVALID, "InvalidInputException",
                              "Tag keys that begin with aws: are reserved.");
        }
        for (size_t k = 0; k < i; k++) {
            if (same_key(add->v[i].key, add->v[k].key)) {
                return gt_err_aws(err, GT_ERR_INVALID, "InvalidInputException",
                                  "Duplicate tag keys found. Please note that Tag keys are case "
                                  "insensitive.");
            }
        }
    }
    return 0;
}

int role_tags_merge(struct tx *tx, struct rec_kv_list *tags, const struct iam_tag_list *add,
                    struct gt_err *err)
{
    struct rec_kv_list all = {
        .v = gt_arena_array(tx_arena(tx), struct rec_kv, tags->n + add->n + 1), .n = tags->n};
    int r = check_added(add, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < tags->n; i++) {
        all.v[i] = tags->v[i];
    }
    for (size_t i = 0; i < add->n; i++) {
        size_t at = position(&all, add->v[i].key);
        all.v[at] = (struct rec_kv){.key = add->v[i].key, .value = add->v[i].value};
        all.n += at == all.n;
    }
    if (all.n > IAM_LIMIT_TAGS) {
        return gt_err_aws(err, GT_ERR_LIMIT, "LimitExceededException",
                          "The number of tags has reached the maximum limit.");
    }
    *tags = all;
    return 0;
}

int iam_tag_role(struct tx *tx, const struct iam_tag_role_in *in, struct iam_tag_role_out *out,
                 struct gt_err *err)
{
    struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    if (!rec) {
        return -ENOENT;
    }
    int r = role_tags_merge(tx, &rec->tags, &in->tags, err);
    if (r == 0) {
        tx_put(tx, role_key(tx, rec->name), &rec_iam_role_desc, rec);
    }
    return r;
}

int iam_untag_role(struct tx *tx, const struct iam_untag_role_in *in,
                   struct iam_untag_role_out *out, struct gt_err *err)
{
    struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    if (!rec) {
        return -ENOENT;
    }
    for (size_t i = 0; i < in->tag_keys.n; i++) {
        size_t at = position(&rec->tags, in->tag_keys.v[i]);
        if (at < rec->tags.n) {
            memmove(&rec->tags.v[at], &rec->tags.v[at + 1],
                    (rec->tags.n - at - 1) * sizeof(rec->tags.v[0]));
            rec->tags.n--;
        }
    }
    tx_put(tx, role_key(tx, rec->name), &rec_iam_role_desc, rec);
    return 0;
}

int iam_list_role_tags(struct tx *tx, const struct iam_list_role_tags_in *in,
                       struct iam_list_role_tags_out *out, struct gt_err *err)
{
    const struct rec_iam_role *rec = role_need(tx, in->role_name, err);
    struct iam_page page;
    if (!rec) {
        return -ENOENT;
    }
    int r = iam_page_open(tx, &page, "", in->marker, in->has_max_items, in->max_items, err);
    if (r < 0) {
        return r;
    }
    out->tags.v = gt_arena_array(tx_arena(tx), struct iam_tag, rec->tags.n + 1);
    out->tags.has = true;
    size_t from = page.after ? position(&rec->tags, gt_str(page.after)) + 1 : 0;
    for (size_t i = from; i < rec->tags.n; i++) {
        struct rec_kv tag = rec->tags.v[i];
        if (!iam_page_add(&page, gt_arena_str(tx_arena(tx), tag.key))) {
            break;
        }
        tag.value.p = tag.value.p ? tag.value.p : "";
        out->tags.v[out->tags.n++] = (struct iam_tag){.key = tag.key, .value = tag.value};
    }
    WIRE_SET(out, is_truncated, page.more);
    out->marker = iam_page_marker(&page, "");
    return 0;
}
