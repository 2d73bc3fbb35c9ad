/* Log groups: make them, how long they keep, their tags. */
#include "control/services/agent/access.h"
#include "control/services/gen/logs_handlers.h"
#include "control/services/logs/group.h"
#include "control/services/logs/logs.h"
#include "lib/wire/arn.h"

#include <errno.h>

enum { MAX_TAGS = 50 };

static int set_tag(struct tx *tx, struct rec_logs_group *g, struct wire_str_pair tag,
                   struct gt_err *err)
{
    for (size_t i = 0; i < g->tags.n; i++) {
        if (gt_str_eq(g->tags.v[i].key, tag.key)) {
            g->tags.v[i].value = tag.value;
            return 0;
        }
    }
    if (g->tags.n == MAX_TAGS) {
        return gt_err_aws(err, GT_ERR_LIMIT, "TooManyTagsException",
                          "A resource can have no more than %d tags.", MAX_TAGS);
    }
    struct rec_kv *v = gt_arena_array(tx_arena(tx), struct rec_kv, g->tags.n + 1);
    if (g->tags.n) {
        memcpy(v, g->tags.v, g->tags.n * sizeof(*v));
    }
    v[g->tags.n].key = tag.key;
    v[g->tags.n].value = tag.value;
    g->tags.v = v;
    g->tags.n++;
    return 0;
}

static int set_tags(struct tx *tx, struct rec_logs_group *g, const struct wire_str_map *tags,
                    struct gt_err *err)
{
    for (size_t i = 0; i < tags->n; i++) {
        if (gt_str_starts(tags->v[i].key, GT_STR_LIT("aws:"))) {
            return gt_err_set(err, GT_ERR_INVALID,
                              "aws: prefixed tag key names are not allowed for external use.");
        }
        int r = set_tag(tx, g, tags->v[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void drop_tags(struct rec_logs_group *g, const struct wire_str_list *keys)
{
    for (size_t k = 0; k < keys->n; k++) {
        for (size_t i = 0; i < g->tags.n; i++) {
            if (gt_str_eq(g->tags.v[i].key, keys->v[k])) {
                g->tags.v[i] = g->tags.v[--g->tags.n];
                break;
            }
        }
    }
}

static void put(struct tx *tx, const struct rec_logs_group *g)
{
    tx_put(tx, group_key(tx, g->name), &rec_logs_group_desc, g);
}

int logs_create_log_group(struct tx *tx, const struct logs_create_log_group_in *in,
                          struct logs_create_log_group_out *out, struct gt_err *err)
{
    if (in->kms_key_id.p) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "kmsKeyId is not supported: there is no KMS to encrypt with.");
    }
    if (in->log_group_class.p && !gt_str_is(in->log_group_class, LOGS_LOG_GROUP_CLASS_STANDARD)) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "logGroupClass " GT_STR_FMT " is not supported: STANDARD is.",
                          GT_STR_ARG(in->log_group_class));
    }
    if (in->deletion_protection_enabled) {
        return gt_err_set(err, GT_ERR_INVALID, "deletionProtectionEnabled is not supported.");
    }
    if (!node_may_name_group(tx, in->log_group_name)) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                          "no task on this node has the log group '" GT_STR_FMT "'",
                          GT_STR_ARG(in->log_group_name));
    }
    if (tx_exists(tx, group_key(tx, in->log_group_name))) {
        return gt_err_set(err, GT_ERR_EXISTS, "The specified log group already exists");
    }
    struct rec_logs_group g = {
        .name = in->log_group_name, .id = gt_str(tx_hex_id(tx, 32)), .created_at = tx_now(tx)};
    int r = set_tags(tx, &g, &in->tags, err);
    if (r == 0) {
        put(tx, &g);
    }
    return r;
}

int logs_put_retention_policy(struct tx *tx, const struct logs_put_retention_policy_in *in,
                              struct logs_put_retention_policy_out *out, struct gt_err *err)
{
    static const int64_t allowed[] = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                      365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};
    bool ok = false;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        ok = ok || in->retention_in_days == allowed[i];
    }
    if (!ok) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "Invalid retention value. Valid values are: [1, 3, 5, 7, 14, 30, 60, 90, "
                          "120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, "
                          "3653]");
    }
    struct rec_logs_group *g = group_get(tx, in->log_group_name, err);
    if (!g) {
        return -ENOENT;
    }
    g->retention_days = in->retention_in_days;
    put(tx, g);
    return 0;
}

int logs_delete_retention_policy(struct tx *tx, const struct logs_delete_retention_policy_in *in,
                                 struct logs_delete_retention_policy_out *out, struct gt_err *err)
{
    struct rec_logs_group *g = group_get(tx, in->log_group_name, err);
    if (!g) {
        return -ENOENT;
    }
    g->retention_days = 0;
    put(tx, g);
    return 0;
}

/* -- tags, by name and by ARN -- */

