/*
 * The head of an HTTP/1.x request (RFC 9112), strictly: no folded lines, no space before a colon,
 * one way only to say how long a body is. Views into the bytes given.
 */
#ifndef GT_NODE_LINK_HTTP_HEAD_H
#define GT_NODE_LINK_HTTP_HEAD_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192
#define HTTP_TARGET_MAX 2048
#define HTTP_FIELDS_MAX 64

struct http_head {
    struct gt_str method, path, query; /* path begins with '/', not decoded; query without '?' */
    int minor;                         /* HTTP/1.minor */
    bool keep_alive;
    bool has_body; /* Content-Length above 0, or Transfer-Encoding */
};

/* > 0: the length of the head. 0: more bytes are needed. < 0: minus the HTTP status to answer with
 * before the connection is closed. */
int http_head_parse(const char *p, size_t n, struct http_head *ret);

#endif
