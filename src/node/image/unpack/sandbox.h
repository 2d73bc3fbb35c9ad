/*
 * Locks the unpack worker in before it reads the first byte from outside. After sandbox_enter()
 * the process
 *  - sees nothing but the layer's folder: its root is a detached copy of that mount, nosuid, nodev,
 *    noexec and nosymfollow, which has no parent to climb to; Landlock says the same once more;
 *  - has of root's capabilities only those that lay down files as an image wants them (CHOWN,
 *    DAC_OVERRIDE, FOWNER, FSETID, SETFCAP), no others to gain, and is user 65534;
 *  - may make only the system calls that reading, writing and making files take (seccomp; anything
 *    else kills it): no sockets, no exec, no new processes, no ptrace, no mounts.
 * Without privileges (a developer's own run) there is no root change; Landlock and seccomp remain.
 */
#ifndef GT_NODE_IMAGE_UNPACK_SANDBOX_H
#define GT_NODE_IMAGE_UNPACK_SANDBOX_H

#include "lib/base/err.h"

#include <stdbool.h>

/* Takes over *layer (a descriptor of the folder) and replaces it by one of the new root. Sets
 * *ret_privileged when files can be given their owners. */
int sandbox_enter(int *layer, bool *ret_privileged, struct gt_err *err);

/* seccomp.c */
int sandbox_filter(struct gt_err *err);

#endif
