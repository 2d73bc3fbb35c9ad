/*
 * What may stand in the head of a request. The rules that keep two readers of one connection (a
 * proxy in front and this server) from disagreeing about where a request ends: RFC 9112, 6.3 and
 * 11.2. Pure, so that they can be fuzzed.
 */
#ifndef GT_LIB_HTTP_HEAD_H
#define GT_LIB_HTTP_HEAD_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_header {
    struct gt_str name; /* in lower case */
    struct gt_str value;
};

struct http_head {
    bool chunked;
    int64_t content_length; /* -1: unknown, the body is chunked; 0: no body */
    bool gzip;              /* Content-Encoding: gzip */
    bool encoded;           /* some Content-Encoding, gzip or another */
    bool expect_continue;
};

/* Judges the headers. `http11`: the request is HTTP/1.1 or newer. GT_ERR_INVALID with the reason;
 * the connection must then be closed. */
int http_head_check(const struct http_header *v, size_t n, bool http11, struct http_head *ret,
                    struct gt_err *err);

/* The first header of this name (in lower case); p NULL: none. */
struct gt_str http_head_find(const struct http_header *v, size_t n, const char *name);

/* Percent-decodes into `to`, which holds at least s.n bytes and may be s.p itself; returns the
 * length, or -EINVAL for a broken escape or a NUL. plus: a '+' is a blank, as in forms. */
ptrdiff_t http_percent_decode(struct gt_str s, bool plus, char *to);
/* The value of a parameter in a query string, not decoded; p NULL: none. */
struct gt_str http_query_find(struct gt_str query, const char *name);

#endif
