#include "node/image/remote.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "node/image/remote_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 5000
#define LARGE_FROM (256 * GT_KIB)
#define GOT_ON (64 * GT_KIB) /* less of a blob is no progress */
#define ROUNDS_MAX 100       /* of a blob that comes in pieces: a registry may not do so for ever */

#define ACCEPT_MANIFESTS                                                                           \
    "Accept: application/vnd.oci.image.index.v1+json, "                                            \
    "application/vnd.oci.image.manifest.v1+json, "                                                 \
    "application/vnd.docker.distribution.manifest.list.v2+json, "                                  \
    "application/vnd.docker.distribution.manifest.v2+json"

static bool is_loopback(const char *host)
{
    size_t n = strcspn(host, host[0] == '[' ? "]" : ":");
    if (host[0] == '[') {
        return strncmp(host, "[::1]", 5) == 0;
    }
    return (n == 9 && strncasecmp(host, "localhost", 9) == 0) || strncmp(host, "127.", 4) == 0 ||
           (n > 10 && strncasecmp(host + n - 10, ".localhost", 10) == 0);
}

static void grant_fini(struct remote_grant *g)
{
    explicit_bzero(&g->cred, sizeof(g->cred));
    if (g->token) {
        explicit_bzero(g->token, strlen(g->token));
        free(g->token);
    }
}

void remote_grant_free(struct remote_grant *g)
{
    if (g) {
        grant_fini(g);
        free(g);
    }
}

struct remote *remote_new(const struct remote_options *options)
{
    struct remote *r = gt_new(struct remote);
    r->o = *options;
    r->loopback = is_loopback(options->host);
    r->g.https = !r->loopback && !options->plain_http;
    r->g.scheme_known = r->g.https;
    if (options->grant) {
        r->g = *options->grant;
        r->g.token = r->g.token ? gt_strdup(r->g.token) : NULL;
    }
    pthread_mutex_init(&r->lock, NULL);
    return r;
}

void remote_free(struct remote *r)
{
    if (!r) {
        return;
    }
    pthread_mutex_destroy(&r->lock);
    grant_fini(&r->g);
    free(r);
}

struct remote_grant *remote_granted(struct remote *r)
{
    struct remote_grant *g = NULL;
    pthread_mutex_lock(&r->lock);
    if (r->g.scheme_known) {
        g = gt_memdup(&r->g, sizeof(r->g));
        g->token = g->token ? gt_strdup(g->token) : NULL;
    }
    pthread_mutex_unlock(&r->lock);
    return g;
}

static bool cancelled(const struct remote *r)
{
    return r->o.cancel && atomic_load(r->o.cancel);
}

static void pause_ms(const struct remote *r, unsigned ms)
{
    for (; ms > 0 && !cancelled(r); ms -= GT_MIN(ms, 50U)) {
        struct timespec ts = {0, (long)GT_MIN(ms, 50U) * 1000000L};
        nanosleep(&ts, NULL);
    }
}

/* What one request sends of the remote's state, taken under its lock. */
struct attempt {
    char url[REMOTE_URL_MAX];
    char *userpwd, *bearer;
    unsigned serial;
    bool https;
};

static void attempt_fini(struct attempt *a)
{
    free(a->userpwd);
    free(a->bearer);
}

static void attempt_init(struct remote *r, const char *path, struct attempt *a)
{
    *a = (struct attempt){0};
    pthread_mutex_lock(&r->lock);
    a->https = r->g.https;
    a->serial = r->serial;
    if (r->g.auth == AUTH_BASIC) {
        a->userpwd = gt_asprintf("%s:%s", r->g.cred.username, r->g.cred.password);
    } else if (r->g.auth == AUTH_BEARER) {
        a->bearer = gt_strdup(r->g.token);
    }
    pthread_mutex_unlock(&r->lock);
    const char *host = strcmp(r->o.host, "docker.io") == 0 ? "registry-1.docker.io" : r->o.host;
    snprintf(a->url, sizeof(a->url), "%s://%s/v2/%s/%s", a->https ? "https" : "http", host,
             r->o.repository, path);
}

