/*
 * Blobs by their digest: what a registry keeps and what a node may share with it.
 *
 *   <dir>/sha256/<first two digits>/<64 digits>   published, never changed afterwards
 *   <dir>/uploads/<id>, <id>.owner                being written
 *
 * A blob is hashed while it is written. It gets its name by rename only when the digest holds and
 * its bytes are on stable storage, and whoever publishes it returns only when the name is, too: a
 * file under sha256/ is whole, at any moment and after any crash. What a crash leaves under
 * uploads/ can be resumed (its bytes are hashed again) or expires.
 *
 * Blobs are shared between stores on one file system by hard link, so that deleting one in either
 * never hurts the other. The store knows nothing of who refers to a blob. Deleting is safe beside
 * pushes because each commit, link and touch makes a blob young again and blobs_delete_older()
 * only takes old ones (see there).
 *
 * Any function may be called from any thread; an upload is used by one at a time.
 */
#ifndef GT_STORE_BLOBS_BLOBS_H
#define GT_STORE_BLOBS_BLOBS_H

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/oci/digest.h"

#include <stdbool.h>
#include <stdint.h>

struct blobs;

/* Makes the folder when it is missing. One process has it open at a time: -EBUSY otherwise. */
int blobs_open(const char *dir, struct blobs **ret, struct gt_err *err);
void blobs_close(struct blobs *b); /* uploads stay on disk; NULL is allowed */
GT_DEFINE_AUTO(blobs, struct blobs *, blobs_close)

/* A descriptor for reading, the caller's. -ENOENT when there is no such blob. */
int blobs_get(struct blobs *b, const struct oci_digest *d, int64_t *ret_size, struct gt_err *err);
int blobs_stat(struct blobs *b, const struct oci_digest *d, int64_t *ret_size, struct gt_err *err);

/* Makes it young: blobs_delete_older() leaves it alone for a while. -ENOENT when it is gone. For
 * who is about to refer to a blob that was there before. */
int blobs_touch(struct blobs *b, const struct oci_digest *d, struct gt_err *err);
/* The same bytes under the same digest, from another store's folder. 0 also when it was here
 * already. -ENOENT, or -EXDEV when the folder is on another file system. */
int blobs_link(struct blobs *b, const struct oci_digest *d, const char *other_dir,
               struct gt_err *err);
/* Gone already is success. Who has it open keeps reading. */
int blobs_delete(struct blobs *b, const struct oci_digest *d, struct gt_err *err);
/* Deletes it unless it was published, linked or touched since `before_ms` (since 1970). The look
 * and the deletion are one step: a collector that found no reference to a blob calls this with a
 * time well before it looked. Returns 1 when it is gone, 0 when it was too young. */
int blobs_delete_older(struct blobs *b, const struct oci_digest *d, int64_t before_ms,
                       struct gt_err *err);
/* Calls fn for each blob, in the order of digests of each of the 256 folders; fn may delete the
 * blob. Ends early and returns what fn returns when that is < 0. */
int blobs_each(struct blobs *b,
               int (*fn)(void *arg, const struct oci_digest *d, int64_t size, int64_t mtime_ms),
               void *arg, struct gt_err *err);

/* -- writing -- */

#define BLOBS_UPLOAD_ID 32 /* hex digits */
#define BLOBS_LIMIT_UPLOADS 4096

struct blob_upload;

/* Begins an upload and takes it, see below. `owner` (at most 1024 bytes) is kept with it: who may
 * go on with it. -EAGAIN (GT_ERR_THROTTLED) when there are too many. */
int blobs_upload_new(struct blobs *b, struct gt_str owner, struct blob_upload **ret,
                     struct gt_err *err);
/* Takes an upload for the caller alone, also one that an earlier process began. -ENOENT when there
 * is none with this id and owner, -EBUSY while somebody else has it. */
int blobs_upload_take(struct blobs *b, struct gt_str id, struct gt_str owner,
                      struct blob_upload **ret, struct gt_err *err);
const char *blob_upload_id(const struct blob_upload *u);
int64_t blob_upload_size(const struct blob_upload *u); /* bytes so far */
/* After an error the upload still has exactly blob_upload_size() bytes. */
int blob_upload_write(struct blob_upload *u, const void *p, size_t n, struct gt_err *err);
/* What was written survives a loss of power, the upload itself as well. */
int blob_upload_sync(struct blob_upload *u, struct gt_err *err);

/* Each of these three ends the caller's use of the upload. */
void blob_upload_release(struct blob_upload *u); /* goes on later */
void blob_upload_cancel(struct blob_upload *u);  /* forgets it */
/* Publishes. -EBADMSG (GT_ERR_CORRUPT) when the bytes have another digest: the upload is gone
 * then. After any other error the upload is released and the commit can be tried again. */
int blob_upload_commit(struct blob_upload *u, const struct oci_digest *want, struct gt_err *err);

/* Bytes that are all in memory. */
int blobs_put(struct blobs *b, const void *p, size_t n, const struct oci_digest *want,
              struct gt_err *err);
/* Cancels uploads that nobody used since `before_ms`. Returns how many. */
int blobs_expire_uploads(struct blobs *b, int64_t before_ms, struct gt_err *err);

#endif
