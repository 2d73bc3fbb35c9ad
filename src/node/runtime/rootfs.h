/* What a container gets of the host's file systems, as detached mounts: made by the parent in the
 * host's mount namespace, moved into place by the child. Both return a descriptor. */
#ifndef GT_NODE_RUNTIME_ROOTFS_H
#define GT_NODE_RUNTIME_ROOTFS_H

#include "lib/base/err.h"
#include "node/runtime/spec.h"

int rootfs_mount(const struct rt_rootfs *r, struct gt_err *err);
int rootfs_bind(const struct rt_mount *m, struct gt_err *err);

#endif
