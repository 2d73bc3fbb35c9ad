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
    bool past; /* only asks the server: `gantry at` may run it */
} verbs[] = {
    {"up", cmd_up, "start server and agent on this machine"},
    {"down", cmd_down, "stop them and everything that runs in them"},
    {"run", cmd_run, "run a container and show what it prints"},
    {"ps", cmd_ps, "list tasks", .past = true},
    {"logs", cmd_logs, "show a task's output; -f follows"},
    {"exec", cmd_exec, "run a command in a running task"},
    {"stop", cmd_stop, "stop tasks"},
    {"explain", cmd_explain, "why a task is where it is, or fits nowhere; what would help",
     .past = true},
    {"images", cmd_images, "list the images of this node"},
    {"nodes", cmd_nodes, "list nodes"},
    {"drain", cmd_drain, "empty a node"},
    {"fence", cmd_fence, "say that a silent node is gone for good"},
    {"token", cmd_token, "make, list and revoke what lets other machines join"},
    {"env", cmd_env, "print what points aws at this Gantry: eval \"$(gantry env)\""},
    {"doctor", cmd_doctor, "check this machine and say what to do"},
    {"adopt", cmd_adopt, "let nodes come back to a server that was restored"},
    {"at", cmd_at, "run a command that reads, in the cluster as it was"},
    {"history", cmd_history, "show what became of a task, a service, a node"},
    {"backup", cmd_server_tool, "copy the server's state, images and logs, while it runs"},
    {"restore", cmd_server_tool, "put a backup into an empty state folder"},
    {"replay", cmd_server_tool, "run the journal once more, and compare"},
    {"simulate", cmd_pass, "play a scenario: placement, utilisation, time to recover"},
    {"server", cmd_pass, "the control plane alone"},
    {"agent", cmd_pass, "a node alone"},
    {"link", cmd_pass, "a node's DNS and metadata alone (the agent starts it)"},
};

/* What docker and kubectl users try, and what it is here. */
static const struct {
    const char *names, *instead;
} elsewhere[] = {
    {" build ", "Gantry builds no images; build with buildah or podman, then push"},
    {" pull ", "a node pulls an image when a task needs it"},
    {" push login tag ", "images are pushed with skopeo, podman or docker: see gantry(1), IMAGES"},
    {" rmi image ", "gantry images --remove IMAGE"},
    {" rm container ", "a task is forgotten an hour after its end; `gantry stop TASK` ends one"},
    {" kill delete ", "gantry stop TASK"},
    {" start restart create ",
     "a task runs once: `gantry run`, or a service that keeps it running"},
    {" inspect describe get ", "aws ecs describe-tasks --tasks TASK, describe-services, ..."},
    {" apply deploy service ", "aws ecs register-task-definition, create-service, update-service"},
    {" scale ", "aws ecs update-service --service NAME --desired-count N"},
    {" top stats ",
     "gantry exec TASK ps; inside a container, $ECS_CONTAINER_METADATA_URI_V4/stats"},
    {" cp ", "gantry exec TASK cat FILE >HERE"},
    {" attach ", "gantry logs -f TASK, gantry exec -it TASK sh"},
    {" info status ", "gantry doctor"},
    {" node cordon uncordon ", "gantry nodes; gantry drain NODE, gantry drain --undo NODE"},
    {" network volume ", "part of a task definition: networkMode, volumes"},
};

static void unknown(const char *name)
{
    gt_auto_free char *word = gt_asprintf(" %s ", name);
    fprintf(stderr, "gantry: unknown verb '%s'", name);
    for (size_t i = 0; i < GT_ARRAY_LEN(elsewhere); i++) {
        if (strstr(elsewhere[i].names, word)) {
            fprintf(stderr, ": %s\n", elsewhere[i].instead);
            return;
        }
    }
    fprintf(stderr, "; `gantry help` lists them\n");
}

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

/* Becomes the executable "<self>-<program>". */
static int become(const char *program, char **argv)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) {
        return 1;
    }
    self[n] = '\0';
    gt_auto_free char *path = gt_asprintf("%s-%s", self, program);
    argv[0] = path;
    execv(path, argv);
    fprintf(stderr, "gantry: start '%s': %s\n", path, strerror(errno));
    return 127;
}

int cmd_pass(int argc, char **argv)
{
    return become(argv[0], argv);
}

int cmd_server_tool(int argc, char **argv)
{
    gt_auto_free char **all = gt_new_array(char *, (size_t)argc + 2);
    memcpy(all + 1, argv, (size_t)argc * sizeof *all);
    return become("server", all);
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(verbs); i++) {
        if (gt_streq(name, verbs[i].name)) {
            return &verbs[i];
        }
    }
    return NULL;
}

bool cli_is_verb(const char *name)
{
    return find_verb(name) != NULL;
}

bool cli_acts_now(const char *name)
{
    const struct verb *v = find_verb(name);
    return v && !v->past;
}

int cli_run_verb(int argc, char **argv)
{
    const struct verb *v = find_verb(argv[0]);
    if (v) {
        return v->run(argc, argv);
    }
    unknown(argv[0]);
    return 2;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL;
    gt_log_init("gantry");
    if (word && gt_streq(word, "help") && argc > 2) {
        char *more[] = {argv[2], (char *)"--help", NULL};
        return cli_run_verb(2, more);
    }
    if (!word || gt_streq(word, "help") || gt_streq(word, "--help") || gt_streq(word, "-h")) {
        help(word ? stdout : stderr);
        return word ? 0 : 2;
    }
    if (gt_streq(word, "--version") || gt_streq(word, "-v") || gt_streq(word, "version")) {
        puts("gantry " GT_VERSION);
        return 0;
    }
    return cli_run_verb(argc - 1, argv + 1);
}
