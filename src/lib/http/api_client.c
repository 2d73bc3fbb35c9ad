#include "lib/http/api_client.h"

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/crypto/digest.h"
#include "lib/http/server_clock.h"
#include "lib/wire/json.h"
#include "lib/wire/sigv4.h"
#include "lib/wire/wire.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

struct api_client {
    CURL *curl;
    char *endpoint, *region, *access_key, *secret_key, *session_token, *ca_file;
    char host[256];   /* as curl says it in the header */
    const char *base; /* the endpoint's path, before that of a call: signed, too */
    struct sigv4_keys *keys;
    struct server_clock own_clock, *clock;
    int64_t date; /* of the answer, ms since 1970; 0: none */
    long timeout_ms;
    atomic_bool *cancel;
    struct gt_buf answer;
    char exception[128];
};

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* What stands in the header Host is signed: the endpoint's host, and its port if that is not the
 * scheme's. */
static void take_host(struct api_client *c)
{
    const char *from = strstr(c->endpoint, "://");
    from = from ? from + 3 : c->endpoint;
    size_t n = strcspn(from, "/");
    c->base = from + n;
    const char *usual = strncmp(c->endpoint, "https:", 6) == 0 ? ":443" : ":80";
    size_t u = strlen(usual);
    n -= n > u && strncmp(from + n - u, usual, u) == 0 ? u : 0;
    snprintf(c->host, sizeof c->host, "%.*s", (int)n, from);
}

int api_client_new(const struct api_client_options *o, struct api_client **ret, struct gt_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    CURL *curl = curl_easy_init();
    if (!curl) {
        return gt_err_set(err, GT_ERR_INTERNAL, "start libcurl");
    }
    struct api_client *c = gt_new(struct api_client);
    c->curl = curl;
    c->endpoint = gt_strdup(o->endpoint);
    c->region = gt_strdup(o->region);
    c->access_key = gt_strdup(o->access_key);
    c->secret_key = gt_strdup(o->secret_key);
    c->session_token = o->session_token ? gt_strdup(o->session_token) : NULL;
    c->keys = sigv4_keys_new();
    c->own_clock = SERVER_CLOCK_INIT;
    c->clock = o->clock ? o->clock : &c->own_clock;
    take_host(c);
    c->ca_file = o->ca_file ? gt_strdup(o->ca_file) : NULL;
    c->timeout_ms = o->timeout_ms ? o->timeout_ms : 30000;
    c->cancel = o->cancel;
    c->answer = GT_BUF_INIT(GT_LIMIT_API_ANSWER);
    *ret = c;
    return 0;
}

void api_client_set_region(struct api_client *c, const char *region)
{
    if (!gt_streq(c->region, region)) {
        free(c->region);
        c->region = gt_strdup(region);
    }
}

void api_client_free(struct api_client *c)
{
    if (!c) {
        return;
    }
    curl_easy_cleanup(c->curl);
    gt_buf_fini(&c->answer);
    free(c->endpoint);
    free(c->region);
    explicit_bzero(c->secret_key, strlen(c->secret_key));
    free(c->access_key);
    free(c->secret_key);
    free(c->session_token);
    sigv4_keys_free(c->keys);
    free(c->ca_file);
    free(c);
}

const char *api_client_exception(const struct api_client *c)
{
    return c->exception;
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct api_client *c = arg;
    gt_buf_add(&c->answer, p, size * n);
    return gt_buf_ok(&c->answer) ? size * n : 0;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    const struct api_client *c = arg;
    return c->cancel && atomic_load(c->cancel);
}

static struct curl_slist *add_header(struct curl_slist *list, const char *text)
{
    struct curl_slist *more = curl_slist_append(list, text);
    GT_ASSERT(more != NULL);
    return more;
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    struct api_client *c = arg;
    char value[64];
    if (n > 6 && n < sizeof value && strncasecmp(p, "date:", 5) == 0) {
        snprintf(value, sizeof value, "%.*s", (int)(n - 5), p + 5);
        time_t date = curl_getdate(value, NULL);
        c->date = date > 0 ? (int64_t)date * 1000 : 0;
    }
    return size * n;
}

enum { HEADERS_MAX = 8 };

struct post {
    const char *path; /* with its query */
    const char *signing;
    struct sigv4_header headers[HEADERS_MAX];
    size_t n_headers;
    const void *body;
    size_t n;
    const char *body_sha256;
};

static void put_header(struct post *p, const char *name, const char *value)
{
    GT_ASSERT(p->n_headers < HEADERS_MAX);
    p->headers[p->n_headers++] = (struct sigv4_header){gt_str(name), gt_str(value)};
}

