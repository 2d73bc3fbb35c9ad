/* The headers of a request: lines "name: value" split at ':' as a server's parser would, without
 * its mercy. And the query string and percent encoding, on the same bytes. */
#include "lib/base/mem.h"
#include "lib/http/head.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void head(const char *p, size_t n)
{
    struct http_header v[32] = {0};
    size_t count = 0;
    for (const char *end = p + n; p < end && count < 32; count++) {
        const char *nl = memchr(p, '\n', (size_t)(end - p));
        const char *stop = nl ? nl : end;
        const char *colon = memchr(p, ':', (size_t)(stop - p));
        const char *value = colon ? colon + 1 : stop;
        v[count].name = gt_str_n(p, (size_t)((colon ? colon : stop) - p));
        v[count].value = gt_str_n(value, (size_t)(stop - value));
        p = nl ? nl + 1 : end;
    }
    struct http_head h;
    if (http_head_check(v, count, true, &h, NULL) == 0) {
        size_t lengths = 0, codings = 0;
        for (size_t i = 0; i < count; i++) {
            lengths += gt_str_is(v[i].name, "content-length");
            codings += gt_str_is(v[i].name, "transfer-encoding");
        }
        GT_ASSERT(lengths + codings <= 1);
        GT_ASSERT(h.chunked == (codings == 1) && (h.content_length >= 0 || h.chunked));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct gt_str text = gt_str_n((const char *)data, n);
    gt_auto_free char *to = gt_malloc(n + 1);
    ptrdiff_t len = http_percent_decode(text, true, to);
    GT_ASSERT(len < 0 || ((size_t)len <= n && memchr(to, 0, (size_t)len) == NULL));
    struct gt_str v = http_query_find(text, "a");
    GT_ASSERT(v.p == NULL || (v.p >= text.p && v.p + v.n <= text.p + text.n));
    head(text.p, n);
    return 0;
}