static struct wire_str_map show_tags(struct tx *tx, const struct rec_logs_group *g)
{
    struct wire_str_map m = {.has = true, .n = g->tags.n};
    m.v = gt_arena_array(tx_arena(tx), struct wire_str_pair, g->tags.n + 1);
    for (size_t i = 0; i < g->tags.n; i++) {
        m.v[i] = (struct wire_str_pair){g->tags.v[i].key, g->tags.v[i].value};
    }
    return m;
}

/* arn:aws:logs:<region>:<account>:log-group:<name>, with or without ":*". */
static struct rec_logs_group *group_by_arn(struct tx *tx, struct gt_str text, struct gt_err *err)
{
    struct arn arn;
    if (!arn_parse(text, &arn) || !gt_str_is(arn.service, "logs") ||
        !gt_str_is(arn.type, "log-group") || !gt_str_eq(arn.account, tx_account(tx)) ||
        !gt_str_eq(arn.region, tx_region(tx))) {
        gt_err_set(err, GT_ERR_INVALID, "'" GT_STR_FMT "' is not the ARN of a log group here.",
                   GT_STR_ARG(text));
        return NULL;
    }
    struct gt_str name = arn.id;
    if (name.n > 2 && memcmp(name.p + name.n - 2, ":*", 2) == 0) {
        name.n -= 2;
    }
    return group_get(tx, name, err);
}

int logs_tag_log_group(struct tx *tx, const struct logs_tag_log_group_in *in,
                       struct logs_tag_log_group_out *out, struct gt_err *err)
{
    struct rec_logs_group *g = group_get(tx, in->log_group_name, err);
    int r = g ? set_tags(tx, g, &in->tags, err) : -ENOENT;
    if (r == 0) {
        put(tx, g);
    }
    return r;
}

int logs_tag_resource(struct tx *tx, const struct logs_tag_resource_in *in,
                      struct logs_tag_resource_out *out, struct gt_err *err)
{
    struct rec_logs_group *g = group_by_arn(tx, in->resource_arn, err);
    int r = g ? set_tags(tx, g, &in->tags, err) : gt_err_code(err);
    if (r == 0) {
        put(tx, g);
    }
    return r;
}

int logs_untag_log_group(struct tx *tx, const struct logs_untag_log_group_in *in,
                         struct logs_untag_log_group_out *out, struct gt_err *err)
{
    struct rec_logs_group *g = group_get(tx, in->log_group_name, err);
    if (!g) {
        return -ENOENT;
    }
    drop_tags(g, &in->tags);
    put(tx, g);
    return 0;
}

int logs_untag_resource(struct tx *tx, const struct logs_untag_resource_in *in,
                        struct logs_untag_resource_out *out, struct gt_err *err)
{
    struct rec_logs_group *g = group_by_arn(tx, in->resource_arn, err);
    if (!g) {
        return gt_err_code(err);
    }
    drop_tags(g, &in->tag_keys);
    put(tx, g);
    return 0;
}

int logs_list_tags_log_group(struct tx *tx, const struct logs_list_tags_log_group_in *in,
                             struct logs_list_tags_log_group_out *out, struct gt_err *err)
{
    const struct rec_logs_group *g = group_get(tx, in->log_group_name, err);
    if (!g) {
        return -ENOENT;
    }
    out->tags = show_tags(tx, g);
    return 0;
}

int logs_list_tags_for_resource(struct tx *tx, const struct logs_list_tags_for_resource_in *in,
                                struct logs_list_tags_for_resource_out *out, struct gt_err *err)
{
    const struct rec_logs_group *g = group_by_arn(tx, in->resource_arn, err);
    if (!g) {
        return gt_err_code(err);
    }
    out->tags = show_tags(tx, g);
    return 0;
}

/* "arn:...:log-group:<name>", and what may follow: ":*", ":log-stream:<stream>". */
static bool tags(struct tx *tx, struct gt_str arn, struct rec_kv_list *ret)
{
    struct gt_str prefix = gt_str(tx_arn(tx, "logs", "log-group:"));
    const struct rec_logs_group *g = NULL;
    if (gt_str_starts(arn, prefix)) {
        struct gt_str name = gt_str_n(arn.p + prefix.n, arn.n - prefix.n);
        const char *colon = name.n ? memchr(name.p, ':', name.n) : NULL;
        name.n = colon ? (size_t)(colon - name.p) : name.n;
        g = tx_get(tx, group_key(tx, name), &rec_logs_group_desc);
    }
    *ret = g ? g->tags : (struct rec_kv_list){0};
    return g != NULL;
}

const struct service *logs_control(void)
{
    static const struct service_policy policy = {.tags = tags};
    static struct service s = {
        .name = "logs", .ops = logs_ops, .changes = logs_changes, .policy = &policy};
    s.n_ops = n_logs_ops;
    return &s;
}