static struct curl_slist *add(struct curl_slist *list, struct gt_str name, struct gt_str value)
{
    gt_auto_free char *line =
        gt_asprintf(GT_STR_FMT ": " GT_STR_FMT, GT_STR_ARG(name), GT_STR_ARG(value));
    return add_header(list, line);
}

/* The headers to send, signed for the server's time. */
static struct curl_slist *sign(struct api_client *c, const struct post *p)
{
    gt_auto_buf struct gt_buf buf = GT_BUF_INIT(16 * 1024);
    gt_auto_free char *whole = gt_asprintf("%s%s", c->base, p->path);
    struct gt_str path = gt_str(whole);
    const char *mark = strchr(whole, '?');
    struct sigv4_request rq = {.method = GT_STR_LIT("POST"),
                               .path = mark ? gt_str_n(path.p, (size_t)(mark - path.p)) : path,
                               .query = gt_str(mark ? mark + 1 : ""),
                               .headers = p->headers,
                               .n_headers = p->n_headers};
    struct sigv4_signer signer = {.key_id = gt_str(c->access_key),
                                  .secret = gt_str(c->secret_key),
                                  .token = gt_str(c->session_token),
                                  .region = c->region,
                                  .service = p->signing,
                                  .keys = c->keys};
    struct sigv4_signature sig;
    sigv4_sign(&rq, &signer, server_clock_now(c->clock), p->body_sha256, &buf, &sig);
    struct curl_slist *list = add_header(NULL, "Expect:");
    list = add_header(list, "Accept:");
    for (size_t i = 0; i < p->n_headers; i++) {
        list = add(list, p->headers[i].name, p->headers[i].value);
    }
    list = add(list, GT_STR_LIT("x-amz-date"), gt_str(sig.amz_date));
    list = add(list, GT_STR_LIT("x-amz-content-sha256"), gt_str(p->body_sha256));
    if (c->session_token) {
        list = add(list, GT_STR_LIT("x-amz-security-token"), gt_str(c->session_token));
    }
    return add(list, GT_STR_LIT("Authorization"), sig.authorization);
}

static void set_options(struct api_client *c, const char *url, const struct post *p,
                        struct curl_slist *headers)
{
    CURL *h = c->curl;
    curl_easy_reset(h); /* keeps the connection */
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)p->n);
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, p->n ? (const char *)p->body : "");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, c->timeout_ms);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_TCP_NODELAY, 1L);
    if (c->ca_file) {
        curl_easy_setopt(h, CURLOPT_CAINFO, c->ca_file);
        curl_easy_setopt(h, CURLOPT_CAPATH, NULL); /* those and no others */
    }
    if (c->cancel) {
        curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
        curl_easy_setopt(h, CURLOPT_XFERINFODATA, c);
    }
}

/* Sends; *ret_status is the HTTP status and c->answer the body. */
static int send_once(struct api_client *c, const struct post *p, long *ret_status,
                     struct gt_err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    gt_auto_free char *url = gt_asprintf("%s%s", c->endpoint, p->path);
    struct curl_slist *headers = sign(c, p);
    gt_buf_reset(&c->answer);
    c->exception[0] = '\0';
    c->date = 0;
    set_options(c, url, p, headers);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, why);
    int64_t sent = gt_clock_real_ms();
    CURLcode code = curl_easy_perform(c->curl);
    if (c->date) {
        server_clock_heard(c->clock, c->date, sent, gt_clock_real_ms());
    }
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        enum gt_err_kind kind = code == CURLE_OPERATION_TIMEDOUT         ? GT_ERR_TIMEOUT
                                : code == CURLE_PEER_FAILED_VERIFICATION ? GT_ERR_DENIED
                                                                         : GT_ERR_UNAVAILABLE;
        return gt_err_set(err, kind, "call %s: %s", c->endpoint,
                          why[0] ? why : curl_easy_strerror(code));
    }
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, ret_status);
    return 0;
}

/* Once more when it was refused and the answer's date told that ours was wrong. */
static int post(struct api_client *c, const struct post *p, long *ret_status, struct gt_err *err)
{
    int64_t ahead = server_clock_ahead(c->clock);
    int r = send_once(c, p, ret_status, err);
    int64_t wrong_by = llabs(server_clock_ahead(c->clock) - ahead);
    bool again = r == 0 && *ret_status / 100 == 4 && wrong_by > SIGV4_SKEW_MS / 2;
    return again ? send_once(c, p, ret_status, err) : r;
}

