#include "cmd/gantry/nodes.h"

#include <poll.h>
#include <stdio.h>

static int set_status(struct cli *c, const struct admin_node *n, bool undo, struct gt_err *err)
{
    struct gt_str id = n->node_id;
    struct ecs_update_container_instances_state_in in = {.cluster = n->cluster,
                                                         .container_instances = {&id, 1, true},
                                                         .status =
                                                             gt_str(undo ? "ACTIVE" : "DRAINING")};
    struct ecs_update_container_instances_state_out out = {0};
    return api_call(c->client, &ecs_op_update_container_instances_state, &in, &c->arena, &out, err);
}

struct left {
    int of_services, others;
};

static bool count(void *arg, struct ecs_task *t)
{
    struct left *l = arg;
    if (!gt_str_is(t->last_status, "STOPPED")) {
        l->of_services += gt_str_starts(t->group, GT_STR_LIT("service:"));
        l->others += !gt_str_starts(t->group, GT_STR_LIT("service:"));
    }
    return true;
}

/* A task whose stop was asked is listed as STOPPED by ECS while it still runs. */
static int look(struct cli *c, const struct admin_node *n, struct left *ret, struct gt_err *err)
{
    struct gt_arena_mark mark = gt_arena_mark(&c->arena);
    struct ecs_list_tasks_in filter = {.cluster = n->cluster, .container_instance = n->node_id};
    *ret = (struct left){0};
    int r = cli_each_task(c, filter, count, ret, err);
    filter.desired_status = GT_STR_LIT("STOPPED");
    r = r < 0 ? r : cli_each_task(c, filter, count, ret, err);
    gt_arena_release(&c->arena, mark);
    return r;
}

/* Until no task of a service is there any more. */
static int wait_until_drained(struct cli *c, const struct admin_node *n, struct gt_err *err)
{
    struct left left;
    int r;
    for (int said = 0; (r = look(c, n, &left, err)) == 0 && left.of_services; poll(NULL, 0, 300)) {
        if (left.of_services != said) {
            said = left.of_services;
            fprintf(stderr, "gantry drain: " GT_STR_FMT ": tasks of services to go: %d\n",
                    GT_STR_ARG(n->name), said);
        }
    }
    if (r == 0 && left.others) {
        fprintf(stderr,
                "gantry drain: " GT_STR_FMT ": tasks that are of no service go on: %d (gantry stop "
                "ends them)\n",
                GT_STR_ARG(n->name), left.others);
    }
    return r;
}

static int drain_all(struct cli *c, int argc, char **argv, bool undo, bool wait, struct gt_err *err)
{
    struct nodes all;
    int r = nodes_list(c, &all, err), missing = 0;
    gt_auto_free const struct admin_node **n = gt_calloc((size_t)argc, sizeof *n);
    for (int i = 1; i < argc && r == 0; i++) {
        n[i] = nodes_find(&all, "drain", argv[i]);
        missing += !n[i];
        r = n[i] ? set_status(c, n[i], undo, err) : 0;
    }
    for (int i = 1; i < argc && r == 0; i++) {
        if (n[i]) {
            r = wait ? wait_until_drained(c, n[i], err) : 0;
            printf(GT_STR_FMT "\n", GT_STR_ARG(n[i]->node_id));
            fflush(stdout);
        }
    }
    return r < 0 ? cli_fail(err) : missing > 0;
}

int cmd_drain(int argc, char **argv)
{
    const char *state = NULL;
    bool undo = false, no_wait = false;
    const struct option_def defs[] = {
        {"undo", NULL, "place tasks on it again", NULL, &undo},
        {"no-wait", NULL, "return at once", NULL, &no_wait},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {.name = "ignore-daemonsets", .refused = "there are no daemons to ignore"},
        {.name = "force", .refused = "tasks of no service are ended by `gantry stop TASK`"},
        {0},
    };
    struct gt_err err = GT_ERR_INIT;
    struct cli c;
    int r = options_parse_mixed(defs, "gantry drain [options] NODE...",
                                "Empties nodes: nothing new is placed on them, tasks of services "
                                "are replaced elsewhere\nwithin their minimum and maximum healthy "
                                "percent. Waits until they are.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc < 2) {
        fprintf(stderr, "gantry drain: which node?\n");
        return 2;
    }
    if ((r = cli_open(&c, state)) != 0) {
        return r;
    }
    r = drain_all(&c, argc, argv, undo, !undo && !no_wait, &err);
    cli_close(&c);
    return r;
}
