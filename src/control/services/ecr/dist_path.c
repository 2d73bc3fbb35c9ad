#include "control/services/ecr/dist_path.h"

#include "lib/oci/reference.h"

#include <errno.h>

/* Cuts the last component off. False when there is none. */
static bool cut(struct gt_str *path, struct gt_str *ret)
{
    const char *slash = path->n ? memrchr(path->p, '/', path->n) : NULL;
    if (!slash) {
        return false;
    }
    size_t n = (size_t)(slash - path->p);
    *ret = gt_str_n(slash + 1, path->n - n - 1);
    path->n = n;
    return true;
}

/* The name is what is left in front, so paths are read from their end. */
static int split(struct gt_str rest, struct dist_path *p)
{
    struct gt_str last, before, third;
    if (!cut(&rest, &last) || !cut(&rest, &before)) {
        return -ENOENT;
    }
    p->reference = last;
    p->name = rest;
    if (gt_str_is(before, "manifests")) {
        p->kind = DIST_MANIFEST;
    } else if (gt_str_is(before, "tags") && gt_str_is(last, "list")) {
        p->kind = DIST_TAGS;
    } else if (gt_str_is(before, "referrers")) {
        p->kind = DIST_REFERRERS;
    } else if (gt_str_is(before, "blobs")) {
        p->kind = gt_str_is(last, "uploads") ? DIST_UPLOADS : DIST_BLOB;
    } else if (gt_str_is(before, "uploads") && cut(&rest, &third) && gt_str_is(third, "blobs")) {
        p->name = rest;
        p->kind = last.n ? DIST_UPLOAD : DIST_UPLOADS;
    } else {
        return -ENOENT;
    }
    return p->reference.n || p->kind == DIST_UPLOADS ? 0 : -ENOENT;
}

int dist_path_parse(struct gt_str path, struct dist_path *ret)
{
    struct dist_path p = {.kind = DIST_BASE};
    if (!gt_str_starts(path, GT_STR_LIT("/v2"))) {
        return -ENOENT;
    }
    struct gt_str rest = gt_str_n(path.p + 3, path.n - 3);
    if (rest.n == 0 || gt_str_is(rest, "/")) {
        *ret = p;
        return 0;
    }
    if (gt_str_is(rest, "/_catalog")) {
        p.kind = DIST_CATALOG;
        *ret = p;
        return 0;
    }
    if (rest.p[0] != '/') {
        return -ENOENT;
    }
    int r = split(gt_str_n(rest.p + 1, rest.n - 1), &p);
    if (r < 0) {
        return r;
    }
    if (!oci_name_valid(p.name)) {
        return -EINVAL;
    }
    *ret = p;
    return 0;
}
