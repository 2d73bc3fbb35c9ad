#include "cmd/gantry/cli.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

static void say_ca(const struct instance *in, bool asked)
{
    if (in->ca_file[0]) {
        printf("export AWS_CA_BUNDLE='%s'\n", in->ca_file);
    } else if (asked) {
        fprintf(stderr, "gantry: the server at %s has no authority of its own\n", in->endpoint);
    }
}

int cmd_env(int argc, char **argv)
{
    const char *state = NULL;
    bool ca_only = false;
    const struct option_def defs[] = {
        {"ca", NULL, "only what makes aws trust the server's own authority", NULL, &ca_only},
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    int r = options_parse(defs, "gantry env",
                          "Prints shell commands that point aws, every SDK and gantry itself\n"
                          "at this Gantry:\n"
                          "    eval \"$(gantry env)\"",
                          argc, argv, NULL);
    struct instance in;
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if ((r = cli_instance(state, &in)) != 0) {
        return r;
    }
    if (ca_only || in.ca_file[0]) {
        say_ca(&in, ca_only);
    }
    if (ca_only) {
        return in.ca_file[0] ? 0 : 1;
    }
    json_error_t why;
    json_t *key = json_load_file(in.key_file, 0, &why);
    if (!key) {
        fprintf(stderr, "gantry: %s\n%s", why.text,
                geteuid() != 0 ? "Only root may read the key; try sudo.\n" : "");
        return 1;
    }
    gt_auto_free char *real = realpath(in.state, NULL);
    printf("export AWS_ACCESS_KEY_ID=%s\n"
           "export AWS_SECRET_ACCESS_KEY=%s\n"
           "export AWS_DEFAULT_REGION=%s AWS_REGION=%s\n"
           "export AWS_ENDPOINT_URL=%s\n"
           "export AWS_EC2_METADATA_DISABLED=true\n"
           "export GANTRY_STATE='%s'\n"
           "unset AWS_SESSION_TOKEN AWS_PROFILE\n"
           "# clients before 2023, Debian 12's aws among them, do not know AWS_ENDPOINT_URL\n"
           "aws() { command aws --endpoint-url \"$AWS_ENDPOINT_URL\" \"$@\"; }\n",
           json_string_value(json_object_get(key, "accessKeyId")),
           json_string_value(json_object_get(key, "secretAccessKey")), in.region, in.region,
           in.endpoint, real ? real : in.state);
    json_decref(key);
    return 0;
}
