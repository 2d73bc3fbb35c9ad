/*
 * Volumes of a task that are paths of the host (ECS: volumes[].host.sourcePath).
 *
 * The path is the administrator's word, not a container's: it is resolved as the host resolves it,
 * links and all. What is checked is that it is a path at all and that something is there to bind;
 * a folder that does not exist is made (0755, owner root), as docker does for ECS.
 */
#ifndef GT_NODE_VOLUME_VOLUME_H
#define GT_NODE_VOLUME_VOLUME_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#include <stdbool.h>

#define VOLUME_PATH_MAX 4095

struct volume_path {
    char path[VOLUME_PATH_MAX + 1]; /* absolute, without ".", "..", "//" */
    bool is_folder;                 /* else a file, socket or device: bound over a file */
    bool made;                      /* did not exist before */
};

/* GT_ERR_INVALID: relative, empty, too long, with a NUL, or with "..". GT_ERR_IO and the errno when
 * it cannot be looked at or made. */
int volume_host_path(struct gt_str source_path, struct volume_path *ret, struct gt_err *err);

#endif
