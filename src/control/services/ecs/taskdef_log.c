/*
 * logConfiguration of a container definition: the driver awslogs and those of its options that
 * have their effect here. The node takes them apart once more: node/agent/logs.c and spec.c.
 */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/taskdef.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/base/size.h"

#define NAME(c) GT_STR_ARG((c)->name)

enum { LOG_NAME_MAX = 512, TASK_ID = 32 };

typedef bool (*value_check)(const struct ecs_container_definition *c, struct gt_str v);

static bool is_group(const struct ecs_container_definition *c, struct gt_str v)
{
    return name_valid(v, "./#", LOG_NAME_MAX);
}

static bool is_region(const struct ecs_container_definition *c, struct gt_str v)
{
    bool ok = v.n > 0 && v.n <= 32;
    for (size_t i = 0; ok && i < v.n; i++) {
        ok = v.p[i] == '-' || (v.p[i] >= 'a' && v.p[i] <= 'z') || (v.p[i] >= '0' && v.p[i] <= '9');
    }
    return ok;
}

/* "<prefix>/<container>/<task id>" must be the name of a stream. */
static bool is_prefix(const struct ecs_container_definition *c, struct gt_str v)
{
    return v.n > 0 && v.n + 1 + c->name.n + 1 + TASK_ID <= LOG_NAME_MAX && !memchr(v.p, ':', v.n) &&
           !memchr(v.p, '*', v.n) && !memchr(v.p, '\0', v.n);
}

static bool is_bool(const struct ecs_container_definition *c, struct gt_str v)
{
    return gt_str_is(v, "true") || gt_str_is(v, "false");
}

static bool is_mode(const struct ecs_container_definition *c, struct gt_str v)
{
    return gt_str_is(v, "blocking") || gt_str_is(v, "non-blocking");
}

static bool is_buffer_size(const struct ecs_container_definition *c, struct gt_str v)
{
    uint64_t n;
    return gt_size_parse(v, &n) && n >= GT_LIMIT_LOG_SPOOL_MIN && n <= GT_LIMIT_LOG_SPOOL_MAX;
}

static const struct {
    const char *name;
    value_check valid;
    const char *what; /* it must be */
} options[] = {
    {"awslogs-group", is_group, "the name of a log group"},
    {"awslogs-region", is_region, "a region"},
    {"awslogs-stream-prefix", is_prefix, "the beginning of a log stream's name"},
    {"awslogs-create-group", is_bool, "true or false"},
    {"mode", is_mode, "blocking or non-blocking"},
    {"max-buffer-size", is_buffer_size, "a size from 4k to 1t, like 25m"},
};

static int check_option(const struct ecs_container_definition *c, const struct wire_str_pair *o,
                        struct gt_err *err)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(options); i++) {
        if (!gt_str_is(o->key, options[i].name)) {
            continue;
        }
        return options[i].valid(c, o->value)
                   ? 0
                   : refused(err,
                             "Invalid value '" GT_STR_FMT "' of the log driver awslogs option '%s' "
                             "(container '" GT_STR_FMT "'). It must be %s.",
                             GT_STR_ARG(o->value), options[i].name, NAME(c), options[i].what);
    }
    return refused(err,
                   "Log driver awslogs option '" GT_STR_FMT
                   "' is not supported (container '" GT_STR_FMT "').",
                   GT_STR_ARG(o->key), NAME(c));
}

static struct gt_str option(const struct ecs_log_configuration *l, const char *name)
{
    for (size_t i = 0; i < l->options.n; i++) {
        if (gt_str_is(l->options.v[i].key, name)) {
            return l->options.v[i].value;
        }
    }
    return (struct gt_str){0};
}

int taskdef_check_log(const struct ecs_container_definition *c, struct gt_err *err)
{
    const struct ecs_log_configuration *l = c->log_configuration;
    if (!l) {
        return 0;
    }
    if (!gt_str_is(l->log_driver, "awslogs")) {
        return refused(err,
                       "Invalid setting for container '" GT_STR_FMT "'. Log driver '" GT_STR_FMT
                       "' is not supported: 'awslogs' is.",
                       NAME(c), GT_STR_ARG(l->log_driver));
    }
    if (l->secret_options.n) {
        return refused(err,
                       "Invalid setting for container '" GT_STR_FMT
                       "'. 'logConfiguration.secretOptions' is not supported.",
                       NAME(c));
    }
    for (size_t i = 0; i < l->options.n; i++) {
        int r = check_option(c, &l->options.v[i], err);
        if (r < 0) {
            return r;
        }
    }
    if (option(l, "max-buffer-size").p && gt_str_is(option(l, "mode"), "blocking")) {
        return refused(err,
                       "Log driver awslogs option 'max-buffer-size' is only supported with mode "
                       "non-blocking (container '" GT_STR_FMT "').",
                       NAME(c));
    }
    return option(l, "awslogs-group").n
               ? 0
               : refused(err,
                         "Log driver awslogs requires options: awslogs-group (container "
                         "'" GT_STR_FMT "').",
                         NAME(c));
}
