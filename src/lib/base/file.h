/* Whole files and whole reads and writes. For our own files only: paths inside a container's root
 * file system go through lib/safepath. */
#ifndef GT_LIB_BASE_FILE_H
#define GT_LIB_BASE_FILE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stddef.h>
#include <sys/types.h>

/* Until n bytes are there, or the end: returns how many, or a negative errno. */
ssize_t gt_read_full(int fd, void *p, size_t n);
/* All of it, or a negative errno. */
int gt_write_full(int fd, const void *p, size_t n);

/* Appends the file to `to`; -EMSGSIZE when that exceeds its maximum. */
int gt_file_read(int dirfd, const char *path, struct gt_buf *to, struct gt_err *err);
/* Replaces the file: temporary file, fsync, rename, fsync of the folder. A reader sees the old or
 * the new content, and what this returned 0 for survives a power loss. */
int gt_file_replace(int dirfd, const char *path, const void *p, size_t n, mode_t mode,
                    struct gt_err *err);
/* Writes into an existing file such as one of /proc, /sys or a cgroup, in one write. */
int gt_file_poke(int dirfd, const char *path, const char *text, struct gt_err *err);
/* mkdir -p. */
int gt_mkdirs(const char *path, mode_t mode, struct gt_err *err);
/* Removes a tree without following links or leaving its file system, with a few dozen descriptors
 * however deep it is: what is in it may be a container's. Gone already is success. */
int gt_remove_tree(int dirfd, const char *path, struct gt_err *err);

#endif
