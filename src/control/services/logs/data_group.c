/* DescribeLogGroups, DeleteLogGroup, and what is done to all groups from time to time. */
#include "control/services/agent/access.h"
#include "control/services/gen/logs_handlers.h"
#include "control/services/logs/group.h"
#include "control/services/logs/logs.h"
#include "lib/base/limits.h"
#include "lib/base/table.h"
#include "lib/wire/arn.h"

#include <errno.h>

/* -- DescribeLogGroups -- */

struct describing {
    const struct logs_describe_log_groups_in *in;
    struct logs_describe_log_groups_out *out;
    struct gt_arena *arena;
    struct gt_str *ids;
    size_t max;
    bool more;
};

static bool has_text(struct gt_str in, struct gt_str what)
{
    return what.n == 0 || memmem(in.p, in.n, what.p, what.n) != NULL;
}

/* logGroupIdentifiers: names or ARNs; none means all. */
static bool is_named(struct tx *tx, const struct logs_describe_log_groups_in *in,
                     struct gt_str name)
{
    const struct wire_str_list *ids = &in->log_group_identifiers;
    for (size_t i = 0; i < ids->n; i++) {
        struct arn arn;
        struct gt_str id = ids->v[i];
        if (arn_parse(id, &arn)) {
            bool here = gt_str_is(arn.service, "logs") && gt_str_is(arn.type, "log-group") &&
                        gt_str_eq(arn.account, tx_account(tx)) &&
                        gt_str_eq(arn.region, tx_region(tx));
            id = here ? arn.id : (struct gt_str){0};
        }
        if (gt_str_eq(id, name)) {
            return true;
        }
    }
    return ids->n == 0;
}

static void show(struct tx *tx, struct describing *d, const struct rec_logs_group *g)
{
    struct logs_log_group *to = &d->out->log_groups.v[d->out->log_groups.n];
    d->ids[d->out->log_groups.n++] = gt_str(gt_arena_str(d->arena, g->id));
    to->log_group_name = gt_str(gt_arena_str(d->arena, g->name));
    to->arn = gt_str(gt_arena_strdup(
        d->arena, tx_arn(tx, "logs", "log-group:" GT_STR_FMT ":*", GT_STR_ARG(g->name))));
    to->log_group_arn = gt_str_n(to->arn.p, to->arn.n - 2); /* without ":*" */
    to->log_group_class = GT_STR_LIT(LOGS_LOG_GROUP_CLASS_STANDARD);
    WIRE_SET(to, creation_time, g->created_at);
    WIRE_SET(to, metric_filter_count, 0);
    if (g->retention_days > 0) {
        WIRE_SET(to, retention_in_days, g->retention_days);
    }
}

static int describe(struct tx *tx, void *arg, struct gt_err *err)
{
    struct describing *d = arg;
    if (!node_may_name_group(tx, d->in->log_group_name_prefix)) {
        return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                          "a node's key may ask for the log groups of its tasks alone");
    }
    char *prefix = group_key(tx, d->in->log_group_name_prefix);
    char *after = d->in->next_token.p ? group_key(tx, d->in->next_token) : NULL;
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; (key = tx_next(&c));) {
        const struct rec_logs_group *g = tx_get(tx, key, &rec_logs_group_desc);
        if (!has_text(g->name, d->in->log_group_name_pattern) || !is_named(tx, d->in, g->name)) {
            continue;
        }
        if (d->out->log_groups.n == d->max) {
            d->more = true;
            break;
        }
        show(tx, d, g);
    }
    return 0;
}

int logs_describe_log_groups(struct data_req *rq, const struct logs_describe_log_groups_in *in,
                             struct logs_describe_log_groups_out *out, struct gt_err *err)
{
    if (in->log_group_name_prefix.p && in->log_group_name_pattern.p) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "LogGroup name prefix and LogGroup name pattern are mutually exclusive "
                          "parameters.");
    }
    if (in->log_group_identifiers.n > 0 &&
        (in->log_group_name_prefix.p || in->log_group_name_pattern.p)) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "LogGroupIdentifiers cannot be specified with a name prefix or pattern.");
    }
    if (in->log_group_class.p && !gt_str_is(in->log_group_class, LOGS_LOG_GROUP_CLASS_STANDARD)) {
        out->log_groups.has = true; /* there is none of another class */
        return 0;
    }
    if (in->account_identifiers.n > 0 || in->include_linked_accounts) {
        return gt_err_set(err, GT_ERR_INVALID, "Linked accounts are not supported.");
    }
    struct describing d = {.in = in,
                           .out = out,
                           .arena = data_arena(rq),
                           .max = in->has_limit ? (size_t)in->limit : 50};
    out->log_groups.has = true;
    out->log_groups.v = gt_arena_array(d.arena, struct logs_log_group, d.max + 1);
    d.ids = gt_arena_array(d.arena, struct gt_str, d.max + 1);
    int r = data_core_call(rq, describe, &d, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < out->log_groups.n; i++) {
        int64_t bytes = (int64_t)log_group_bytes(data_store(rq), d.ids[i]);
        WIRE_SET(&out->log_groups.v[i], stored_bytes, bytes);
    }
    if (d.more) {
        out->next_token = out->log_groups.v[out->log_groups.n - 1].log_group_name;
    }
    return 0;
}

