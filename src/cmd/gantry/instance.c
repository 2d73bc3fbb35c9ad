#include "cmd/duration.h"
#include "cmd/gantry/cli.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/wire/timestamp.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

const char *default_state(void)
{
    const char *env = getenv("GANTRY_STATE");
    return env && env[0] ? env : "/var/lib/gantry";
}

static json_t *load(const char *path, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(65536);
    if (gt_file_read(AT_FDCWD, path, &b, err) < 0) {
        return NULL;
    }
    json_t *root = json_loadb(b.p, b.n, 0, NULL);
    if (!json_is_object(root)) {
        gt_err_set(err, GT_ERR_CORRUPT, "'%s' is not a JSON object", path);
        json_decref(root);
        return NULL;
    }
    return root;
}

static void text(const json_t *root, const char *key, char *to, size_t n)
{
    const char *v = json_string_value(json_object_get(root, key));
    snprintf(to, n, "%s", v ? v : "");
}

/* It is there after the first start of a server, with or without `gantry up`. */
static int load_server(struct instance *in, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/server.json", in->state);
    json_t *root = load(path, err);
    if (!root) {
        return gt_err_code(err);
    }
    text(root, "endpoint", in->endpoint, sizeof in->endpoint);
    text(root, "region", in->region, sizeof in->region);
    text(root, "caFile", in->ca_file, sizeof in->ca_file);
    json_decref(root);
    return 0;
}

int instance_load(const char *state, struct instance *ret, struct gt_err *err)
{
    struct gt_err none = GT_ERR_INIT;
    gt_auto_free char *path = gt_asprintf("%s/up.json", state);
    *ret = (struct instance){.run = "/run/gantry", .name = "gantry"};
    snprintf(ret->state, sizeof ret->state, "%s", state);
    snprintf(ret->key_file, sizeof ret->key_file, "%s/root.key", state);
    bool served = load_server(ret, &none) == 0;
    json_t *root = load(path, served ? &none : err);
    if (!root) {
        return served && none.sys_errno == ENOENT ? 0 : gt_err_code(served ? &none : err);
    }
    text(root, "run", ret->run, sizeof ret->run);
    text(root, "name", ret->name, sizeof ret->name);
    if (!served) {
        text(root, "endpoint", ret->endpoint, sizeof ret->endpoint);
        text(root, "region", ret->region, sizeof ret->region);
    }
    ret->pid = (int)json_integer_value(json_object_get(root, "pid"));
    json_decref(root);
    return 0;
}

int instance_save(const struct instance *in, struct gt_err *err)
{
    json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:i}", "run", in->run, "name", in->name,
                             "endpoint", in->endpoint, "region", in->region, "pid", in->pid);
    char *out = json_dumps(root, JSON_INDENT(2));
    GT_ASSERT(out != NULL);
    gt_auto_free char *path = gt_asprintf("%s/up.json", in->state);
    int r = gt_file_replace(AT_FDCWD, path, out, strlen(out), 0644, err);
    free(out);
    json_decref(root);
    return r;
}

int cli_fail(const struct gt_err *err)
{
    fprintf(stderr, "gantry: %s\n", err->msg);
    if (err->kind == GT_ERR_UNAVAILABLE || err->sys_errno == ECONNREFUSED) {
        fprintf(stderr, "Is it up? `gantry up -d` starts it.\n");
    } else if ((err->sys_errno == EACCES || err->sys_errno == EPERM) && geteuid() != 0) {
        fprintf(stderr, "Only root may do this; try sudo.\n");
    }
    return 1;
}

int cli_instance(const char *state, struct instance *ret)
{
    struct gt_err err = GT_ERR_INIT;
    state = state ? state : default_state();
    if (instance_load(state, ret, &err) == 0) {
        return 0;
    }
    if (err.sys_errno != ENOENT) {
        return cli_fail(&err);
    }
    fprintf(stderr,
            "gantry: no Gantry has its state in '%s'\n"
            "Start one with `gantry up`, or name another folder with --state or GANTRY_STATE.\n",
            state);
    return 1;
}

bool cli_time(const char *text, int64_t *ret_ms)
{
    int64_t seconds;
    if (duration_parse(text, &seconds)) {
        *ret_ms = gt_clock_real_ms() - seconds * 1000;
        return true;
    }
    return wire_time_parse(gt_str(text), ret_ms) == 0 && *ret_ms >= 1;
}

int cli_open(struct cli *c, const char *state)
{
    struct gt_err err = GT_ERR_INIT;
    char access[128] = "", secret[128] = "";
    *c = (struct cli){0};
    int r = cli_instance(state, &c->in);
    if (r != 0) {
        return r;
    }
    json_t *key = load(c->in.key_file, &err);
    if (!key) {
        return cli_fail(&err);
    }
    text(key, "accessKeyId", access, sizeof access);
    text(key, "secretAccessKey", secret, sizeof secret);
    json_decref(key);
    const char *at = getenv("GANTRY_AT"); /* set by `gantry at` */
    gt_auto_free char *endpoint =
        gt_asprintf("%s%s%s", c->in.endpoint, at ? "/_gantry/at/" : "", at ? at : "");
    struct api_client_options o = {.endpoint = endpoint,
                                   .region = c->in.region,
                                   .access_key = access,
                                   .secret_key = secret,
                                   .ca_file = c->in.ca_file[0] ? c->in.ca_file : NULL};
    if (api_client_new(&o, &c->client, &err) < 0) {
        return cli_fail(&err);
    }
    gt_arena_init(&c->arena, 256UL << 20);
    return 0;
}

void cli_close(struct cli *c)
{
    api_client_free(c->client);
    gt_arena_fini(&c->arena);
}

int agent_connect(const struct instance *in, struct gt_err *err)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s/agent.sock", in->run);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0) {
        int r = gt_err_errno(err, errno == ENOENT ? ECONNREFUSED : errno,
                             "connect to the agent at '%s'", sa.sun_path);
        gt_closep(&fd);
        return r;
    }
    return fd;
}
