/*
 * Who a container's process is: docker's user strings, looked up in the passwd and group files of
 * the root file system, which are hostile.
 *
 * "", "name", "uid", "name:group", "uid:gid", "name:gid", "uid:group". A number need not be in the
 * files; its group is then 0. Numbers above 2147483647, signs, blanks, empty parts ("1:", ":1") and
 * unknown names are refused. Lines that do not parse are skipped; the first match counts.
 */
#ifndef GT_NODE_RUNTIME_USER_H
#define GT_NODE_RUNTIME_USER_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/base/str.h"
#include "node/runtime/spec.h"

#include <stdint.h>
#include <sys/types.h>

#define USER_FILE_MAX (1024 * 1024) /* larger passwd or group files are refused */
#define USER_GROUPS_MAX 256

struct user {
    uid_t uid;
    gid_t gid;
    const char *home;              /* in the arena; "/" when unknown */
    uint32_t n_groups;             /* supplementary, gid among them */
    gid_t groups[USER_GROUPS_MAX]; /* without duplicates */
};

/* On texts: either may be empty. */
int user_parse(const char *spec, struct gt_str passwd, struct gt_str group,
               const struct rt_strs *extra_groups, struct gt_arena *a, struct user *ret,
               struct gt_err *err);

/* Reads the files inside the root; a file that is missing counts as empty. */
int user_lookup(int root, const char *spec, const struct rt_strs *extra_groups, struct gt_arena *a,
                struct user *ret, struct gt_err *err);

#endif
