/*
 * The canonical request: method, path, query, headers, names of the signed headers and hash of the
 * payload, each in the one form on which client and server agree.
 */
#include "lib/wire/sigv4_priv.h"
#include "lib/wire/uri.h"

#include "lib/base/mem.h"

#include <ctype.h>
#include <stdlib.h>

/* Without empty, "." and ".." segments; begins with '/', ends with one when the path did. */
static void normalize(struct gt_str path, struct gt_buf *to)
{
    size_t i = 0;
    bool slash_at_end = true;

    while (i < path.n) {
        size_t start = i;
        while (i < path.n && path.p[i] != '/') {
            i++;
        }
        struct gt_str segment = gt_str_n(path.p + start, i - start);
        bool more = i < path.n;
        i++;
        if (segment.n == 0 || gt_str_is(segment, ".")) {
            slash_at_end = true;
        } else if (gt_str_is(segment, "..")) {
            while (to->n > 0 && to->p[to->n - 1] != '/') {
                to->n--;
            }
            to->n -= to->n > 0;
            slash_at_end = true;
        } else {
            gt_buf_putc(to, '/');
            gt_buf_str(to, segment);
            slash_at_end = more;
        }
    }
    if (slash_at_end || to->n == 0) {
        gt_buf_putc(to, '/');
    }
}

static void put_path(struct gt_str path, struct gt_str service, struct gt_buf *to)
{
    if (path.n <= 1) {
        gt_buf_putc(to, '/');
    } else if (gt_str_is(service, "s3")) {
        gt_buf_str(to, path);
    } else {
        gt_auto_buf struct gt_buf plain = GT_BUF_INIT(SIGV4_CANONICAL_MAX);
        normalize(path, &plain);
        wire_uri_encode(gt_buf_view(&plain), /* keep_slash= */ true, to);
    }
}

struct param {
    struct gt_str name, value; /* encoded */
};

static int param_cmp(const void *a, const void *b)
{
    const struct param *x = a, *y = b;
    int c = gt_str_cmp(x->name, y->name);
    return c ? c : gt_str_cmp(x->value, y->value);
}

/* Decoded and encoded again, so that every legal spelling of a parameter is the same. */
static struct gt_str recode(struct gt_str raw, struct gt_arena *arena)
{
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(SIGV4_CANONICAL_MAX);
    struct gt_str plain;
    if (!wire_uri_decode(raw, /* plus= */ false, arena, &plain)) {
        return raw; /* never matches a signature that a client could make */
    }
    wire_uri_encode(plain, /* keep_slash= */ false, &out);
    return gt_str_n(gt_arena_str(arena, gt_buf_view(&out)), out.n);
}

static void put_query(struct gt_str query, struct gt_buf *to)
{
    struct gt_str rest = query, name, value;
    struct gt_arena arena;
    size_t n = 0, count = 0;

    if (query.n == 0) {
        return;
    }
    while (wire_query_next(&rest, &name, &value)) {
        count++;
    }
    /* At most three times the query's length for each of two texts, and the table. */
    gt_arena_init(&arena, 16 * (query.n + 64) + count * (sizeof(struct param) + 128));
    struct param *params = gt_arena_array(&arena, struct param, count + 1);
    for (rest = query; wire_query_next(&rest, &name, &value);) {
        if (!gt_str_is(name, "X-Amz-Signature")) {
            params[n++] = (struct param){recode(name, &arena), recode(value, &arena)};
        }
    }
    qsort(params, n, sizeof(*params), param_cmp);
    for (size_t i = 0; i < n; i++) {
        gt_buf_puts(to, i ? "&" : "");
        gt_buf_str(to, params[i].name);
        gt_buf_putc(to, '=');
        gt_buf_str(to, params[i].value);
    }
    gt_arena_fini(&arena);
}

/* Without space around it; runs of spaces inside count as one. */
static void put_header_value(struct gt_str v, struct gt_buf *to)
{
    size_t i = 0, end = v.n;
    while (i < end && (v.p[i] == ' ' || v.p[i] == '\t')) {
        i++;
    }
    while (end > i && (v.p[end - 1] == ' ' || v.p[end - 1] == '\t')) {
        end--;
    }
    if (!memmem(v.p + i, end - i, "  ", 2)) {
        gt_buf_add(to, v.p + i, end - i);
        return;
    }
    for (bool space = false; i < end; i++) {
        if (v.p[i] == ' ' && space) {
            continue;
        }
        space = v.p[i] == ' ';
        gt_buf_putc(to, v.p[i]);
    }
}

static void put_headers(const struct sigv4_request *rq, struct gt_str names, struct gt_buf *to)
{
    while (names.n > 0) {
        const char *sep = memchr(names.p, ';', names.n);
        struct gt_str name = gt_str_n(names.p, sep ? (size_t)(sep - names.p) : names.n);
        bool first = true;
        size_t used = name.n + (sep ? 1 : 0);
        names.p += used;
        names.n -= used;
        gt_buf_str(to, name);
        gt_buf_putc(to, ':');
        for (size_t i = 0; i < rq->n_headers; i++) {
            if (sigv4_name_eq(rq->headers[i].name, name)) {
                gt_buf_puts(to, first ? "" : ",");
                put_header_value(rq->headers[i].value, to);
                first = false;
            }
        }
        gt_buf_putc(to, '\n');
    }
}

void sigv4_canonical(const struct sigv4_request *rq, struct gt_str service,
                     struct gt_str signed_headers, struct gt_str payload_hash, struct gt_buf *to)
{
    gt_buf_str(to, rq->method);
    gt_buf_putc(to, '\n');
    put_path(rq->path, service, to);
    gt_buf_putc(to, '\n');
    put_query(rq->query, to);
    gt_buf_putc(to, '\n');
    put_headers(rq, signed_headers, to);
    gt_buf_putc(to, '\n');
    gt_buf_str(to, signed_headers);
    gt_buf_putc(to, '\n');
    gt_buf_str(to, payload_hash);
}
