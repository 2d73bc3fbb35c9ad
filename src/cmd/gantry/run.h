/* gantry run: the command line, and the task definition that it means. */
#ifndef GT_CMD_GANTRY_RUN_H
#define GT_CMD_GANTRY_RUN_H

#include "cmd/gantry/cli.h"

#define RUN_LOG_GROUP "/gantry/run"

struct run_args {
    const char *name, *memory, *reservation, *cpu, *cpus, *network, *user, *workdir;
    const char *entry_point, *shm_size, *stop_timeout, *env_file, *cluster;
    struct option_list env, publish, volumes, security, cap_add, cap_drop, tmpfs, ulimits;
    bool detach, privileged, read_only, init, remove;
};

/* argv: the image and its command. The result is in c's arena. 0, or an exit code after a message
 * was printed. *ret_foreign: the image's name is no repository of this Gantry. */
int run_definition(struct cli *c, const struct run_args *a, int argc, char **argv,
                   struct ecs_register_task_definition_in *ret, bool *ret_foreign);

#endif
