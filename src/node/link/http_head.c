#include "node/link/http_head.h"

#include <string.h>
#include <strings.h>

static bool is_token(struct gt_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return s.n > 0;
}

static bool is_printable(struct gt_str s, bool spaces)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == 0x7f || c < 0x20 ? !(spaces && c == '\t') : c == ' ' && !spaces) {
            return false;
        }
    }
    return true;
}

static bool is_word(struct gt_str s, const char *lower)
{
    return s.n == strlen(lower) && strncasecmp(s.p, lower, s.n) == 0;
}

static struct gt_str until(struct gt_str *rest, char c)
{
    const char *at = rest->n ? memchr(rest->p, c, rest->n) : NULL;
    size_t n = at ? (size_t)(at - rest->p) : rest->n;
    struct gt_str part = gt_str_n(rest->p, n);
    size_t skip = at ? n + 1 : n;
    *rest = gt_str_n(rest->p + skip, rest->n - skip);
    return part;
}

static int parse_request_line(struct gt_str line, struct http_head *h)
{
    h->method = until(&line, ' ');
    struct gt_str target = until(&line, ' ');
    if (!is_token(h->method) || h->method.n > 32) {
        return -400;
    }
    if (target.n > HTTP_TARGET_MAX) {
        return -414;
    }
    if (target.n == 0 || target.p[0] != '/' || !is_printable(target, /* spaces= */ false)) {
        return -400;
    }
    if (gt_str_is(line, "HTTP/1.1")) {
        h->minor = 1;
    } else if (!gt_str_is(line, "HTTP/1.0")) {
        return gt_str_starts(line, GT_STR_LIT("HTTP/")) ? -505 : -400;
    }
    h->keep_alive = h->minor == 1;
    h->path = until(&target, '?');
    h->query = target;
    return 0;
}

static struct gt_str trim(struct gt_str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = gt_str_n(s.p + 1, s.n - 1);
    }
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* What was seen of the fields that decide where a message ends. */
struct framing {
    unsigned lengths, codings, hosts;
};

static int parse_field(struct gt_str line, struct http_head *h, struct framing *f)
{
    if (!memchr(line.p, ':', line.n)) {
        return -400;
    }
    struct gt_str name = until(&line, ':'), value = trim(line);
    if (!is_token(name) || !is_printable(value, /* spaces= */ true)) {
        return -400;
    }
    if (is_word(name, "content-length")) {
        f->lengths++;
        for (size_t i = 0; i < value.n; i++) {
            if (value.p[i] < '0' || value.p[i] > '9') {
                return -400;
            }
            h->has_body |= value.p[i] != '0';
        }
        return value.n > 0 && value.n < 19 ? 0 : -400;
    }
    if (is_word(name, "transfer-encoding")) {
        f->codings++;
        h->has_body = true;
    } else if (is_word(name, "host")) {
        f->hosts++;
    } else if (is_word(name, "connection")) {
        if (is_word(value, "close")) {
            h->keep_alive = false;
        } else if (is_word(value, "keep-alive")) {
            h->keep_alive = true;
        }
    }
    return 0;
}

int http_head_parse(const char *p, size_t n, struct http_head *ret)
{
    size_t seen = n > HTTP_HEAD_MAX ? HTTP_HEAD_MAX : n;
    const char *end = memmem(p, seen, "\r\n\r\n", 4);
    if (!end) {
        return n >= HTTP_HEAD_MAX ? -431 : 0;
    }
    struct gt_str rest = gt_str_n(p, (size_t)(end - p) + 2);
    struct framing f = {0};
    *ret = (struct http_head){0};
    for (unsigned i = 0; rest.n > 0; i++) {
        struct gt_str line = until(&rest, '\n');
        if (line.n == 0 || line.p[line.n - 1] != '\r') {
            return -400;
        }
        line.n--;
        if (i > HTTP_FIELDS_MAX) {
            return -431;
        }
        int r = i == 0 ? parse_request_line(line, ret)
                       : (line.n == 0 ? -400 : parse_field(line, ret, &f));
        if (r < 0) {
            return r;
        }
    }
    if (f.lengths > 1 || f.codings > 1 || (f.lengths && f.codings) || f.hosts > 1) {
        return -400;
    }
    return (int)(end - p) + 4;
}
