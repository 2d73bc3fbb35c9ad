/* gantry history: what became of a key of the state. */
#include "cmd/gantry/cli.h"
#include "lib/wire/gen/admin.h"
#include "lib/wire/json.h"
#include "lib/wire/timestamp.h"

#include <stdio.h>
#include <string.h>

static void print_time(int64_t ms)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(64);
    wire_time_put_iso(ms, &b);
    printf("%s", b.p);
}

static bool is_time(struct gt_str name)
{
    return name.n > 3 && memcmp(name.p + name.n - 3, "_at", 3) == 0;
}

static void print_value(struct gt_str name, struct gt_str value)
{
    gt_auto_free char *text = gt_asprintf(GT_STR_FMT, GT_STR_ARG(value));
    if (!value.n) {
        printf("none");
    } else if (is_time(name) && text[strspn(text, "0123456789")] == '\0') {
        print_time(strtoll(text, NULL, 10));
    } else {
        printf("%s", text);
    }
}

static void print_change(const struct admin_change *c)
{
    printf("%lld  ", (long long)c->revision);
    print_time(c->time);
    printf("  " GT_STR_FMT "  " GT_STR_FMT "  by " GT_STR_FMT "\n", GT_STR_ARG(c->action),
           GT_STR_ARG(c->call), GT_STR_ARG(c->who));
    for (size_t i = 0; i < c->fields.n; i++) {
        const struct admin_changed_field *f = &c->fields.v[i];
        printf("    " GT_STR_FMT ": ", GT_STR_ARG(f->name));
        if (f->from.n) {
            print_value(f->name, f->from);
            printf(" -> ");
        }
        print_value(f->name, f->to);
        putchar('\n');
    }
}

static void print_json(const struct admin_change *c)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(64UL << 20);
    wire_json_encode(&admin_change_shape, c, &b);
    puts(gt_buf_ok(&b) && b.p ? b.p : "{}");
}

struct shown {
    bool json;
    struct gt_buf key; /* the one that the last line was about */
};

static void show(struct shown *s, const struct admin_change_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct admin_change *c = &l->v[i];
        if (s->json) {
            print_json(c);
            continue;
        }
        if (!gt_str_eq(gt_buf_view(&s->key), c->key)) {
            gt_buf_reset(&s->key);
            gt_buf_str(&s->key, c->key);
            printf(GT_STR_FMT "\n", GT_STR_ARG(c->key));
        }
        print_change(c);
    }
}

static int walk(struct cli *c, const char *key, bool json)
{
    struct gt_err err = GT_ERR_INIT;
    struct admin_list_history_in in = {.key = gt_str(key)};
    struct shown s = {.json = json, .key = GT_BUF_INIT(4096)};
    gt_auto_buf struct gt_buf token = GT_BUF_INIT(8192);
    bool more = true;
    size_t n = 0;
    int64_t first = 0;
    int r = 0;
    while (r == 0 && more) {
        struct gt_arena a;
        struct admin_list_history_out out;
        gt_arena_init(&a, 64UL << 20);
        r = api_call(c->client, &admin_op_list_history, &in, &a, &out, &err);
        if (r == 0) {
            show(&s, &out.changes);
            n += out.changes.n;
            first = out.first_revision;
            more = out.next_token.n > 0;
            gt_buf_reset(&token);
            gt_buf_str(&token, out.next_token);
            in.next_token = gt_buf_view(&token);
        }
        gt_arena_fini(&a);
    }
    gt_buf_fini(&s.key);
    if (r == 0 && n == 0) {
        fprintf(stderr, "gantry: no change of '%s' is kept; the oldest kept revision is %lld\n",
                key, (long long)first);
        return 1;
    }
    return r < 0 ? cli_fail(&err) : 0;
}

int cmd_history(int argc, char **argv)
{
    const char *state = NULL;
    bool json = false;
    struct cli c;
    const struct option_def defs[] = {
        {"json", NULL, "a JSON object for each change, one a line", NULL, &json},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    int r = options_parse_mixed(
        defs, "gantry history [options] KEY",
        "Shows all kept changes of task/ID, service/CLUSTER/NAME, node/ID, cluster/NAME,\n"
        "taskdef/FAMILY:REVISION, or a key of the journal: when, who, by which call, and\n"
        "which fields.",
        &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc != 2) {
        fprintf(stderr, "gantry history: which key? task/ID, service/CLUSTER/NAME, ...\n");
        return 2;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    r = walk(&c, argv[1], json);
    cli_close(&c);
    return r;
}
