#include "lib/oci/reference.h"

#include "lib/base/mem.h"

static bool alnum_lower(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool alnum(char c)
{
    return alnum_lower(c) || (c >= 'A' && c <= 'Z');
}

/* One path component. Returns how many bytes it has, 0 when there is none. */
static size_t component(struct gt_str s)
{
    size_t i = 0;
    while (i < s.n && alnum_lower(s.p[i])) {
        i++;
    }
    while (i > 0 && i < s.n) {
        size_t sep = i;
        if (s.p[sep] == '.') {
            sep++;
        } else if (s.p[sep] == '_') {
            sep += sep + 1 < s.n && s.p[sep + 1] == '_' ? 2 : 1;
        } else {
            while (sep < s.n && s.p[sep] == '-') {
                sep++;
            }
        }
        if (sep == i || sep == s.n || !alnum_lower(s.p[sep])) {
            return i;
        }
        i = sep;
        while (i < s.n && alnum_lower(s.p[i])) {
            i++;
        }
    }
    return i;
}

bool oci_name_valid(struct gt_str name)
{
    if (name.n == 0 || name.n > OCI_LIMIT_NAME) {
        return false;
    }
    for (;;) {
        size_t n = component(name);
        if (n == 0) {
            return false;
        }
        if (n == name.n) {
            return true;
        }
        if (name.p[n] != '/') {
            return false;
        }
        name = gt_str_n(name.p + n + 1, name.n - n - 1);
    }
}

bool oci_tag_valid(struct gt_str tag)
{
    if (tag.n == 0 || tag.n > OCI_LIMIT_TAG) {
        return false;
    }
    for (size_t i = 0; i < tag.n; i++) {
        char c = tag.p[i];
        if (!alnum(c) && c != '_' && (i == 0 || (c != '.' && c != '-'))) {
            return false;
        }
    }
    return true;
}

static bool port_valid(struct gt_str port)
{
    unsigned v = 0;
    for (size_t i = 0; i < port.n; i++) {
        if (port.p[i] < '0' || port.p[i] > '9' || i >= 5) {
            return false;
        }
        v = v * 10 + (unsigned)(port.p[i] - '0');
    }
    return port.n > 0 && v > 0 && v <= 65535;
}

static bool ipv6_valid(struct gt_str inner)
{
    for (size_t i = 0; i < inner.n; i++) {
        char c = inner.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
              c == ':' || c == '.')) {
            return false;
        }
    }
    return inner.n >= 2;
}

static bool hostname_valid(struct gt_str s)
{
    bool start = true;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool last = i + 1 == s.n || s.p[i + 1] == '.';
        if (c == '.') {
            if (start) {
                return false;
            }
            start = true;
        } else if (alnum(c) || (c == '-' && !start && !last)) {
            start = false;
        } else {
            return false;
        }
    }
    return s.n > 0 && !start;
}

bool oci_host_valid(struct gt_str host)
{
    if (host.n == 0 || host.n > OCI_LIMIT_NAME) {
        return false;
    }
    if (host.p[0] == '[') {
        const char *close = memchr(host.p, ']', host.n);
        if (!close || !ipv6_valid(gt_str_n(host.p + 1, (size_t)(close - host.p - 1)))) {
            return false;
        }
        size_t at = (size_t)(close + 1 - host.p);
        return at == host.n ||
               (host.p[at] == ':' && port_valid(gt_str_n(host.p + at + 1, host.n - at - 1)));
    }
    const char *colon = memchr(host.p, ':', host.n);
    if (!colon) {
        return hostname_valid(host);
    }
    size_t at = (size_t)(colon - host.p);
    return hostname_valid(gt_str_n(host.p, at)) && port_valid(gt_str_n(colon + 1, host.n - at - 1));
}

static bool looks_like_host(struct gt_str first)
{
    return gt_str_is(first, "localhost") || memchr(first.p, '.', first.n) ||
           memchr(first.p, ':', first.n) || memchr(first.p, '[', first.n);
}

static int bad(struct gt_err *err, struct gt_str text, const char *why)
{
    return gt_err_set(err, GT_ERR_INVALID, "image name '" GT_STR_FMT "': %s",
                      (int)GT_MIN(text.n, (size_t)300), text.p ? text.p : "", why);
}

int oci_reference_parse(struct gt_str text, struct oci_reference *ret, struct gt_err *err)
{
    struct oci_reference r = {0};
    struct gt_str rest = text;
    if (text.n == 0) {
        return bad(err, text, "is empty");
    }
    const char *at = memchr(rest.p, '@', rest.n);
    if (at) {
        size_t n = (size_t)(at - rest.p);
        int rc = oci_digest_parse(gt_str_n(at + 1, rest.n - n - 1), &r.digest, err);
        if (rc < 0) {
            (void)gt_err_wrap(err, "image name '" GT_STR_FMT "'", (int)GT_MIN(text.n, (size_t)300),
                              text.p);
            return rc;
        }
        r.has_digest = true;
        rest.n = n;
    }
    const char *slash = rest.n ? memchr(rest.p, '/', rest.n) : NULL;
    if (slash) {
        struct gt_str first = gt_str_n(rest.p, (size_t)(slash - rest.p));
        if (first.n && looks_like_host(first)) {
            if (!oci_host_valid(first)) {
                return bad(err, text, "the registry's host or port is not valid");
            }
            r.host = first;
            rest = gt_str_n(slash + 1, rest.n - first.n - 1);
        }
    }
    const char *colon = rest.n ? memchr(rest.p, ':', rest.n) : NULL;
    if (colon) {
        size_t n = (size_t)(colon - rest.p);
        r.tag = gt_str_n(colon + 1, rest.n - n - 1);
        rest.n = n;
        if (!oci_tag_valid(r.tag)) {
            return bad(err, text, "the tag is not valid");
        }
    }
    if (!oci_name_valid(rest)) {
        return bad(err, text, "the repository is not valid");
    }
    r.repository = rest;
    *ret = r;
    return 0;
}

void oci_reference_default(struct oci_reference *ref, struct gt_arena *arena)
{
    if (ref->host.n == 0) {
        ref->host = GT_STR_LIT("docker.io");
    }
    if (gt_str_is(ref->host, "docker.io") && !memchr(ref->repository.p, '/', ref->repository.n)) {
        ref->repository =
            gt_str(gt_arena_printf(arena, "library/" GT_STR_FMT, GT_STR_ARG(ref->repository)));
    }
    if (ref->tag.n == 0 && !ref->has_digest) {
        ref->tag = GT_STR_LIT("latest");
    }
}