static enum gt_err_kind kind_of(long status, const char *exception)
{
    if (strstr(exception, "NotFound")) {
        return GT_ERR_NOT_FOUND;
    }
    if (strstr(exception, "Throttl")) {
        return GT_ERR_THROTTLED;
    }
    if (strstr(exception, "AccessDenied") || status == 403) {
        return GT_ERR_DENIED;
    }
    if (strstr(exception, "AlreadyExists")) {
        return GT_ERR_EXISTS;
    }
    if (status == 503) {
        return GT_ERR_UNAVAILABLE;
    }
    return status >= 500 ? GT_ERR_INTERNAL : GT_ERR_INVALID;
}

bool api_passing(const struct gt_err *err)
{
    return err->kind == GT_ERR_UNAVAILABLE || err->kind == GT_ERR_TIMEOUT ||
           err->kind == GT_ERR_THROTTLED;
}

/* {"__type": "...", "message": "..."}, or whatever a proxy in between has put there. */
static int refused(struct api_client *c, long status, struct gt_err *err)
{
    const char *message = "";
    json_t *root = json_loadb(c->answer.p ? c->answer.p : "", c->answer.n, 0, NULL);
    if (json_is_object(root)) {
        const char *type = json_string_value(json_object_get(root, "__type"));
        const char *hash = type ? strrchr(type, '#') : NULL;
        snprintf(c->exception, sizeof c->exception, "%s", hash ? hash + 1 : type ? type : "");
        const json_t *m = json_object_get(root, "message");
        m = m ? m : json_object_get(root, "Message");
        message = json_is_string(m) ? json_string_value(m) : "";
    }
    int r = gt_err_set(err, kind_of(status, c->exception), "%s%s%s",
                       c->exception[0] ? c->exception : "HTTP status ",
                       c->exception[0] && message[0] ? ": " : "", message);
    if (!c->exception[0] && err) {
        size_t used = strlen(err->msg);
        snprintf(err->msg + used, sizeof err->msg - used, "%ld", status);
    }
    json_decref(root);
    return r;
}

int api_call(struct api_client *c, const struct wire_op *op, const void *in, struct gt_arena *arena,
             void *out, struct gt_err *err)
{
    gt_auto_buf struct gt_buf body = GT_BUF_INIT(GT_LIMIT_API_BODY);
    if (op->in) {
        wire_json_encode(op->in, in, &body);
    } else {
        gt_buf_puts(&body, "{}");
    }
    if (!gt_buf_ok(&body)) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "the input of %s is larger than %lu bytes",
                          op->name, GT_LIMIT_API_BODY);
    }
    char target[160], type[64], sum[GT_SHA256_HEX];
    snprintf(target, sizeof target, "%s.%s", op->service->target_prefix, op->name);
    snprintf(type, sizeof type, "application/x-amz-json-%s", op->service->json_version);
    gt_sha256_hex(body.p, body.n, sum);
    struct post p = {.path = "/",
                     .signing = op->service->signing,
                     .body = body.p,
                     .n = body.n,
                     .body_sha256 = sum};
    put_header(&p, "host", c->host);
    put_header(&p, "x-amz-target", target);
    put_header(&p, "content-type", type);
    long status = 0;
    int r = post(c, &p, &status, err);
    if (r < 0) {
        return r;
    }
    if (status != 200) {
        return refused(c, status, err);
    }
    if (!op->out || !out) {
        return 0;
    }
    memset(out, 0, op->out->size);
    char *text = gt_arena_str(arena, gt_buf_view(&c->answer));
    r = wire_json_decode(op->out, gt_str_n(text, c->answer.n), arena, out, err);
    return r < 0 ? gt_err_wrap(err, "read the answer of %s", op->name) : 0;
}

int api_post(struct api_client *c, const char *path, const void *body, size_t n,
             struct gt_arena *arena, struct gt_str *ret_answer, struct gt_err *err)
{
    /* The server begins before it has all of the body. Bulk bytes travel on loopback or in TLS. */
    struct post p = {.path = path,
                     .signing = "gantry",
                     .body = body,
                     .n = n,
                     .body_sha256 = SIGV4_UNSIGNED_PAYLOAD};
    put_header(&p, "host", c->host);
    put_header(&p, "content-type", "application/octet-stream");
    long status = 0;
    int r = post(c, &p, &status, err);
    if (r < 0) {
        return r;
    }
    if (status != 200) {
        return refused(c, status, err);
    }
    *ret_answer = gt_str_n(gt_arena_str(arena, gt_buf_view(&c->answer)), c->answer.n);
    return 0;
}