/* -- DeleteLogGroup -- */

static int drop(struct tx *tx, const void *arg, void *out, struct gt_err *err)
{
    const struct rec_logs_group *in = arg;
    if (!group_get(tx, in->name, err)) {
        return -ENOENT;
    }
    tx_delete(tx, group_key(tx, in->name));
    return 0;
}

static const struct service_change drop_group = {"logs.DropGroup", &rec_logs_group_desc, drop};
const struct service_change *const logs_changes[] = {&drop_group, NULL};

/* The record first: what a crash leaves in the store belongs to nobody, and logs_tidy finds it. */
int logs_delete_log_group(struct data_req *rq, const struct logs_delete_log_group_in *in,
                          struct logs_delete_log_group_out *out, struct gt_err *err)
{
    struct log_group_ref g;
    struct gt_str name = in->log_group_name;
    int r = group_find(rq, name, &g, err);
    if (r == 0) {
        struct rec_logs_group which = {.name = name};
        r = data_core_change(rq, &drop_group, &which, NULL, err);
    }
    return r < 0 ? r : log_group_drop(data_store(rq), g.id, err) < 0 ? store_error(err) : 0;
}

/* -- from time to time -- */

struct known_group {
    int64_t retention_days;
};

struct listing {
    struct gt_arena *arena;
    struct gt_table *known; /* id -> struct known_group */
};

/* Where the walk goes on: there are far more keys than groups. */
static const char *skip(struct tx *tx, const char *key, const char *rest)
{
    if (key[0] == '~') {
        return "~\xff"; /* what the core keeps for itself */
    }
    if (!rest) {
        return key;
    }
    const char *to = strcmp(rest, "/logs/group/") < 0 ? "/logs/group/" : "/\xff";
    return gt_arena_printf(tx_arena(tx), "%.*s%s", (int)(rest - key), key, to);
}

/* Groups of all accounts and regions: the key's third part says that it is one. */
static int list(struct tx *tx, void *arg, struct gt_err *err)
{
    struct listing *l = arg;
    struct tx_cursor c = tx_scan(tx, "", NULL);
    for (const char *key; (key = tx_next(&c));) {
        const char *region = strchr(key, '/');
        const char *rest = region ? strchr(region + 1, '/') : NULL;
        if (!rest || strncmp(rest, "/logs/group/", 12) != 0) {
            c.at = skip(tx, key, rest);
            continue;
        }
        const struct rec_logs_group *g = tx_get(tx, key, &rec_logs_group_desc);
        struct known_group *k = gt_arena_new(l->arena, struct known_group);
        k->retention_days = g->retention_days;
        gt_table_put(l->known, g->id, k);
    }
    return 0;
}

int logs_tidy(struct log_store *store, int64_t now,
              int (*call)(void *arg, int (*fn)(struct tx *tx, void *arg, struct gt_err *err),
                          void *fn_arg, struct gt_err *err),
              void *arg, struct gt_err *err)
{
    struct gt_arena arena;
    struct gt_table known;
    struct gt_str *ids;
    size_t n;
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    gt_table_init(&known);
    /* In this order: a group that is made in between is not taken for an orphan. */
    log_groups(store, &arena, &ids, &n);
    struct listing l = {&arena, &known};
    int r = call(arg, list, &l, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const struct known_group *k = gt_table_get(&known, ids[i]);
        if (!k) {
            r = log_group_drop(store, ids[i], err);
        } else if (k->retention_days > 0) {
            log_expire(store, ids[i], now - k->retention_days * DAY_MS);
        }
    }
    log_store_tidy(store);
    gt_table_fini(&known);
    gt_arena_fini(&arena);
    return r;
}
