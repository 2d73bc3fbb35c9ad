/* gantry at: a command that reads, in the cluster as it was. */
#include "cmd/gantry/cli.h"
#include "lib/base/clock.h"
#include "lib/wire/gen/admin.h"
#include "lib/wire/timestamp.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int take_when(const char *text, struct admin_describe_revision_in *in)
{
    int64_t ms;
    in->has_revision = number_parse(text, 1, INT64_MAX, &in->revision);
    if (in->has_revision) {
        return 0;
    }
    if (!cli_time(text, &ms)) {
        fprintf(stderr,
                "gantry at: '%s' is neither a revision nor a time like 10m or "
                "2026-11-25T12:00:00Z\n",
                text);
        return 2;
    }
    WIRE_SET(in, time, ms);
    return 0;
}

/* Asks the server which revision that is, and tells the user. */
static int resolve(const char *state, struct admin_describe_revision_in *in, struct instance *ret,
                   int64_t *ret_revision)
{
    struct cli c;
    struct gt_err err = GT_ERR_INIT;
    struct admin_describe_revision_out out;
    int r = cli_open(&c, state);
    if (r != 0) {
        return r;
    }
    *ret = c.in;
    r = api_call(c.client, &admin_op_describe_revision, in, &c.arena, &out, &err);
    if (r == 0) {
        gt_auto_buf struct gt_buf when = GT_BUF_INIT(64);
        wire_time_put_iso(out.time, &when);
        fprintf(stderr, "as of revision %lld, %s\n", (long long)out.revision, when.p);
        *ret_revision = out.revision;
    }
    cli_close(&c);
    return r < 0 ? cli_fail(&err) : 0;
}

static void put(const char *name, const char *value)
{
    GT_ASSERT(setenv(name, value, /* overwrite= */ 1) == 0);
}

/* What aws and every SDK read. */
static int set_environment(const struct instance *in, const char *endpoint)
{
    json_t *key = json_load_file(in->key_file, 0, NULL);
    const char *id = json_string_value(json_object_get(key, "accessKeyId"));
    const char *secret = json_string_value(json_object_get(key, "secretAccessKey"));
    if (!id || !secret) {
        json_decref(key);
        fprintf(stderr, "gantry: '%s' cannot be read\n", in->key_file);
        return 1;
    }
    put("AWS_ACCESS_KEY_ID", id);
    put("AWS_SECRET_ACCESS_KEY", secret);
    put("AWS_DEFAULT_REGION", in->region);
    put("AWS_REGION", in->region);
    put("AWS_ENDPOINT_URL", endpoint);
    put("AWS_EC2_METADATA_DISABLED", "true");
    unsetenv("AWS_SESSION_TOKEN");
    unsetenv("AWS_PROFILE");
    json_decref(key);
    return 0;
}

/* Debian 12's aws does not know AWS_ENDPOINT_URL. */
static int run_program(int argc, char **argv, const char *endpoint)
{
    char **all = gt_new_array(char *, (size_t)argc + 3);
    size_t n = 0;
    all[n++] = argv[0];
    if (gt_streq(argv[0], "aws")) {
        all[n++] = (char *)"--endpoint-url";
        all[n++] = (char *)endpoint;
    }
    memcpy(all + n, argv + 1, (size_t)argc * sizeof *all); /* with the NULL */
    execvp(all[0], all);
    fprintf(stderr, "gantry at: '%s': %s\n", argv[0], strerror(errno));
    return 127;
}

int cmd_at(int argc, char **argv)
{
    const char *state = NULL;
    const struct option_def defs[] = {
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    int first = 0;
    int r = options_parse(defs, "gantry at [options] REVISION|TIME COMMAND [ARGUMENT...]",
                          "Runs a command that lists or describes in the cluster as it was: a "
                          "verb of gantry,\naws, or any program that uses an AWS SDK.",
                          argc, argv, &first);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    argc -= first;
    argv += first;
    if (argc < 2) {
        fprintf(stderr, "gantry at: when, and which command? `gantry at 10m ps`\n");
        return 2;
    }
    struct instance in;
    struct admin_describe_revision_in when = {0};
    int64_t revision = 0;
    bool own = gt_streq(argv[1], "gantry") && argc > 2;
    char **command = argv + 1 + own;
    int n = argc - 1 - own;
    if (cli_acts_now(command[0])) {
        fprintf(stderr, "gantry at: `gantry %s` is about what is now\n", command[0]);
        return 2;
    }
    if ((r = take_when(argv[0], &when)) != 0 || (r = resolve(state, &when, &in, &revision)) != 0) {
        return r;
    }
    gt_auto_free char *endpoint =
        gt_asprintf("%s/_gantry/at/%lld", in.endpoint, (long long)revision);
    gt_auto_free char *at = gt_asprintf("%lld", (long long)revision);
    if (cli_is_verb(command[0])) {
        put("GANTRY_AT", at);
        put("GANTRY_STATE", in.state);
        return cli_run_verb(n, command);
    }
    return (r = set_environment(&in, endpoint)) != 0 ? r : run_program(n, command, endpoint);
}