/* A loopback registry may speak TLS all the same: then plain HTTP gets no sensible answer. */
static bool turn_to_https(struct remote *r, const struct remote_call *c, CURLcode code)
{
    bool turned = false;
    pthread_mutex_lock(&r->lock);
    if (!r->g.scheme_known) {
        bool strange = code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR ||
                       code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_WEIRD_SERVER_REPLY ||
                       code == CURLE_HTTP2 ||
                       (code == CURLE_OK && c->status == 400 && strstr(c->text, "HTTPS"));
        if (strange) {
            r->g.https = turned = true;
        }
        if (strange || code == CURLE_OK) {
            r->g.scheme_known = true;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return turned;
}

static bool curl_may_pass(CURLcode code)
{
    /* Not by a switch: the codes number a hundred. */
    static const CURLcode passing[] = {
        CURLE_COULDNT_RESOLVE_HOST,
        CURLE_COULDNT_CONNECT,
        CURLE_OPERATION_TIMEDOUT,
        CURLE_SEND_ERROR,
        CURLE_RECV_ERROR,
        CURLE_GOT_NOTHING,
        CURLE_PARTIAL_FILE,
        CURLE_HTTP2,
        CURLE_HTTP2_STREAM,
        CURLE_SSL_CONNECT_ERROR,
        CURLE_COULDNT_RESOLVE_PROXY,
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(passing); i++) {
        if (passing[i] == code) {
            return true;
        }
    }
    return false;
}

static int status_trouble(const struct remote *r, const struct remote_call *c, const char *what,
                          struct gt_err *err)
{
    switch (c->status) {
    case 404:
        return gt_err_set(err, GT_ERR_NOT_FOUND, "%s: not found", what);
    case 401:
    case 403:
        return gt_err_set(err, GT_ERR_DENIED,
                          "pull access denied for %s/%s, repository does not exist or may require "
                          "authorization: registry answers %ld",
                          r->o.host, r->o.repository, c->status);
    default:
        return gt_err_set(err, GT_ERR_UNAVAILABLE, "%s: registry '%s' answers %ld: %.120s", what,
                          r->o.host, c->status, c->text);
    }
}

/* Counts an attempt and waits; false when there were enough. */
static bool try_again(const struct remote *r, const struct remote_call *c, unsigned *tries)
{
    if (*tries >= r->o.retries) {
        return false;
    }
    unsigned ms = GT_MIN((unsigned)PAUSE_FIRST_MS << *tries, (unsigned)PAUSE_MAX_MS);
    if (c->retry_after_s > 0 && c->retry_after_s <= 10) {
        ms = (unsigned)c->retry_after_s * 1000;
    }
    (*tries)++;
    pause_ms(r, ms);
    return true;
}

/* Decides after an exchange. Returns 1: ask again, 0: done, or a negative errno. */
static int judge(struct remote *r, const struct attempt *a, const struct remote_call *c,
                 CURLcode code, const char *what, unsigned *auths, unsigned *tries,
                 struct gt_err *err)
{
    if (cancelled(r)) {
        gt_err_set(err, GT_ERR_CONFLICT, "%s: cancelled", what);
        return -ECANCELED;
    }
    if (c->take_result < 0) {
        return c->take_result; /* err was filled by take */
    }
    if (code == CURLE_OK && c->status / 100 == 2) {
        return 0;
    }
    if (turn_to_https(r, c, code)) {
        return 1;
    }
    if (code == CURLE_OK && c->status == 401 && (*auths)++ < 2) {
        int x = remote_authorize(r, &c->challenge, a->serial, err);
        if (x == -EACCES) {
            return gt_err_wrap(err, "pull access denied for %s/%s", r->o.host, r->o.repository);
        }
        if (x == -ECONNREFUSED && try_again(r, c, tries)) {
            (*auths)--; /* the token service is in trouble, nothing was refused */
            return 1;
        }
        return x < 0 ? gt_err_wrap(err, "%s", what) : 1;
    }
    bool passing = code == CURLE_OK ? remote_passing(c->status) : curl_may_pass(code);
    if (passing && try_again(r, c, tries)) {
        return 1;
    }
    if (code != CURLE_OK) {
        return gt_err_set(err, GT_ERR_UNAVAILABLE, "%s: registry '%s': %s", what, r->o.host,
                          c->curl_text[0] ? c->curl_text : curl_easy_strerror(code));
    }
    return status_trouble(r, c, what, err);
}

/* ---- manifests ---- */

struct document {
    struct gt_buf *body;
    struct gt_err *err;
};

static int take_document(struct remote_call *c, const void *p, size_t n)
{
    struct document *d = c->arg;
    gt_buf_add(d->body, p, n);
    if (!gt_buf_ok(d->body)) {
        return gt_err_set(d->err, GT_ERR_LIMIT, "manifest is larger than %zu bytes", d->body->max);
    }
    return 0;
}

int remote_manifest(struct remote *r, const char *reference, struct gt_buf *body,
                    struct gt_buf *content_type, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("manifests/%s", reference);
    gt_auto_free char *what =
        gt_asprintf("failed to resolve ref %s/%s%c%s", r->o.host, r->o.repository,
                    strchr(reference, ':') ? '@' : ':', reference);
    struct document d = {body, err};
    struct remote_call c = {
        .remote = r, .accept = ACCEPT_MANIFESTS, .take = take_document, .arg = &d};
    c.curl = remote_pool_take(r->o.pool);
    unsigned auths = 0, tries = 0;
    int x;
    do {
        struct attempt a;
        attempt_init(r, path, &a);
        c.url = a.url;
        c.userpwd = a.userpwd;
        c.bearer = a.bearer;
        c.plain = !a.https;
        gt_buf_reset(body);
        CURLcode code = remote_exchange(&c);
        x = judge(r, &a, &c, code, what, &auths, &tries, err);
        attempt_fini(&a);
    } while (x == 1);
    remote_pool_give(r->o.pool, c.curl);
    if (x == 0) {
        gt_buf_puts(content_type, c.content_type);
    }
    return x;
}

/* ---- blobs ---- */

struct blob {
    remote_take_fn take;
    void *arg;
    uint64_t size, done;
    uint64_t skip; /* a server that does not know ranges begins anew */
    bool begun;    /* of this attempt */
    const char *digest;
    struct gt_err *err;
};

/* Checks what an attempt begins with, before its first byte goes on. */
static int begin_body(struct remote_call *c, struct blob *b)
{
    b->begun = true;
    b->skip = c->status == 206 ? 0 : c->from;
    uint64_t expected = b->size - (c->status == 206 ? c->from : 0);
    if (c->length >= 0 && (uint64_t)c->length != expected) {
        return gt_err_set(b->err, GT_ERR_CORRUPT,
                          "%s: registry has %lld bytes of it where the manifest says %llu",
                          b->digest, (long long)c->length, (unsigned long long)expected);
    }
    return 0;
}

static int take_blob(struct remote_call *c, const void *p, size_t n)
{
    struct blob *b = c->arg;
    int x = b->begun ? 0 : begin_body(c, b);
    if (x < 0) {
        return x;
    }
    size_t skipped = (size_t)GT_MIN((uint64_t)n, b->skip);
    b->skip -= skipped;
    p = (const char *)p + skipped;
    n -= skipped;
    if (n > b->size - b->done) {
        return gt_err_set(b->err, GT_ERR_CORRUPT, "%s: more than its %llu bytes", b->digest,
                          (unsigned long long)b->size);
    }
    if (n == 0) {
        return 0;
    }
    x = b->take(b->arg, p, n, b->err);
    b->done += n;
    return x;
}

int remote_blob(struct remote *r, const char *digest, uint64_t size, remote_take_fn take, void *arg,
                struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("blobs/%s", digest);
    gt_auto_free char *what = gt_asprintf("failed to copy %s", digest);
    struct blob b = {.take = take, .arg = arg, .size = size, .digest = digest, .err = err};
    struct remote_call c = {.remote = r, .take = take_blob, .arg = &b};
    c.large = size > LARGE_FROM;
    c.curl = remote_pool_take(r->o.pool);
    unsigned auths = 0, tries = 0, rounds = 0;
    int x;
    do {
        struct attempt a;
        attempt_init(r, path, &a);
        c.url = a.url;
        c.userpwd = a.userpwd;
        c.bearer = a.bearer;
        c.plain = !a.https;
        c.from = b.done;
        b.begun = false;
        CURLcode code = remote_exchange(&c);
        if (b.done - c.from >= GOT_ON && rounds++ < ROUNDS_MAX) {
            tries = auths = 0; /* it got on: a long blob may break often */
        }
        x = judge(r, &a, &c, code, what, &auths, &tries, err);
        attempt_fini(&a);
    } while (x == 1);
    if (c.large) {
        curl_easy_cleanup(c.curl); /* and its buffer */
    } else {
        remote_pool_give(r->o.pool, c.curl);
    }
    if (x == 0 && b.done != b.size) {
        x = gt_err_set(err, GT_ERR_CORRUPT, "%s: truncated: %llu of %llu bytes", digest,
                       (unsigned long long)b.done, (unsigned long long)b.size);
    }
    return x;
}
