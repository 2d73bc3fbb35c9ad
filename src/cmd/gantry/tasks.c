/* Finding tasks and following their logs. */
#include "cmd/gantry/cli.h"
#include "lib/wire/gen/logs.h"
#include "lib/wire/timestamp.h"

#include <stdio.h>
#include <string.h>

struct gt_str cli_task_id(const struct ecs_task *t)
{
    struct gt_str id = t->task_arn;
    for (size_t i = id.n; i > 0; i--) {
        if (id.p[i - 1] == '/') {
            return gt_str_n(id.p + i, id.n - i);
        }
    }
    return id;
}

int cli_each_task(struct cli *c, struct ecs_list_tasks_in filter,
                  bool (*each)(void *arg, struct ecs_task *t), void *arg, struct gt_err *err)
{
    struct ecs_list_tasks_out out;
    do {
        int r = api_call(c->client, &ecs_op_list_tasks, &filter, &c->arena, &out, err);
        if (r < 0) {
            return r;
        }
        struct ecs_describe_tasks_in din = {.cluster = filter.cluster, .tasks = out.task_arns};
        struct ecs_describe_tasks_out dout = {0};
        if (out.task_arns.n &&
            (r = api_call(c->client, &ecs_op_describe_tasks, &din, &c->arena, &dout, err)) < 0) {
            return r;
        }
        for (size_t i = 0; i < dout.tasks.n; i++) {
            if (!each(arg, &dout.tasks.v[i])) {
                return 0;
            }
        }
        filter.next_token = out.next_token;
    } while (out.next_token.n);
    return 0;
}

bool cli_task_stopped(struct cli *c, const struct ecs_task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    struct gt_str arn = t->task_arn;
    struct ecs_describe_tasks_in in = {.cluster = t->cluster_arn, .tasks = {&arn, 1, true}};
    struct ecs_describe_tasks_out out = {0};
    gt_arena_init(&a, 16UL << 20);
    bool yes = api_call(c->client, &ecs_op_describe_tasks, &in, &a, &out, &err) < 0 ||
               out.tasks.n == 0 || gt_str_is(out.tasks.v[0].last_status, "STOPPED");
    gt_arena_fini(&a);
    return yes;
}

struct search {
    struct gt_str which;
    struct ecs_task *found;
    unsigned matches;
};

static bool search(void *arg, struct ecs_task *t)
{
    struct search *s = arg;
    if (s->which.n &&
        (gt_str_starts(cli_task_id(t), s->which) || gt_str_eq(t->task_arn, s->which))) {
        s->matches += !s->found || !gt_str_eq(s->found->task_arn, t->task_arn);
        s->found = t;
    }
    return true;
}

static int search_cluster(struct cli *c, struct search *s, struct gt_str cluster,
                          const char *status, struct gt_err *err)
{
    struct ecs_list_tasks_in filter = {.cluster = cluster, .desired_status = gt_str(status)};
    return cli_each_task(c, filter, search, s, err);
}

struct ecs_task *cli_task(struct cli *c, const char *which)
{
    struct gt_err err = GT_ERR_INIT;
    struct search s = {.which = gt_str(which)};
    struct ecs_list_clusters_in in = {0};
    struct ecs_list_clusters_out out;
    int r = api_call(c->client, &ecs_op_list_clusters, &in, &c->arena, &out, &err);
    for (size_t i = 0; r == 0 && i < out.cluster_arns.n; i++) {
        r = search_cluster(c, &s, out.cluster_arns.v[i], "RUNNING", &err);
        if (r == 0) {
            r = search_cluster(c, &s, out.cluster_arns.v[i], "STOPPED", &err);
        }
    }
    if (r < 0) {
        cli_fail(&err);
        return NULL;
    }
    if (s.matches != 1) {
        fprintf(stderr, "gantry: %s '%s'; `gantry ps --all` lists them\n",
                s.matches ? "more than one task begins with" : "no task", which);
        return NULL;
    }
    return s.found;
}

