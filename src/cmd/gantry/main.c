/* gantry: one word a verb. */
#include "cmd/gantry/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} verbs[] = {
    {"up", cmd_up, "start server and agent on this machine"},
    {"down", cmd_down, "stop them and everything that runs in them"},
    {"run", cmd_run, "run a container and show what it prints"},
    {"ps", cmd_ps, "list tasks"},
    {"logs", cmd_logs, "show a task's output; -f follows"},
    {"exec", cmd_exec, "run a command in a running task"},
    {"stop", cmd_stop, "stop tasks"},
    {"images", cmd_images, "list the images of this node"},
    {"env", cmd_env, "print what points aws at this Gantry: eval \"$(gantry env)\""},
    {"doctor", cmd_doctor, "check this machine and say what to do"},
    {"server", cmd_pass, "the control plane alone"},
    {"agent", cmd_pass, "a node alone"},
    {"link", cmd_pass, "a node's DNS and metadata alone (the agent starts it)"},
};

static void help(FILE *to)
{
    fprintf(to, "usage: gantry VERB [options]\n\n"
                "Runs ECS task definitions on your own machines.\n\n");
    for (size_t i = 0; i < GT_ARRAY_LEN(verbs); i++) {
        fprintf(to, "  %-8s %s\n", verbs[i].name, verbs[i].what);
    }
    fprintf(to, "\n`gantry VERB --help` says more. Everything else is done with aws: "
                "`eval \"$(gantry env)\"` first.\n");
}

int cmd_pass(int argc, char **argv)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) {
        return 1;
    }
    self[n] = '\0';
    gt_auto_free char *path = gt_asprintf("%s-%s", self, argv[0]);
    argv[0] = path;
    execv(path, argv);
    fprintf(stderr, "gantry: start '%s': %s\n", path, strerror(errno));
    return 127;
}

int main(int argc, char **argv)
{
    if (argc < 2 || gt_streq(argv[1], "help")) {
        help(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (gt_streq(argv[1], "--help") || gt_streq(argv[1], "-h")) {
        help(stdout);
        return 0;
    }
    if (gt_streq(argv[1], "--version") || gt_streq(argv[1], "version")) {
        puts("gantry " GT_VERSION);
        return 0;
    }
    gt_log_init("gantry");
    for (size_t i = 0; i < GT_ARRAY_LEN(verbs); i++) {
        if (gt_streq(argv[1], verbs[i].name)) {
            return verbs[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "gantry: unknown verb '%s'; `gantry help` lists them\n", argv[1]);
    return 2;
}
