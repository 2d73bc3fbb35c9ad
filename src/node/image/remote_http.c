#include "node/image/remote_priv.h"

#include "lib/base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REDIRECTS_MAX 5L
#define CONNECT_MS 10000L
#define SLOWEST 128L /* bytes a second; what is slower for timeout_ms counts as nothing */

#define IDLE_MAX 4

struct remote_pool {
    pthread_mutex_t lock;
    CURL *idle[IDLE_MAX];
    size_t n;
};

static void curl_start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct remote_pool *remote_pool_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, curl_start);
    struct remote_pool *p = gt_new(struct remote_pool);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void remote_pool_free(struct remote_pool *p)
{
    if (!p) {
        return;
    }
    while (p->n > 0) {
        curl_easy_cleanup(p->idle[--p->n]);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* The one used last: its connection is the most likely to be alive. */
CURL *remote_pool_take(struct remote_pool *p)
{
    pthread_mutex_lock(&p->lock);
    CURL *curl = p->n > 0 ? p->idle[--p->n] : NULL;
    pthread_mutex_unlock(&p->lock);
    if (!curl) {
        curl = curl_easy_init();
        GT_ASSERT(curl);
    }
    return curl;
}

void remote_pool_give(struct remote_pool *p, CURL *curl)
{
    curl_easy_reset(curl); /* forgets credentials, keeps connections */
    pthread_mutex_lock(&p->lock);
    if (p->n < IDLE_MAX) {
        p->idle[p->n++] = curl;
        curl = NULL;
    }
    pthread_mutex_unlock(&p->lock);
    curl_easy_cleanup(curl);
}

static bool has_prefix(const char *p, size_t n, const char *name, const char **ret_value)
{
    size_t len = strlen(name);
    if (n <= len || strncasecmp(p, name, len) != 0 || p[len] != ':') {
        return false;
    }
    p += len + 1;
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    *ret_value = p;
    return true;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct remote_call *c = arg;
    n *= size;
    char line[4096];
    if (n >= sizeof(line)) {
        return n;
    }
    memcpy(line, p, n);
    line[n] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    const char *v;
    if (strncmp(line, "HTTP/", 5) == 0) {
        /* of a redirect or "100 continue" before: only the last answer's headers count */
        c->content_type[0] = '\0';
        c->retry_after_s = 0;
        c->challenge.scheme = CHALLENGE_NONE;
    } else if (has_prefix(line, n, "Content-Type", &v)) {
        snprintf(c->content_type, sizeof(c->content_type), "%s", v);
    } else if (has_prefix(line, n, "Retry-After", &v)) {
        c->retry_after_s = strtol(v, NULL, 10);
    } else if (has_prefix(line, n, "WWW-Authenticate", &v)) {
        struct remote_challenge one;
        remote_challenge_parse(v, &one);
        if (one.scheme > c->challenge.scheme) {
            c->challenge = one;
        }
    }
    return n;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct remote_call *c = arg;
    n *= size;
    if (!c->status) {
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
        curl_easy_getinfo(c->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &c->length);
    }
    if (c->status / 100 == 2) {
        c->take_result = c->take(c, p, n);
        return c->take_result < 0 ? 0 : n;
    }
    size_t room = sizeof(c->text) - 1 - c->n_text, part = GT_MIN(n, room);
    memcpy(c->text + c->n_text, p, part);
    c->n_text += part;
    c->text[c->n_text] = '\0';
    return n;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    const struct remote_call *c = arg;
    return c->remote->o.cancel && atomic_load(c->remote->o.cancel);
}

static void set_options(struct remote_call *c, struct curl_slist *headers)
{
    const struct remote_options *o = &c->remote->o;
    CURL *h = c->curl;
    curl_easy_reset(h); /* keeps connections */
    curl_easy_setopt(h, CURLOPT_URL, c->url);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, c->plain ? "http,https" : "https");
    curl_easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, c->plain ? "http,https" : "https");
    curl_easy_setopt(h, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(h, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
    curl_easy_setopt(h, CURLOPT_USERAGENT, "gantry/" GT_VERSION);
    if (c->large) {
        curl_easy_setopt(h, CURLOPT_BUFFERSIZE, (long)(256 * GT_KIB));
    }
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, GT_MIN(CONNECT_MS, (long)o->timeout_ms));
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, SLOWEST);
    curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)GT_MAX(o->timeout_ms / 1000, 1U));
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->curl_text);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(h, CURLOPT_XFERINFODATA, c);
    if (c->remote->loopback) {
        curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    }
    if (o->ca_file) {
        curl_easy_setopt(h, CURLOPT_CAINFO, o->ca_file);
    }
    if (headers) {
        curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    }
    /* curl itself keeps both from being sent on to another host or port. */
    if (c->bearer) {
        curl_easy_setopt(h, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(h, CURLOPT_XOAUTH2_BEARER, c->bearer);
    } else if (c->userpwd) {
        curl_easy_setopt(h, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(h, CURLOPT_USERPWD, c->userpwd);
    }
}

CURLcode remote_exchange(struct remote_call *c)
{
    struct curl_slist *headers = NULL;
    char range[64];
    if (c->accept) {
        headers = curl_slist_append(headers, c->accept);
    }
    c->take_result = 0;
    c->status = 0;
    c->length = -1;
    c->n_text = 0;
    c->text[0] = c->curl_text[0] = c->content_type[0] = '\0';
    c->retry_after_s = 0;
    c->challenge.scheme = CHALLENGE_NONE;
    set_options(c, headers);
    if (c->from > 0) {
        snprintf(range, sizeof(range), "%llu-", (unsigned long long)c->from);
        curl_easy_setopt(c->curl, CURLOPT_RANGE, range);
    }
    CURLcode r = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
    curl_easy_getinfo(c->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &c->length);
    curl_slist_free_all(headers);
    return r;
}
