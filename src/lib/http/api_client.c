#include "lib/http/api_client.h"

#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/wire/json.h"
#include "lib/wire/wire.h"

#include <curl/curl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>

struct api_client {
    CURL *curl;
    char *endpoint, *region, *userpwd, *token_header, *ca_file;
    long timeout_ms;
    atomic_bool *cancel;
    struct gt_buf answer;
    char exception[128];
};

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
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
    c->userpwd = gt_asprintf("%s:%s", o->access_key, o->secret_key);
    if (o->session_token) {
        c->token_header = gt_asprintf("X-Amz-Security-Token: %s", o->session_token);
    }
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
    if (c->userpwd) {
        explicit_bzero(c->userpwd, strlen(c->userpwd));
    }
    free(c->userpwd);
    free(c->token_header);
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

/* Sends; *ret_status is the HTTP status and c->answer the body. */
static int post(struct api_client *c, const char *url, const char *signing,
                struct curl_slist *headers, const void *body, size_t n, long *ret_status,
                struct gt_err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    gt_auto_free char *sigv4 = gt_asprintf("aws:amz:%s:%s", c->region, signing);
    gt_buf_reset(&c->answer);
    c->exception[0] = '\0';
    if (c->token_header) {
        headers = add_header(headers, c->token_header);
    }
    headers = add_header(headers, "Expect:");
    headers = add_header(headers, "Accept:");

    CURL *h = c->curl;
    curl_easy_reset(h); /* keeps the connection */
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_POST, 1L);
    curl_easy_setopt(h, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    curl_easy_setopt(h, CURLOPT_POSTFIELDS, n ? (const char *)body : "");
    curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(h, CURLOPT_AWS_SIGV4, sigv4);
    curl_easy_setopt(h, CURLOPT_USERPWD, c->userpwd);
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, c->timeout_ms);
    curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, why);
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
    CURLcode code = curl_easy_perform(h);
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        enum gt_err_kind kind =
            code == CURLE_OPERATION_TIMEDOUT ? GT_ERR_TIMEOUT : GT_ERR_UNAVAILABLE;
        return gt_err_set(err, kind, "call %s: %s", c->endpoint,
                          why[0] ? why : curl_easy_strerror(code));
    }
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, ret_status);
    return 0;
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
    char target[160], type[64];
    snprintf(target, sizeof target, "X-Amz-Target: %s.%s", op->service->target_prefix, op->name);
    snprintf(type, sizeof type, "Content-Type: application/x-amz-json-%s",
             op->service->json_version);
    struct curl_slist *headers = add_header(add_header(NULL, target), type);
    gt_auto_free char *url = gt_asprintf("%s/", c->endpoint);
    long status = 0;
    int r = post(c, url, op->service->signing, headers, body.p, body.n, &status, err);
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
    gt_auto_free char *url = gt_asprintf("%s%s", c->endpoint, path);
    struct curl_slist *headers = add_header(NULL, "Content-Type: application/octet-stream");
    /* The server begins before it has all of the body. Bulk bytes travel on loopback or in TLS. */
    headers = add_header(headers, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
    long status = 0;
    int r = post(c, url, "gantry", headers, body, n, &status, err);
    if (r < 0) {
        return r;
    }
    if (status != 200) {
        return refused(c, status, err);
    }
    *ret_answer = gt_str_n(gt_arena_str(arena, gt_buf_view(&c->answer)), c->answer.n);
    return 0;
}