struct ecs_task_definition *cli_task_definition(struct cli *c, struct gt_str arn)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecs_describe_task_definition_in in = {.task_definition = arn};
    struct ecs_describe_task_definition_out out;
    int r = api_call(c->client, &ecs_op_describe_task_definition, &in, &c->arena, &out, &err);
    if (r < 0) {
        cli_fail(&err);
        return NULL;
    }
    return out.task_definition;
}

bool cli_log_place(struct cli *c, const struct ecs_task *t,
                   const struct ecs_container_definition *d, struct log_place *ret)
{
    const struct ecs_log_configuration *lc = d->log_configuration;
    struct gt_str prefix = {0};
    snprintf(ret->region, sizeof ret->region, "%s", c->in.region);
    if (!lc || !gt_str_is(lc->log_driver, "awslogs")) {
        return false;
    }
    for (size_t i = 0; i < lc->options.n; i++) {
        const struct wire_str_pair *o = &lc->options.v[i];
        if (gt_str_is(o->key, "awslogs-group")) {
            snprintf(ret->group, sizeof ret->group, GT_STR_FMT, GT_STR_ARG(o->value));
        } else if (gt_str_is(o->key, "awslogs-region")) {
            snprintf(ret->region, sizeof ret->region, GT_STR_FMT, GT_STR_ARG(o->value));
        } else if (gt_str_is(o->key, "awslogs-stream-prefix")) {
            prefix = o->value;
        }
    }
    struct gt_str id = cli_task_id(t);
    for (size_t i = 0; !prefix.n && i < t->containers.n; i++) {
        if (gt_str_eq(t->containers.v[i].name, d->name)) {
            snprintf(ret->stream, sizeof ret->stream, GT_STR_FMT,
                     GT_STR_ARG(t->containers.v[i].runtime_id));
        }
    }
    if (prefix.n) {
        snprintf(ret->stream, sizeof ret->stream, GT_STR_FMT "/" GT_STR_FMT "/" GT_STR_FMT,
                 GT_STR_ARG(prefix), GT_STR_ARG(d->name), GT_STR_ARG(id));
    }
    return true;
}

static void print_event(const struct logs_output_log_event *e, bool timestamp)
{
    if (timestamp) {
        gt_auto_buf struct gt_buf when = GT_BUF_INIT(64);
        wire_time_put_iso(e->timestamp, &when);
        printf("%.*s ", (int)when.n, when.p);
    }
    fwrite(e->message.p, 1, e->message.n, stdout);
    putchar('\n');
}

int cli_log_more(struct cli *c, const struct log_place *p, struct log_view *v, struct gt_err *err)
{
    struct gt_arena a;
    struct logs_get_log_events_in in = {.log_group_name = gt_str(p->group),
                                        .log_stream_name = gt_str(p->stream)};
    struct logs_get_log_events_out out = {0};
    bool tail = v->tail >= 0 && !v->token[0];
    WIRE_SET(&in, start_from_head, !tail);
    if (tail) {
        WIRE_SET(&in, limit, GT_MAX(v->tail, 1));
    }
    if (v->since_ms) {
        WIRE_SET(&in, start_time, v->since_ms);
    }
    if (v->token[0]) {
        in.next_token = gt_str(v->token);
    }
    gt_arena_init(&a, 64UL << 20);
    api_client_set_region(c->client, p->region);
    int r = api_call(c->client, &logs_op_get_log_events, &in, &a, &out, err);
    api_client_set_region(c->client, c->in.region);
    if (r < 0 && gt_streq(api_client_exception(c->client), "ResourceNotFoundException")) {
        gt_arena_fini(&a);
        return 0; /* nothing was written yet */
    }
    if (r == 0) {
        for (size_t i = 0; i < out.events.n && !(tail && v->tail == 0); i++) {
            print_event(&out.events.v[i], v->timestamps);
        }
        fflush(stdout);
        snprintf(v->token, sizeof v->token, GT_STR_FMT, GT_STR_ARG(out.next_forward_token));
        r = (int)out.events.n;
    }
    gt_arena_fini(&a);
    return r;
}
