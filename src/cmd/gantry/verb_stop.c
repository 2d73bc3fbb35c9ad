#include "cmd/gantry/cli.h"

#include <poll.h>
#include <stdio.h>

static struct ecs_task *ask(struct cli *c, const char *which, const char *reason)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecs_task *t = cli_task(c, which);
    if (!t) {
        return NULL;
    }
    struct ecs_stop_task_in in = {.cluster = t->cluster_arn, .task = t->task_arn};
    struct ecs_stop_task_out out;
    if (reason) {
        in.reason = gt_str(reason);
    }
    if (api_call(c->client, &ecs_op_stop_task, &in, &c->arena, &out, &err) < 0) {
        cli_fail(&err);
        return NULL;
    }
    return t;
}

int cmd_stop(int argc, char **argv)
{
    const char *state = NULL, *reason = NULL;
    bool no_wait = false;
    const struct option_def defs[] = {
        {"no-wait", NULL, "return at once", NULL, &no_wait},
        {"reason", "TEXT", "what describe-tasks shows as the reason", &reason, NULL},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {.name = "time",
         .letter = 't',
         .refused = "how long a container has is its definition's stopTimeout, or `gantry run "
                    "--stop-timeout`"},
        {.name = "signal", .letter = 's', .refused = "it is SIGTERM, or the image's STOPSIGNAL"},
        {0},
    };
    struct cli c;
    int r = options_parse_mixed(defs, "gantry stop [options] TASK...",
                                "Stops tasks, and waits until they are: SIGTERM, and SIGKILL "
                                "after stopTimeout.\nTASK is an id or the beginning of one.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc < 2) {
        fprintf(stderr, "gantry stop: which task?\n");
        return 2;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    gt_auto_free struct ecs_task **asked = gt_calloc((size_t)argc, sizeof(struct ecs_task *));
    for (int i = 1; i < argc; i++) {
        asked[i] = ask(&c, argv[i], reason);
        r = asked[i] ? r : 1;
    }
    for (int i = 1; i < argc; i++) {
        while (asked[i] && !no_wait && !cli_task_stopped(&c, asked[i])) {
            poll(NULL, 0, 100);
        }
        if (asked[i]) {
            printf(GT_STR_FMT "\n", GT_STR_ARG(cli_task_id(asked[i])));
            fflush(stdout);
        }
    }
    cli_close(&c);
    return r;
}
