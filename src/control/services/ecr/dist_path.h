/* Paths of the distribution API. */
#ifndef GT_CONTROL_SERVICES_ECR_DIST_PATH_H
#define GT_CONTROL_SERVICES_ECR_DIST_PATH_H

#include "lib/base/str.h"

enum dist_kind {
    DIST_BASE,      /* /v2/ */
    DIST_BLOB,      /* <name>/blobs/<reference> */
    DIST_UPLOADS,   /* <name>/blobs/uploads/ */
    DIST_UPLOAD,    /* <name>/blobs/uploads/<reference> */
    DIST_MANIFEST,  /* <name>/manifests/<reference> */
    DIST_TAGS,      /* <name>/tags/list */
    DIST_REFERRERS, /* <name>/referrers/<reference> */
    DIST_CATALOG,   /* _catalog; has no name */
    DIST_KINDS
};

struct dist_path {
    enum dist_kind kind;
    struct gt_str name, reference; /* views into the path */
};

/* `path` is decoded and begins with "/v2". -ENOENT: no such path; -EINVAL: it is one, but the name
 * is not a repository's. */
int dist_path_parse(struct gt_str path, struct dist_path *ret);

#endif
