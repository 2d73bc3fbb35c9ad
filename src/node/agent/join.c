#include "node/agent/join.h"

#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/crypto/digest.h"
#include "lib/http/api_client.h"
#include "lib/http/introduction.h"
#include "lib/wire/gen/agent.h"
#include "lib/wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { JOIN_ID_BYTES = 16, TRIES = 6, TRY_AGAIN_MS = 500, TOKEN_FILE_MAX = 4096 };

/* --- what was given */

static bool only(struct gt_str s, const char *allowed)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!s.p[i] || !strchr(allowed, s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

static struct gt_str trim(struct gt_str s)
{
    while (s.n && strchr(" \t\r\n", s.p[0])) {
        s = gt_str_n(s.p + 1, s.n - 1);
    }
    while (s.n && strchr(" \t\r\n", s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

/* Up to the next '.', which is dropped. */
static struct gt_str part(struct gt_str *rest)
{
    const char *dot = rest->n ? memchr(rest->p, '.', rest->n) : NULL;
    struct gt_str head = dot ? gt_str_n(rest->p, (size_t)(dot - rest->p)) : *rest;
    *rest = dot ? gt_str_n(dot + 1, rest->n - head.n - 1) : gt_str("");
    return head;
}

int join_token_parse(struct gt_str text, struct join_token *ret, struct gt_err *err)
{
    static const char hex[] = "0123456789abcdef";
    struct gt_str whole = trim(text), rest = whole;
    struct gt_str id = part(&rest), secret = part(&rest), hash = part(&rest);
    size_t n = id.n + 1 + secret.n + (hash.n ? 1 + hash.n : 0);
    *ret = (struct join_token){0};
    if (!only(id, "0123456789abcdef-") || id.n > 64 || !only(secret, hex) || secret.n != 32 ||
        (hash.n && (!only(hash, hex) || hash.n != 64)) || n != whole.n) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "that is no token: copy the line that `gantry token create` prints, "
                          "whole");
    }
    snprintf(ret->key_id, sizeof ret->key_id, "GTJOIN-" GT_STR_FMT, GT_STR_ARG(id));
    snprintf(ret->secret, sizeof ret->secret, GT_STR_FMT, GT_STR_ARG(secret));
    snprintf(ret->hash, sizeof ret->hash, GT_STR_FMT, GT_STR_ARG(hash));
    return 0;
}

static int read_token(const struct agent_options *o, struct join_token *ret, struct gt_err *err)
{
    if (o->activation_id && o->activation_code) {
        *ret = (struct join_token){0};
        snprintf(ret->key_id, sizeof ret->key_id, "GTJOIN-%s", o->activation_id);
        snprintf(ret->secret, sizeof ret->secret, "%s", o->activation_code);
        return 0;
    }
    if (o->token) {
        return join_token_parse(gt_str(o->token), ret, err);
    }
    if (!o->token_file) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "joining takes --token-file FILE (made by `gantry token create` on the "
                          "server), or --activation-id and --activation-code");
    }
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(TOKEN_FILE_MAX);
    struct stat st;
    if (stat(o->token_file, &st) == 0 && (st.st_mode & 077)) {
        gt_warn("'%s' can be read by others; chmod 600", o->token_file);
    }
    int r = gt_file_read(AT_FDCWD, o->token_file, &text, err);
    r = r < 0 ? r : join_token_parse(gt_buf_view(&text), ret, err);
    gt_wipe(text.p, text.n);
    return r;
}

int join_url(const char *text, char *to, size_t n, struct gt_err *err)
{
    const char *scheme = strstr(text, "://") ? "" : "https://";
    size_t len = strlen(text);
    while (len && text[len - 1] == '/') {
        len--;
    }
    int made = snprintf(to, n, "%s%.*s", scheme, (int)len, text);
    bool tls = strncmp(to, "https://", 8) == 0, plain = strncmp(to, "http://", 7) == 0;
    const char *host = to + (tls ? 8 : 7);
    if (made < 0 || (size_t)made >= n || !(tls || plain) || !host[0] || strpbrk(host, "/?#@ ")) {
        return gt_err_set(err, GT_ERR_INVALID, "'%.200s' is no URL like https://server:4566", text);
    }
    bool here = strncmp(host, "127.", 4) == 0 || strncmp(host, "localhost:", 10) == 0 ||
                strncmp(host, "[::1]:", 6) == 0 || gt_streq(host, "localhost");
    return tls || here ? 0
                       : gt_err_set(err, GT_ERR_INVALID,
                                    "by http whoever is on the way could read the node's key; "
                                    "join by https (a server that listens elsewhere than on "
                                    "loopback speaks it)");
}

/* --- files */

char *join_ca_file(const struct agent_options *o)
{
    return gt_asprintf("%s/agent/ca.pem", o->state_dir);
}

static char *join_file(const struct agent_options *o)
{
    return gt_asprintf("%s/agent/join.json", o->state_dir);
}

static void forget(const struct agent_options *o)
{
    gt_auto_free char *join = join_file(o), *ca = join_ca_file(o);
    unlink(join);
    unlink(ca);
}

