#include "cmd/gantry/cli.h"

#include <stdio.h>

int cmd_stop(int argc, char **argv)
{
    const char *state = NULL, *reason = NULL;
    const struct option_def defs[] = {
        {"reason", "TEXT", "what describe-tasks shows as the reason", &reason, NULL},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct cli c;
    int first = 0;
    int r =
        options_parse(defs, "gantry stop [options] TASK...",
                      "Stops tasks: SIGTERM, and SIGKILL after stopTimeout.", argc, argv, &first);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    for (int i = first; i < argc; i++) {
        struct gt_err err = GT_ERR_INIT;
        struct ecs_task *t = cli_task(&c, argv[i]);
        if (!t) {
            r = 1;
            continue;
        }
        struct ecs_stop_task_in in = {.cluster = t->cluster_arn, .task = t->task_arn};
        struct ecs_stop_task_out out;
        if (reason) {
            in.reason = gt_str(reason);
        }
        if (api_call(c.client, &ecs_op_stop_task, &in, &c.arena, &out, &err) < 0) {
            r = cli_fail(&err);
        } else {
            printf(GT_STR_FMT "\n", GT_STR_ARG(cli_task_id(t)));
        }
    }
    cli_close(&c);
    return r;
}
