/*
 * Where a layer is laid down. untar.c reads an archive, refuses what is hostile and hands over one
 * entry after another; a sink makes something of them: a folder for overlayfs (sink_dir.h) today,
 * an EROFS file later, nothing but a model in the fuzzer.
 *
 * What a sink may rely on (untar_check_path): paths are relative, without "." or ".." or empty
 * parts, each part at most 255 bytes, the whole under PATH_MAX, no NUL; "" is the layer's root.
 * Whiteout names were already translated. What it must take care of itself, because it takes
 * knowledge of the tree: parents that were never mentioned, parents that are no directories or
 * symbolic links, entries that come twice, hard links to what is not there.
 *
 * Every function returns 0 or a negative errno and fills err, whose kind is CORRUPT when the
 * archive is to blame.
 */
#ifndef GT_NODE_IMAGE_UNPACK_LAYER_SINK_H
#define GT_NODE_IMAGE_UNPACK_LAYER_SINK_H

#include "lib/base/err.h"
#include "lib/base/str.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct layer_xattr {
    const char *name; /* security.capability or user.*, never user.overlay.* */
    const void *value;
    size_t n;
};

#define LAYER_XATTRS_MAX 64

struct layer_entry {
    const char *path;
    mode_t mode; /* 07777 */
    uid_t uid;
    gid_t gid;
    struct timespec mtime;
    const struct layer_xattr *xattrs;
    size_t n_xattrs;
};

struct layer_sink;

struct layer_sink_ops {
    /* Twice for the same path: the later attributes hold, the content stays. */
    int (*directory)(struct layer_sink *s, const struct layer_entry *e, struct gt_err *err);
    /* A regular file of `size` bytes; data() then comes with rising offsets that leave holes for
     * what is sparse, then file_end(). A second entry of one path replaces the first, here and
     * below, unless that is a directory with something in it. */
    int (*file)(struct layer_sink *s, const struct layer_entry *e, uint64_t size,
                struct gt_err *err);
    int (*data)(struct layer_sink *s, uint64_t offset, const void *p, size_t n, struct gt_err *err);
    int (*file_end)(struct layer_sink *s, struct gt_err *err);
    int (*symlink)(struct layer_sink *s, const struct layer_entry *e, const char *target,
                   struct gt_err *err);
    /* `target` obeys the rules of paths and must have come before in this layer. */
    int (*hardlink)(struct layer_sink *s, const char *path, const char *target, struct gt_err *err);
    int (*fifo)(struct layer_sink *s, const struct layer_entry *e, struct gt_err *err);
    /* Hides what lower layers have at this path, but nothing of this layer, in whatever order they
     * come (image specification, layer.md, "Whiteouts"). */
    int (*whiteout)(struct layer_sink *s, const char *path, struct gt_err *err);
    /* As above for everything in a directory. */
    int (*opaque)(struct layer_sink *s, const char *path, struct gt_err *err);
    /* After the last entry. Durability is the caller's business. */
    int (*finish)(struct layer_sink *s, struct gt_err *err);
    void (*free)(struct layer_sink *s);
};

struct layer_sink {
    const struct layer_sink_ops *ops;
};

static inline void layer_sink_free(struct layer_sink *s)
{
    if (s) {
        s->ops->free(s);
    }
}

#endif
