/* gantry token create | list | revoke: what lets another machine join this server. */
#include "cmd/duration.h"
#include "cmd/gantry/cli.h"
#include "lib/base/clock.h"
#include "lib/wire/gen/admin.h"

#include <stdio.h>

enum { COLUMNS = 4 };

static int create(struct cli *c, struct admin_create_token_in *in)
{
    struct gt_err err = GT_ERR_INIT;
    struct admin_create_token_out out = {0};
    if (api_call(c->client, &admin_op_create_token, in, &c->arena, &out, &err) < 0) {
        return cli_fail(&err);
    }
    char until[25];
    gt_time_rfc3339(out.expires_at, until);
    printf("%.*s\n", GT_STR_ARG(out.token));
    fprintf(stderr,
            "Good until %s for %lld machine%s. There, as root, with it in a file of mode 0600:\n"
            "    gantry agent --join https://THIS-SERVER:PORT --token-file FILE\n",
            until, (long long)out.uses, out.uses == 1 ? "" : "s");
    return 0;
}

static void add(struct gt_arena *a, const struct admin_token *t, const char **cell)
{
    char until[25];
    gt_time_rfc3339(t->expires_at, until);
    cell[0] = gt_arena_str(a, t->id);
    cell[1] = gt_arena_printf(a, "%lld/%lld", (long long)t->used, (long long)t->uses);
    cell[2] = gt_arena_strdup(a, until);
    cell[3] = gt_arena_printf(a, GT_STR_FMT "%s",
                              GT_STR_ARG(t->cluster.n ? t->cluster : GT_STR_LIT("any")),
                              t->external ? " (EXTERNAL)" : "");
}

static int list(struct cli *c)
{
    static const char *const head[COLUMNS] = {"ID", "USED", "EXPIRES", "CLUSTER"};
    struct gt_err err = GT_ERR_INIT;
    struct admin_list_tokens_in in = {0};
    struct admin_list_tokens_out out = {0};
    if (api_call(c->client, &admin_op_list_tokens, &in, &c->arena, &out, &err) < 0) {
        return cli_fail(&err);
    }
    const char **cells = gt_arena_array(&c->arena, const char *, (out.tokens.n + 1) * COLUMNS);
    memcpy(cells, head, sizeof head);
    for (size_t i = 0; i < out.tokens.n; i++) {
        add(&c->arena, &out.tokens.v[i], &cells[(i + 1) * COLUMNS]);
    }
    cli_columns(cells, out.tokens.n + 1, COLUMNS);
    return 0;
}

/* The id is a token's first part; who gives the whole token means it too. */
static int revoke(struct cli *c, const char *which)
{
    struct gt_err err = GT_ERR_INIT;
    struct admin_delete_token_in in = {.id = gt_str_n(which, strcspn(which, "."))};
    struct admin_delete_token_out out;
    if (api_call(c->client, &admin_op_delete_token, &in, &c->arena, &out, &err) < 0) {
        return cli_fail(&err);
    }
    return 0;
}

/* What is said of a token that is to be; an exit code > 0 after a message. */
static int take(struct admin_create_token_in *in, const char *ttl, const char *uses)
{
    int64_t seconds = 0;
    if (ttl && (!duration_parse(ttl, &seconds) || seconds < 1 || seconds > 30 * 86400)) {
        fprintf(stderr, "gantry token: --ttl '%s' is not a time like 90s, 15m, 24h, 30d at most\n",
                ttl);
        return 2;
    }
    if (ttl) {
        WIRE_SET(in, seconds, seconds);
    }
    in->has_uses = uses != NULL;
    if (uses && !number_parse(uses, 1, 1000, &in->uses)) {
        fprintf(stderr, "gantry token: --uses '%s' is not a number from 1 to 1000\n", uses);
        return 2;
    }
    return 0;
}

int cmd_token(int argc, char **argv)
{
    const char *state = NULL, *ttl = NULL, *uses = NULL, *cluster = NULL;
    struct admin_create_token_in in = {0};
    const struct option_def defs[] = {
        {"ttl", "TIME", "create: how long it is good (24h)", &ttl, NULL},
        {"uses", "N", "create: how many machines may join with it (1)", &uses, NULL},
        {"cluster", "NAME", "create: the only cluster to join with it", &cluster, NULL},
        {"external", NULL, "create: nodes of launch type EXTERNAL", NULL, &in.external},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct cli c;
    int r = options_parse_mixed(defs, "gantry token [options] create | list | revoke ID",
                                "Makes, lists and revokes tokens with which machines join this "
                                "server.\nA token is shown once, by `create`.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    const char *what = argc > 1 ? argv[1] : "";
    bool makes = gt_streq(what, "create"), lists = gt_streq(what, "list");
    if (argc != (makes || lists ? 2 : 3) || !(makes || lists || gt_streq(what, "revoke"))) {
        fprintf(stderr, "gantry token: create, list or revoke ID?\n");
        return 2;
    }
    if ((r = take(&in, ttl, uses)) != 0 || (r = cli_open(&c, state)) != 0) {
        return r;
    }
    in.cluster = gt_str(cluster);
    WIRE_SET(&in, external, in.external);
    r = makes ? create(&c, &in) : lists ? list(&c) : revoke(&c, argv[2]);
    cli_close(&c);
    return r;
}
