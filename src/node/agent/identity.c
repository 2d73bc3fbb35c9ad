#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "node/agent/node.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

static json_t *load(const char *path, struct gt_err *err)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(65536);
    if (gt_file_read(AT_FDCWD, path, &text, err) < 0) {
        return NULL;
    }
    json_error_t why;
    json_t *root = json_loadb(text.p, text.n, 0, &why);
    if (!json_is_object(root)) {
        json_decref(root);
        gt_err_set(err, GT_ERR_CORRUPT, "'%s' is not a JSON object: %s", path, why.text);
        return NULL;
    }
    return root;
}

static void copy(const json_t *root, const char *key, char *to, size_t n)
{
    const char *v = json_string_value(json_object_get(root, key));
    snprintf(to, n, "%s", v ? v : "");
}

int node_identity_load(const struct agent_options *o, struct node_identity *ret, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/agent/node.json", o->state_dir);
    json_t *root = load(path, err);
    if (!root) {
        return gt_err_code(err);
    }
    *ret = (struct node_identity){0};
    copy(root, "nodeId", ret->node_id, sizeof ret->node_id);
    copy(root, "containerInstanceArn", ret->instance_arn, sizeof ret->instance_arn);
    copy(root, "cluster", ret->cluster, sizeof ret->cluster);
    copy(root, "clusterId", ret->cluster_id, sizeof ret->cluster_id);
    copy(root, "subnet", ret->subnet, sizeof ret->subnet);
    copy(root, "accessKeyId", ret->access_key, sizeof ret->access_key);
    copy(root, "secretAccessKey", ret->secret_key, sizeof ret->secret_key);
    copy(root, "server", ret->server, sizeof ret->server);
    copy(root, "region", ret->region, sizeof ret->region);
    ret->key_expires_ms = json_integer_value(json_object_get(root, "keyExpiresAt"));
    ret->epoch = json_integer_value(json_object_get(root, "epoch"));
    ret->revision = json_integer_value(json_object_get(root, "revision"));
    json_decref(root);
    return 0;
}

int node_identity_save(const struct agent_options *o, const struct node_identity *id,
                       struct gt_err *err)
{
    json_t *root =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:s}", "nodeId",
                  id->node_id, "containerInstanceArn", id->instance_arn, "cluster", id->cluster,
                  "clusterId", id->cluster_id, "subnet", id->subnet, "accessKeyId", id->access_key,
                  "secretAccessKey", id->secret_key, "keyExpiresAt", (json_int_t)id->key_expires_ms,
                  "epoch", (json_int_t)id->epoch, "revision", (json_int_t)id->revision, "server",
                  id->server, "region", id->region);
    char *text = json_dumps(root, JSON_INDENT(2));
    GT_ASSERT(text != NULL);
    gt_auto_free char *path = gt_asprintf("%s/agent/node.json", o->state_dir);
    int r = gt_file_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
    free(text);
    json_decref(root);
    return r;
}

struct saving {
    const struct agent_options *o;
    struct node_identity id;
    struct gt_err err;
};

static void save_work(void *arg)
{
    struct saving *s = arg;
    node_identity_save(s->o, &s->id, &s->err);
}

static void save_done(struct node *n, void *arg)
{
    struct saving *s = arg;
    if (s->err.kind != GT_ERR_NONE) {
        gt_warn("%s", s->err.msg);
    }
    free(s);
}

static void save_soon(struct node *n)
{
    struct saving *s = gt_new(struct saving);
    s->o = &n->o;
    s->id = n->id;
    n->memory_dirty = false;
    n->memory_saved_ms = gt_clock_mono_ms();
    node_work(n, save_work, save_done, s);
}

void node_remember(struct node *n, int64_t epoch, int64_t revision)
{
    bool other = n->id.epoch != epoch;
    n->memory_dirty = n->memory_dirty || other || n->id.revision != revision;
    n->id.epoch = epoch;
    n->id.revision = revision;
    if (other) {
        save_soon(n);
    }
}

void node_memory_tick(struct node *n)
{
    enum { SAVE_MS = 5000 };
    if (n->memory_dirty && gt_clock_mono_ms() - n->memory_saved_ms >= SAVE_MS) {
        save_soon(n);
    }
}

int node_key_file_read(const char *path, char *access_key, size_t a, char *secret_key, size_t s,
                       struct gt_err *err)
{
    json_t *root = load(path, err);
    if (!root) {
        return gt_err_code(err);
    }
    copy(root, "accessKeyId", access_key, a);
    copy(root, "secretAccessKey", secret_key, s);
    json_decref(root);
    return access_key[0] && secret_key[0]
               ? 0
               : gt_err_set(err, GT_ERR_CORRUPT, "'%s' lacks accessKeyId or secretAccessKey", path);
}
