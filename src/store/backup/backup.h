/*
 * A copy of a server's part of the state folder that belongs together, made while the server runs.
 *
 *   <backup>/root.key, <backup>/server/...    as in the state folder
 *   <backup>/MANIFEST                         last: what there is, with digests
 *
 * The core's journal is copied first, as of one commit; then the registry's index, then each blob
 * that it links: blobs are never changed, and one that goes meanwhile makes the index be copied
 * again. Last come log streams and events, and whatever other files there are (keys, certificates).
 * So what the core knows is in the stores, or was deleted after the cut, which a server copes with.
 *
 * Without its MANIFEST, which is written and synced last, a backup is incomplete. It says the
 * release, cluster and revision for people, then "file <sha256> <bytes> <path>" for each file, and
 * ends with the digest of its own text before that line. It holds every key of the server: it is
 * as secret as the state folder itself.
 */
#ifndef GT_STORE_BACKUP_BACKUP_H
#define GT_STORE_BACKUP_BACKUP_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdint.h>

#define BACKUP_MANIFEST "MANIFEST"

struct backup_result {
    uint64_t files, bytes;
    uint64_t linked; /* files that are the base's, by hard link */
};

/* Looks at the copied journal, and adds lines for people to the MANIFEST, "name value". */
typedef int backup_about_fn(void *arg, const char *core_db, struct gt_buf *to, struct gt_err *err);

/* `dir` must not exist, or be empty. base: an earlier backup on the same file system, whose blobs
 * are linked instead of copied; NULL: none. */
int backup_make(const char *state_dir, const char *dir, const char *base, backup_about_fn *about,
                void *arg, struct backup_result *ret, struct gt_err *err);

/* Whether all is there and whole: -ENOENT without a MANIFEST, -EBADMSG for damage. */
int backup_check(const char *dir, struct backup_result *ret, struct gt_err *err);

/* Checks, then copies into a state folder that has no server's part yet: all of it or nothing. */
int backup_restore(const char *dir, const char *state_dir, struct backup_result *ret,
                   struct gt_err *err);

#endif