/* The name of this join: one that began before, or a new one. */
static int join_id(const struct agent_options *o, char to[static 2 * JOIN_ID_BYTES + 1],
                   struct gt_err *err)
{
    unsigned char bytes[JOIN_ID_BYTES];
    gt_auto_free char *path = join_file(o);
    json_t *root = json_load_file(path, 0, NULL);
    const char *id = json_string_value(json_object_get(root, "joinId"));
    bool before = id && strlen(id) == 2 * JOIN_ID_BYTES;
    if (before) {
        memcpy(to, id, 2 * JOIN_ID_BYTES + 1);
    }
    json_decref(root);
    if (before) {
        return 0;
    }
    gt_rand_bytes(bytes, sizeof bytes);
    gt_hex_encode(bytes, sizeof bytes, to);
    gt_auto_free char *text = gt_asprintf("{\"joinId\": \"%s\"}\n", to);
    return gt_file_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
}

/* --- the conversation */

/* Whether a call that came to `r` is to be made again, after the pause that it makes. */
static bool again(int r, const struct gt_err *err, int *tries)
{
    if (r == 0 || !api_passing(err) || ++*tries == TRIES) {
        return false;
    }
    gt_info("%s; trying again", err->msg);
    uv_sleep((unsigned)(TRY_AGAIN_MS << *tries));
    return true;
}

/* Whom the node is to trust, in *ret_ca (NULL: as --ca says), and the server's region. */
static int meet(const struct agent_options *o, const char *url, const struct join_token *token,
                char region[static 64], char **ret_ca, struct gt_err *err)
{
    struct introduction in = {0};
    int r, tries = 0;
    do {
        gt_buf_fini(&in.authority);
        r = introduction_fetch(url, token->hash[0] ? token->hash : NULL, o->ca_file, &in, err);
    } while (again(r, err, &tries));
    if (r == 0 && o->region && !gt_streq(o->region, in.region)) {
        r = gt_err_set(err, GT_ERR_INVALID, "the server is in region '%s', not '%.60s'", in.region,
                       o->region);
    }
    if (r == 0) {
        snprintf(region, 64, "%s", in.region);
    }
    if (r == 0 && token->hash[0]) {
        *ret_ca = join_ca_file(o);
        r = gt_file_replace(AT_FDCWD, *ret_ca, in.authority.p, in.authority.n, 0644, err);
    } else if (r < 0 && err->kind == GT_ERR_DENIED && !token->hash[0]) {
        gt_err_wrap(err, "the server cannot prove who it is; give its authority with --ca FILE "
                         "(a server's own is its STATE/ca.pem)");
    }
    gt_buf_fini(&in.authority);
    return r;
}

static int ask(struct api_client *c, const struct agent_join_node_in *in, struct gt_arena *a,
               struct agent_join_node_out *out, struct gt_err *err)
{
    int r, tries = 0;
    do {
        r = api_call(c, &agent_op_join_node, in, a, out, err);
    } while (again(r, err, &tries));
    if (r < 0 && gt_streq(api_client_exception(c), "InvalidSignatureException")) {
        gt_err_set(err, GT_ERR_DENIED,
                   "the server does not know this token: it was mistyped, or another server's");
    }
    return r;
}

static void take(const struct agent_join_node_out *out, struct node_identity *id)
{
    snprintf(id->node_id, sizeof id->node_id, GT_STR_FMT, GT_STR_ARG(out->node_id));
    snprintf(id->cluster, sizeof id->cluster, GT_STR_FMT, GT_STR_ARG(out->cluster));
    snprintf(id->access_key, sizeof id->access_key, GT_STR_FMT, GT_STR_ARG(out->access_key_id));
    snprintf(id->secret_key, sizeof id->secret_key, GT_STR_FMT, GT_STR_ARG(out->secret_access_key));
    id->key_expires_ms = out->expires_at;
}

static int join_as(const struct agent_options *o, const struct join_token *token, const char *ca,
                   struct node_identity *id, struct gt_err *err)
{
    char name[2 * JOIN_ID_BYTES + 1];
    struct api_client *c = NULL;
    struct gt_arena a;
    struct agent_join_node_out out = {0};
    struct api_client_options co = {.endpoint = id->server,
                                    .region = id->region,
                                    .access_key = token->key_id,
                                    .secret_key = token->secret,
                                    .ca_file = ca ? ca : o->ca_file};
    int r = join_id(o, name, err);
    r = r < 0 ? r : api_client_new(&co, &c, err);
    if (r < 0) {
        return r;
    }
    struct agent_join_node_in in = {.join_id = gt_str(name), .cluster = gt_str(o->cluster)};
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    r = ask(c, &in, &a, &out, err);
    if (r == 0) {
        take(&out, id);
    }
    gt_arena_fini(&a);
    api_client_free(c);
    return r;
}

int node_join(const struct agent_options *o, struct node_identity *ret, struct gt_err *err)
{
    struct join_token token;
    gt_auto_free char *ca = NULL, *agent_dir = gt_asprintf("%s/agent", o->state_dir);
    gt_auto_free char *begun = join_file(o);
    *ret = (struct node_identity){0};
    int r = join_url(o->join, ret->server, sizeof ret->server, err);
    r = r < 0 ? r : read_token(o, &token, err);
    r = r < 0 ? r : gt_mkdirs(agent_dir, 0700, err);
    r = r < 0 ? r : meet(o, ret->server, &token, ret->region, &ca, err);
    r = r < 0 ? r : join_as(o, &token, ca, ret, err);
    gt_wipe(&token, sizeof token);
    if (r < 0) {
        if (!api_passing(err)) {
            forget(o);
        }
        return gt_err_wrap(err, "join %s", o->join);
    }
    r = node_identity_save(o, ret, err);
    if (r == 0) {
        unlink(begun);
        gt_info("joined %s as node %s", ret->server, ret->node_id);
    }
    return r;
}
