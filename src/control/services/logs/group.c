#include "control/services/logs/group.h"

#include "lib/wire/arn.h"

#include <errno.h>

char *group_key(struct tx *tx, struct gt_str name)
{
    return tx_key(tx, "logs/group/" GT_STR_FMT, GT_STR_ARG(name));
}

struct rec_logs_group *group_get(struct tx *tx, struct gt_str name, struct gt_err *err)
{
    struct rec_logs_group *g = tx_get(tx, group_key(tx, name), &rec_logs_group_desc);
    if (!g) {
        gt_err_set(err, GT_ERR_NOT_FOUND, "The specified log group does not exist.");
    }
    return g;
}

struct finding {
    struct gt_str name;
    struct log_group_ref *ret;
    struct gt_arena *arena;
    int64_t now;
};

static int find(struct tx *tx, void *arg, struct gt_err *err)
{
    struct finding *f = arg;
    const struct rec_logs_group *g = group_get(tx, f->name, err);
    if (!g) {
        return -ENOENT;
    }
    *f->ret = (struct log_group_ref){
        .name = gt_str(gt_arena_str(f->arena, g->name)),
        .id = gt_str(gt_arena_str(f->arena, g->id)),
        .created = g->created_at,
        .keep_from = g->retention_days > 0 ? f->now - g->retention_days * DAY_MS : 0};
    return 0;
}

int group_find(struct data_req *rq, struct gt_str name, struct log_group_ref *ret,
               struct gt_err *err)
{
    struct finding f = {name, ret, data_arena(rq), data_now(rq)};
    return data_core_call(rq, find, &f, err);
}

int group_find_either(struct data_req *rq, struct gt_str name, struct gt_str identifier,
                      struct log_group_ref *ret, struct gt_err *err)
{
    struct arn arn;
    if (identifier.p && name.p) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "LogGroupName and LogGroupIdentifier cannot both be specified.");
    }
    if (!identifier.p && !name.p) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "Either LogGroupName or LogGroupIdentifier must be specified.");
    }
    if (identifier.p && arn_parse(identifier, &arn)) {
        if (!gt_str_is(arn.service, "logs") || !gt_str_is(arn.type, "log-group") ||
            !gt_str_eq(arn.account, data_account(rq)) || !gt_str_eq(arn.region, data_region(rq))) {
            return gt_err_set(err, GT_ERR_NOT_FOUND, "The specified log group does not exist.");
        }
        identifier = arn.id;
    }
    return group_find(rq, name.p ? name : identifier, ret, err);
}

int store_error(struct gt_err *err)
{
    if (err && (err->sys_errno == ENOSPC || err->sys_errno == EDQUOT)) {
        return gt_err_set(err, GT_ERR_UNAVAILABLE, "The disk of the log store is full.");
    }
    return gt_err_code(err);
}
