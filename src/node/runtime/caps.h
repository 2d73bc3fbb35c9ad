/* Capabilities of the calling process, for a child on its way to exec. */
#ifndef GT_NODE_RUNTIME_CAPS_H
#define GT_NODE_RUNTIME_CAPS_H

#include "lib/base/err.h"
#include "node/runtime/spec.h"

#include <stdint.h>

/* What the kernel knows of: a mask. */
uint64_t caps_known(void);

/* Lowers the bounding set. Before the user changes: it takes CAP_SETPCAP. */
int caps_bound(uint64_t bounding, struct gt_err *err);
/* The other sets, for good: after the user changed, with PR_SET_KEEPCAPS set before. What is asked
 * and not there is left out. */
int caps_apply(const struct rt_caps *caps, struct gt_err *err);

/* The sets for a user: docker's rule when by_user (see spec.h), else as they are. */
struct rt_caps caps_for(const struct rt_caps *caps, int by_user, uint32_t uid);

#endif
