/* Between shim_spawn.c and shim_client.c. For this folder alone. */
#ifndef GT_NODE_SHIM_CLIENT_PRIV_H
#define GT_NODE_SHIM_CLIENT_PRIV_H

#include "node/shim/shim_client.h"

/* `folder` is that of the shim. */
int shim_connect(const char *folder, struct shim **ret, struct gt_err *err);
int shim_set_task(struct shim *s, const char *task_id, const char *spool_dir,
                  const struct rt_limits *limits, struct gt_err *err);

#endif
