/*
 * Calls of any operation of ECS with whatever its model lets one say, and with what it does not:
 * values come from the shape, or from a pool of names that mean something and of text that does
 * not. Whatever the answer is, the core must survive it and all invariants must hold.
 */
#include "control/services/ecs/ecs.h"
#include "lib/base/buf.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/json.h"
#include "trial_priv.h"

#include <stdio.h>

enum { DEEPEST = 5, BODY_MAX = 256 * 1024 };

static const char *const nonsense[] = {
    "",
    "*",
    "../../etc/passwd",
    "a/b/c",
    "arn:aws:ecs:us-east-1:000000000000:",
    "arn:aws:ecs:us-east-1:000000000000:task/default/",
    "arn:aws:ecs:eu-west-1:123456789012:cluster/default",
    "\xc3\xa4\xc3\xb6\xc3\xbc\xf0\x9f\x8c\x8d",
    "0",
    "-1",
    "99999999999999999999",
    "aws:reserved",
    "%s%n",
};

static const char *const words[] = {
    "spread",
    "binpack",
    "random",
    "cpu",
    "memory",
    "attribute:ecs.availability-zone",
    "instanceId",
    "distinctInstance",
    "memberOf",
    "attribute:zone == a and not (attribute:x exists)",
    "task:group == service:svc0",
    "ecs.availability-zone in [us-east-1a]",
    "EC2",
    "FARGATE",
    "EXTERNAL",
    "service:svc1",
    "family:app",
    "subnet-1",
    "main",
    "awsvpc",
    "bridge",
    "host",
    "256",
    "512",
    "ACTIVE",
    "TAGS",
};

/* The id of some task that there is; false: there is none. */
static bool some_task(struct trial *t, char *to, size_t size)
{
    char after[128];
    snprintf(after, sizeof after, SIM_PLACE "ecs/task/default/%x", (unsigned)between(t, 0, 0xffff));
    const char *key;
    struct gt_str value;
    if (!core_next_key(t->w.core, SIM_PLACE "ecs/task/default/", after, &key, &value)) {
        return false;
    }
    snprintf(to, size, "%s%s",
             chance(t, 50) ? "arn:aws:ecs:us-east-1:000000000000:task/default/" : "",
             strrchr(key, '/') + 1);
    return true;
}

/* What a member of that name usually says. */
static bool name_for(struct trial *t, const char *member, char *to, size_t size)
{
    if (strstr(member, "luster")) {
        snprintf(to, size, "%s", chance(t, 90) ? "default" : "nowhere");
    } else if (strstr(member, "ontainerInstance") || strstr(member, "targetId")) {
        snprintf(to, size, "node%d", (int)between(t, 0, t->plan.nodes));
    } else if (strstr(member, "ervice")) {
        snprintf(to, size, "svc%d", (int)between(t, 0, SERVICES));
    } else if (strstr(member, "amily")) {
        snprintf(to, size, "wild%d", (int)between(t, 0, 2));
    } else if (strstr(member, "askDefinition")) {
        snprintf(to, size, "%s", chance(t, 60) ? "app" : chance(t, 50) ? "wild0:1" : "wild1");
    } else if (strstr(member, "ask")) {
        return some_task(t, to, size);
    } else {
        return false;
    }
    return true;
}

static void say_text(struct trial *t, const struct wire_shape *shape, const char *member,
                     struct gt_buf *b)
{
    char text[600];
    if (shape->enums && chance(t, 85)) {
        size_t n = 0;
        while (shape->enums[n]) {
            n++;
        }
        snprintf(text, sizeof text, "%s", shape->enums[between(t, 0, (int64_t)n - 1)]);
    } else if (chance(t, 75) && name_for(t, member, text, sizeof text)) {
    } else if (chance(t, 70)) {
        snprintf(text, sizeof text, "%s", words[between(t, 0, GT_ARRAY_LEN(words) - 1)]);
    } else if (chance(t, 80)) {
        snprintf(text, sizeof text, "%s", nonsense[between(t, 0, GT_ARRAY_LEN(nonsense) - 1)]);
    } else {
        memset(text, 'x', sizeof text - 1);
        text[between(t, 1, sizeof text - 1)] = '\0';
    }
    wire_json_string(b, gt_str(text));
}

