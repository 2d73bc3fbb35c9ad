#include "cmd/gantry/cli.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int cmd_images(int argc, char **argv)
{
    const char *state = default_state();
    const struct option_def defs[] = {
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    struct instance in;
    struct gt_err err = GT_ERR_INIT;
    int r = options_parse(defs, "gantry images", "Lists the images that are on this node.", argc,
                          argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (instance_load(state, &in, &err) < 0) {
        return cli_fail(&err);
    }
    gt_auto_close int fd = agent_connect(&in, &err);
    if (fd < 0) {
        return cli_fail(&err);
    }
    static const char ask[] = "{\"op\":\"images\"}";
    enum { MAX = 1 << 20 };
    gt_auto_free char *answer = gt_malloc(MAX);
    ssize_t n = send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL) < 0 ? -1 : recv(fd, answer, MAX, 0);
    json_t *root = n > 0 ? json_loadb(answer, (size_t)n, 0, NULL) : NULL;
    printf("%-48s  %-19s  %10s\n", "IMAGE", "DIGEST", "SIZE");
    size_t i;
    json_t *o;
    json_array_foreach(json_object_get(root, "images"), i, o)
    {
        const char *name = json_string_value(json_object_get(o, "name"));
        const char *digest = json_string_value(json_object_get(o, "digest"));
        printf("%-48s  %-19.19s  %7.1f MB\n", name ? name : "", digest ? digest : "",
               (double)json_integer_value(json_object_get(o, "size")) / 1e6);
    }
    json_decref(root);
    return n > 0 ? 0 : 1;
}
