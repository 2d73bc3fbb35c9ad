/*
 * What the verbs of `gantry` share: where the server is, whose key to use, which task is meant.
 *
 * To add a verb: write verb_<name>.c with cmd_<name>(), declare it here, add its line to the table
 * in main.c, and its page to man/.
 */
#ifndef GT_CMD_GANTRY_CLI_H
#define GT_CMD_GANTRY_CLI_H

#include "cmd/options.h"
#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/http/api_client.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/wire.h"

#include <stdbool.h>

/* How `gantry up` of this state folder was started, <state>/up.json, and where the server answers,
 * <state>/server.json. */
struct instance {
    char state[1024], run[1024], name[64], endpoint[256], region[64];
    char ca_file[1100]; /* what proves the server; "": the system's authorities, or plain HTTP */
    char key_file[1100];
    int pid; /* of `gantry up`; 0: not known */
};

/* --state, else $GANTRY_STATE, else /var/lib/gantry. */
const char *default_state(void);
int instance_load(const char *state, struct instance *ret, struct gt_err *err);
/* Likewise; prints why not, and what to do. 0, or an exit code. state NULL: default. */
int cli_instance(const char *state, struct instance *ret);
int instance_save(const struct instance *in, struct gt_err *err);

struct cli {
    struct instance in;
    struct api_client *client;
    struct gt_arena arena;
};
/* Prints why and returns an exit code > 0 when there is nothing to talk to. state NULL: default. */
int cli_open(struct cli *c, const char *state);
void cli_close(struct cli *c);
int cli_fail(const struct gt_err *err); /* prints it; returns 1 */

/* The task that an id, a unique beginning of one, or an ARN means, running or recently stopped. In
 * the arena. Prints why when there is none or more than one. */
struct ecs_task *cli_task(struct cli *c, const char *which);
struct ecs_task_definition *cli_task_definition(struct cli *c, struct gt_str arn);
struct gt_str cli_task_id(const struct ecs_task *t);

/* Follows a container's log stream (awslogs) until `done` says so and nothing more comes. */
struct log_place {
    char region[64], group[513], stream[1024];
};
bool cli_log_place(struct cli *c, const struct ecs_task *t,
                   const struct ecs_container_definition *d, struct log_place *ret);
/* What of it to print, and how far that got. */
struct log_view {
    int64_t since_ms; /* 0: from the beginning */
    int tail;         /* how many of the last lines; < 0: all. At most CLI_TAIL_MAX. */
    bool timestamps;
    char token[1024]; /* "" at first */
};
enum { CLI_TAIL_MAX = 10000 };
/* Prints what is new; the view's token moves on. Returns how many events, or < 0. */
int cli_log_more(struct cli *c, const struct log_place *p, struct log_view *v, struct gt_err *err);

/* Of all tasks of a cluster that `filter` (cluster, family, service, desired status) lists. Ends
 * when `each` returns false. */
int cli_each_task(struct cli *c, struct ecs_list_tasks_in filter,
                  bool (*each)(void *arg, struct ecs_task *t), void *arg, struct gt_err *err);
bool cli_task_stopped(struct cli *c, const struct ecs_task *t); /* or gone */

/* Prints rows of cells, the first one the heading: columns as wide as their widest cell, nothing is
 * cut. */
void cli_columns(const char *const *cells, size_t rows, size_t columns);
/* "42s", "12m", "30h", "9d". In the arena. */
char *cli_duration(struct gt_arena *a, int64_t ms);

/* A message to the agent of this node and its answers. */
int agent_connect(const struct instance *in, struct gt_err *err);

/* "90s", "10m", "2h", "1d": so long ago; or a time as in 2026-11-25T12:00:00Z. */
bool cli_time(const char *text, int64_t *ret_ms);

/* Verbs by name. One that acts now has no place in the past. */
bool cli_is_verb(const char *name);
bool cli_acts_now(const char *name);
int cli_run_verb(int argc, char **argv);

int cmd_up(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_images(int argc, char **argv);
int cmd_nodes(int argc, char **argv);
int cmd_drain(int argc, char **argv);
int cmd_fence(int argc, char **argv);
int cmd_token(int argc, char **argv);
int cmd_env(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_adopt(int argc, char **argv);
int cmd_at(int argc, char **argv);
int cmd_history(int argc, char **argv);
int cmd_server_tool(int argc,
                    char **argv); /* replay, backup, restore: done by gantry-server's executable */
int cmd_pass(int argc, char **argv); /* server, agent, link, simulate: executables of their own */

#endif
