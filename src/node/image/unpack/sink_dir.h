/*
 * The sink that lays a layer down as a folder for overlayfs: whiteouts become character devices
 * 0/0, which since Linux 5.8 take no privilege to make. The mark of an opaque directory,
 * trusted.overlay.opaque, takes CAP_SYS_ADMIN, which a worker has not: opaque directories are
 * collected and marked afterwards by who has it (sink_dir_mark_opaque).
 *
 * Nothing outside of the folder is reached: every path is resolved from its descriptor by
 * lib/safepath, beneath it, without symbolic links and on its mount, and what is made is made in a
 * directory so opened, by a name without a slash. An entry that would pass through a symbolic link
 * of its layer is refused.
 */
#ifndef GT_NODE_IMAGE_UNPACK_SINK_DIR_H
#define GT_NODE_IMAGE_UNPACK_SINK_DIR_H

#include "node/image/unpack/layer_sink.h"

#include <stdbool.h>

struct sink_dir_options {
    int root; /* descriptor of an empty folder, opened O_RDONLY | O_DIRECTORY; stays the caller's */
    bool chown; /* give files their owners; without the privilege all are the caller's, their
                   security.* attributes are left out, and directories stay accessible to it */
};

struct layer_sink *sink_dir_new(const struct sink_dir_options *options);

/* After finish(): paths of opaque directories, until the sink is freed. */
const char *const *sink_dir_opaque(const struct layer_sink *s, size_t *ret_n);

/* Marks one of them; `path` may come from an untrusted worker. Without CAP_SYS_ADMIN the mark is
 * user.overlay.opaque, which overlayfs honours when mounted with userxattr. */
int sink_dir_mark_opaque(int root, const char *path, struct gt_err *err);

#endif
