/*
 * Paths to answers. Texts and statuses of errors are those of amazon-ecs-agent: a client that
 * matches on them finds what it knows. Only the `id in the URL is of the task that asks` rule is
 * ours; to a task, another's id looks like one that does not exist.
 */
#include "lib/base/mem.h"
#include "node/link/link_priv.h"
#include "node/link/metadata.h"

#include <stdio.h>

#define JSON "application/json"

static void say(struct answer *to, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A JSON string. */
static void say(struct answer *to, int status, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    to->status = status;
    gt_buf_reset(&to->body);
    meta_json_string(gt_str(text), &to->body);
}

static void not_found(struct answer *to)
{
    to->status = 404;
    to->type = "text/plain; charset=utf-8";
    gt_buf_puts(&to->body, "404 page not found\n");
}

static void serve(struct answer *to, struct gt_str json)
{
    to->status = 200;
    gt_buf_str(&to->body, json);
}

static struct gt_str or_else(struct gt_str a, struct gt_str b)
{
    return a.n > 0 ? a : b;
}

static struct gt_str segment(struct gt_str *path)
{
    const char *slash = path->n ? memchr(path->p, '/', path->n) : NULL;
    size_t n = slash ? (size_t)(slash - path->p) : path->n;
    struct gt_str s = gt_str_n(path->p, n);
    size_t skip = slash ? n + 1 : n;
    *path = gt_str_n(path->p + skip, path->n - skip);
    return s;
}

static const struct link_container *container_of(const struct link_task *t, struct gt_str endpoint)
{
    for (size_t i = 0; i < t->n_containers; i++) {
        if (gt_str_eq(t->containers[i].endpoint, endpoint)) {
            return &t->containers[i];
        }
    }
    return NULL;
}

static void task_stats(const struct link_task *t, struct answer *to)
{
    to->status = 200;
    for (size_t i = 0; i < t->n_containers; i++) {
        gt_buf_putc(&to->body, i ? ',' : '{');
        meta_json_string(t->containers[i].runtime_id, &to->body);
        gt_buf_putc(&to->body, ':');
        stats_write(t, &t->containers[i], &to->body);
    }
    gt_buf_puts(&to->body, t->n_containers ? "}" : "{}");
}

static void container_stats(const struct link_task *t, const struct link_container *c,
                            struct answer *to)
{
    to->status = 200;
    stats_write(t, c, &to->body);
}

#define NO_CONTAINER                                                                               \
    "unable to get container ID from request: unable to get docker ID from v3 endpoint ID: "
#define NO_TASK "unable to get task arn from request: unable to get task Arn from v3 endpoint ID: "

/* /v3/<id>... and /v4/<id>... */
static void by_endpoint(const struct index *x, uint32_t from, int version, struct gt_str path,
                        struct answer *to)
{
    struct gt_str id = segment(&path);
    bool task = gt_str_is(path, "task"), tags = gt_str_is(path, "taskWithTags");
    bool stats = gt_str_is(path, "stats"), all_stats = gt_str_is(path, "task/stats");
    if (id.n == 0 || (path.n > 0 && !task && !tags && !stats && !all_stats)) {
        not_found(to);
        return;
    }
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(LINK_STATE_MAX);
    struct link_task t;
    const struct index_task *entry = index_by_endpoint(x, from, id);
    const struct link_container *c = NULL;
    if (entry && index_read(x, entry, &bytes, &t) == 0) {
        c = container_of(&t, id);
    }
    if (!c) {
        const char *what = task || tags  ? "task metadata"
                           : path.n == 0 ? "container metadata"
                           : all_stats   ? "task stats"
                                         : "container stats";
        say(to, version == 4 ? 404 : 500, "V%d %s handler: %s" GT_STR_FMT, version, what,
            path.n == 0 ? NO_CONTAINER : NO_TASK, GT_STR_ARG(id));
    } else if (stats) {
        container_stats(&t, c, to);
    } else if (all_stats) {
        task_stats(&t, to);
    } else if (version == 3) {
        serve(to, path.n == 0 ? or_else(c->json_v2, c->json_v4) : or_else(t.json_v2, t.json_v4));
    } else {
        serve(to, path.n == 0 ? c->json_v4 : tags ? or_else(t.json_v4_tags, t.json_v4) : t.json_v4);
    }
}

/* /v2/metadata[/<container>], /v2/stats[/<container>]: the address alone says who asks. */
static void by_address(const struct index *x, uint32_t from, bool stats, struct gt_str container,
                       struct answer *to)
{
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(LINK_STATE_MAX);
    struct link_task t;
    const struct index_task *entry = index_by_address(x, from);
    if (!entry || index_read(x, entry, &bytes, &t) < 0) {
        const unsigned char *b = (const unsigned char *)&from;
        say(to, 400,
            "Unable to get task arn from request: unable to associate '%u.%u.%u.%u' with task",
            b[0], b[1], b[2], b[3]);
        return;
    }
    if (container.n == 0) {
        if (stats) {
            task_stats(&t, to);
        } else {
            serve(to, or_else(t.json_v2, t.json_v4));
        }
        return;
    }
    for (size_t i = 0; i < t.n_containers; i++) {
        const struct link_container *c = &t.containers[i];
        if (gt_str_eq(c->runtime_id, container)) {
            if (stats) {
                container_stats(&t, c, to);
            } else {
                serve(to, or_else(c->json_v2, c->json_v4));
            }
            return;
        }
    }
    say(to, 400, "Unable to generate metadata for container '" GT_STR_FMT "'",
        GT_STR_ARG(container));
}

static void refuse_credentials(struct answer *to, int status, const char *code, const char *why)
{
    to->status = status;
    gt_buf_printf(&to->body,
                  "{\"code\":\"%s\",\"message\":\"CredentialsV2Request: %s\","
                  "\"HTTPErrorCode\":%d}",
                  code, why, status);
}

static void credentials(const struct index *x, uint32_t from, struct gt_str id, struct answer *to)
{
    if (id.n == 0) {
        refuse_credentials(to, 400, "NoIdInRequest", "No Credential ID in the request");
        return;
    }
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(LINK_STATE_MAX);
    struct link_task t;
    const struct index_task *entry = index_by_credentials(x, from, id);
    if (entry && index_read(x, entry, &bytes, &t) == 0) {
        for (size_t i = 0; i < t.n_credentials; i++) {
            if (!gt_str_eq(t.credentials[i].id, id)) {
                continue;
            }
            if (t.credentials[i].json.n == 0) {
                refuse_credentials(to, 503, "CredentialsUninitialized",
                                   "Credentials uninitialized for ID");
            } else {
                serve(to, t.credentials[i].json);
            }
            return;
        }
    }
    /* The same whether nobody has this id or another task: who asks learns nothing. (The ECS agent
     * looks at no address, and says 400.) */
    refuse_credentials(to, 403, "InvalidIdInRequest", "Credentials not found");
}

void routes_answer(const struct index *x, uint32_t from, const struct http_head *head,
                   struct answer *to)
{
    to->type = JSON;
    if (!gt_str_is(head->method, "GET") && !gt_str_is(head->method, "HEAD")) {
        to->status = 405;
        to->type = "text/plain; charset=utf-8";
        return;
    }
    struct gt_str path = gt_str_n(head->path.p + 1, head->path.n - 1);
    struct gt_str version = segment(&path);
    if (gt_str_is(version, "v4") || gt_str_is(version, "v3")) {
        by_endpoint(x, from, version.p[1] - '0', path, to);
        return;
    }
    struct gt_str kind = gt_str_is(version, "v2") ? segment(&path) : gt_str("");
    if (gt_str_is(kind, "credentials")) {
        credentials(x, from, path, to);
    } else if (gt_str_is(kind, "metadata") || gt_str_is(kind, "stats")) {
        by_address(x, from, gt_str_is(kind, "stats"), path, to);
    } else {
        not_found(to);
    }
}
