#include "lib/http/introduction.h"

#include "lib/base/mem.h"
#include "lib/crypto/certificate.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>

enum { ANSWER_MAX = 64 * 1024, TIMEOUT_MS = 10000 };

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct gt_buf *b = arg;
    gt_buf_add(b, p, size * n);
    return gt_buf_ok(b) ? size * n : 0;
}

static int get(const char *url, bool verify, const char *ca_file, struct gt_buf *to,
               struct gt_err *err)
{
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    CURL *h = curl_easy_init();
    if (!h) {
        return gt_err_set(err, GT_ERR_INTERNAL, "start libcurl");
    }
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
    curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
    if (ca_file) {
        curl_easy_setopt(h, CURLOPT_CAINFO, ca_file);
        curl_easy_setopt(h, CURLOPT_CAPATH, NULL);
    }
    curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h, CURLOPT_WRITEDATA, to);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, why);
    CURLcode code = curl_easy_perform(h);
    curl_easy_getinfo(h, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(h);
    if (code != CURLE_OK) {
        bool distrusted = code == CURLE_PEER_FAILED_VERIFICATION;
        return gt_err_set(err, distrusted ? GT_ERR_DENIED : GT_ERR_UNAVAILABLE, "call %s: %s", url,
                          why[0] ? why : curl_easy_strerror(code));
    }
    return status == 200 ? 0
                         : gt_err_set(err, GT_ERR_INVALID,
                                      "'%s' is answered with HTTP status %ld: is that a Gantry?",
                                      url, status);
}

int introduction_parse(struct gt_str answer, struct introduction *ret, struct gt_err *err)
{
    json_t *root = json_loadb(answer.p ? answer.p : "", answer.n, 0, NULL);
    *ret = (struct introduction){.authority = GT_BUF_INIT(ANSWER_MAX)};
    const char *region = json_string_value(json_object_get(root, "region"));
    const char *authority = json_string_value(json_object_get(root, "authority"));
    int r = 0;
    if (region && authority && region[0] && strlen(region) < sizeof ret->region) {
        snprintf(ret->region, sizeof ret->region, "%s", region);
        gt_buf_puts(&ret->authority, authority);
    } else {
        r = gt_err_set(err, GT_ERR_CORRUPT, "the server's introduction does not make sense");
    }
    json_decref(root);
    return r;
}

int introduction_fetch(const char *endpoint, const char *hash, const char *ca_file,
                       struct introduction *ret, struct gt_err *err)
{
    char is[GT_SHA256_HEX];
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(ANSWER_MAX);
    gt_auto_free char *url = gt_asprintf("%s/_gantry/introduction", endpoint);
    *ret = (struct introduction){.authority = GT_BUF_INIT(ANSWER_MAX)};
    int r = get(url, !hash, ca_file, &text, err);
    if (r == 0) {
        r = introduction_parse(gt_buf_view(&text), ret, err);
    }
    if (r < 0 || !hash) {
        return r;
    }
    if (gt_certificate_hash(gt_buf_view(&ret->authority), is, NULL) < 0 || !gt_streq(is, hash)) {
        return gt_err_set(err, GT_ERR_DENIED,
                          "the server at %s is not the one that made the token: it shows another "
                          "authority. Is the URL right, and the token of that server? If both "
                          "are, somebody is in between",
                          endpoint);
    }
    return 0;
}
