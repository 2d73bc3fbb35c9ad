#include "control/server/keys.h"

#include "control/services/agent/join.h"
#include "lib/base/base64.h"
#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "lib/crypto/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

static int load_root(struct keys *k, const char *path, struct gt_err *err)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(4096);
    int r = gt_file_read(AT_FDCWD, path, &text, err);
    if (r < 0) {
        return r;
    }
    json_t *root = json_loadb(text.p, text.n, 0, NULL);
    const char *id = json_string_value(json_object_get(root, "accessKeyId"));
    const char *secret = json_string_value(json_object_get(root, "secretAccessKey"));
    if (id && secret && strlen(id) < sizeof k->root_id && strlen(secret) < sizeof k->root_secret) {
        snprintf(k->root_id, sizeof k->root_id, "%s", id);
        snprintf(k->root_secret, sizeof k->root_secret, "%s", secret);
    } else {
        r = gt_err_set(err, GT_ERR_CORRUPT,
                       "'%s' does not hold an access key; remove it to have a new one made", path);
    }
    json_decref(root);
    return r;
}

/* In the form of AWS's: "AKIA" and 16 of [A-Z2-7], and 40 characters of base64. */
static int make_root(struct keys *k, const char *path, struct gt_err *err)
{
    unsigned char bytes[30];
    gt_rand_bytes(bytes, sizeof bytes);
    snprintf(k->root_id, sizeof k->root_id, "AKIA");
    for (int i = 0; i < 16; i++) {
        k->root_id[4 + i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[bytes[i] & 31];
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(64);
    gt_rand_bytes(bytes, sizeof bytes);
    gt_base64_encode(bytes, sizeof bytes, &b);
    snprintf(k->root_secret, sizeof k->root_secret, "%s", b.p);
    gt_auto_free char *text =
        gt_asprintf("{\n  \"accessKeyId\": \"%s\",\n  \"secretAccessKey\": \"%s\"\n}\n", k->root_id,
                    k->root_secret);
    return gt_file_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
}

static int load_secret(struct keys *k, const char *path, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(sizeof k->secret);
    struct gt_err none = GT_ERR_INIT;
    int r = gt_file_read(AT_FDCWD, path, &b, &none);
    if (r == 0 && b.n == sizeof k->secret) {
        memcpy(k->secret, b.p, b.n);
        return 0;
    }
    if (r != -ENOENT) {
        return gt_err_set(err, GT_ERR_CORRUPT, "'%s' is damaged", path);
    }
    gt_rand_bytes(k->secret, sizeof k->secret);
    return gt_file_replace(AT_FDCWD, path, k->secret, sizeof k->secret, 0600, err);
}

int keys_load(struct keys *k, const char *state_dir, const char *account, struct gt_err *err)
{
    gt_auto_free char *root = gt_asprintf("%s/root.key", state_dir);
    gt_auto_free char *secret = gt_asprintf("%s/server/secret", state_dir);
    struct gt_err none = GT_ERR_INIT;
    *k = (struct keys){0};
    snprintf(k->account, sizeof k->account, "%s", account);
    snprintf(k->root_arn, sizeof k->root_arn, "arn:aws:iam::%s:root", account);
    int r = load_root(k, root, &none);
    if (r == -ENOENT) {
        r = make_root(k, root, err);
    } else if (r < 0 && err) {
        *err = none;
    }
    return r < 0 ? r : load_secret(k, secret, err);
}

static struct principal principal_of(const struct keys *k, enum principal_kind kind,
                                     struct gt_str key_id, struct gt_str name, const char *what,
                                     struct gt_arena *arena)
{
    const char *text = gt_arena_str(arena, name);
    const char *arn = gt_arena_printf(arena, "arn:aws:iam::%s:%s/%s", k->account, what, text);
    return (struct principal){.kind = kind,
                              .account = gt_str(k->account),
                              .key_id = gt_str(gt_arena_str(arena, key_id)),
                              .name = gt_str(text),
                              .arn = gt_str(arn)};
}

struct gt_str keys_find(const struct keys *k, struct gt_str id, char to[static 64],
                        struct gt_arena *arena, struct principal *ret)
{
    struct gt_str prefix = GT_STR_LIT(AGENT_TOKEN_PREFIX), node = agent_key_node(id);
    if (gt_str_is(id, k->root_id)) {
        *ret = (struct principal){.kind = PRINCIPAL_ROOT,
                                  .account = gt_str(k->account),
                                  .key_id = gt_str(k->root_id),
                                  .name = GT_STR_LIT("root"),
                                  .arn = gt_str(k->root_arn)};
        return gt_str(k->root_secret);
    }
    if (node.n) {
        *ret = principal_of(k, PRINCIPAL_NODE, id, node, "gantry-node", arena);
    } else if (gt_str_starts(id, prefix) && id.n > prefix.n && id.n < 100) {
        struct gt_str token = gt_str_n(id.p + prefix.n, id.n - prefix.n);
        *ret = principal_of(k, PRINCIPAL_JOIN, id, token, "gantry-token", arena);
    } else {
        return gt_str(NULL);
    }
    agent_secret(k->secret, id, to);
    return gt_str(to);
}