static void say_number(struct trial *t, struct gt_buf *b)
{
    static const int64_t numbers[] = {-1,   0,     0,     1,         1,         2,        3,   10,
                                      64,   80,    100,   128,       150,       200,      256, 512,
                                      5000, 65535, 65536, INT32_MAX, INT64_MAX, INT64_MIN};
    gt_buf_printf(b, "%lld", (long long)numbers[between(t, 0, GT_ARRAY_LEN(numbers) - 1)]);
}

static void say(struct trial *t, const struct wire_shape *shape, const char *member, int depth,
                struct gt_buf *b);

static void say_members(struct trial *t, const struct wire_shape *shape, int depth,
                        struct gt_buf *b)
{
    bool first = true;
    unsigned share = depth == 0 ? (unsigned)between(t, 10, 60) : 30;
    gt_buf_putc(b, '{');
    for (uint32_t i = 0; i < shape->n_members; i++) {
        const struct wire_member *m = &shape->members[i];
        if (chance(t, m->required ? 95 : share)) {
            gt_buf_printf(b, "%s\"%s\":", first ? "" : ",", m->wire);
            say(t, m->shape, m->wire, depth + 1, b);
            first = false;
        }
    }
    gt_buf_putc(b, '}');
}

static void say(struct trial *t, const struct wire_shape *shape, const char *member, int depth,
                struct gt_buf *b)
{
    int64_t n = depth > DEEPEST ? 0 : between(t, 0, 3);
    if (chance(t, 2)) { /* of another type than it should be */
        gt_buf_puts(b, chance(t, 50) ? "null" : "[{}]");
        return;
    }
    switch (shape->type) {
    case WIRE_STRING:
    case WIRE_BLOB:
        say_text(t, shape, member, b);
        break;
    case WIRE_INTEGER:
    case WIRE_LONG:
    case WIRE_TIMESTAMP:
    case WIRE_DOUBLE:
        say_number(t, b);
        break;
    case WIRE_BOOLEAN:
        gt_buf_puts(b, chance(t, 50) ? "true" : "false");
        break;
    case WIRE_STRUCTURE:
        say_members(t, shape, depth, b);
        break;
    case WIRE_LIST:
        gt_buf_putc(b, '[');
        for (int64_t i = 0; i < n; i++) {
            gt_buf_puts(b, i ? "," : "");
            say(t, shape->of, member, depth + 1, b);
        }
        gt_buf_putc(b, ']');
        break;
    case WIRE_MAP:
        gt_buf_putc(b, '{');
        for (int64_t i = 0; i < n; i++) {
            gt_buf_printf(b, "%s\"%s\":", i ? "," : "", words[between(t, 0, 3)]);
            say(t, shape->of, member, depth + 1, b);
        }
        gt_buf_putc(b, '}');
        break;
    }
}

/* What the other callers live on stays as it is. */
static bool spared(struct gt_str op, struct gt_str body)
{
    bool definition =
        gt_str_is(op, "DeregisterTaskDefinition") || gt_str_is(op, "DeleteTaskDefinitions");
    return gt_str_is(op, "DeregisterContainerInstance") || gt_str_is(op, "DeleteCluster") ||
           (definition && memmem(body.p, body.n, "app", 3));
}

void random_call(struct trial *t, unsigned node)
{
    const struct service *ecs = ecs_control();
    const struct service_op *op;
    do {
        op = &ecs->ops[between(t, 0, (int64_t)ecs->n_ops - 1)];
    } while (!op->core);
    gt_auto_buf struct gt_buf body = GT_BUF_INIT(BODY_MAX);
    say_members(t, op->op->in, 0, &body);
    if (!gt_buf_ok(&body) || spared(gt_str(op->op->name), gt_buf_view(&body))) {
        return;
    }
    uint64_t before = core_revision(t->w.core);
    struct core_call c = sim_world_ask(&t->w, ecs, op->op, gt_buf_view(&body), NULL);
    trace(t, "%s %.*s: %s", op->op->name, (int)GT_MIN(body.n, (size_t)1000), body.p,
          c.result < 0 ? c.err.msg : "ok");
    if (core_revision(t->w.core) != before && strstr(op->op->name, "Service")) {
        callers_look(t, c.result >= 0);
    }
}
