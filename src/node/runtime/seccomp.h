/*
 * The default system call filter: what a container has no business calling is answered EPERM, and
 * what this version does not know ENOSYS, so that programs fall back. The rules are data
 * (seccomp/default.json, where their source is named); tools/gen_seccomp.py turns them into a table
 * of ranges at build time, and this into a small search tree of BPF, some 60 instructions on a path
 * of at most ten, in microseconds.
 *
 * Calls that a capability makes harmless or useless are allowed when the bounding set has it.
 */
#ifndef GT_NODE_RUNTIME_SECCOMP_H
#define GT_NODE_RUNTIME_SECCOMP_H

#include "lib/base/err.h"

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

#define SECCOMP_MAX_INSNS 1024

/* The filter for these capabilities on this machine's architecture; the number of instructions. */
int seccomp_compile_default(uint64_t caps, struct sock_filter to[static SECCOMP_MAX_INSNS],
                            struct gt_err *err);

/* For the calling process and its children, for good. Takes no_new_privs or CAP_SYS_ADMIN. */
int seccomp_install_default(uint64_t caps, struct gt_err *err);

#endif
