/*
 * Paths inside a root file system that may be hostile: the only code that may resolve them.
 *
 * A root is a descriptor of a folder (O_PATH is enough). A path is taken as if that folder were
 * "/": absolute or not, ".." stops there, symbolic links lead nowhere else, magic links (those of
 * /proc/<pid>/fd and the like) are refused with ELOOP. It is openat2 with RESOLVE_IN_ROOT and
 * RESOLVE_NO_MAGICLINKS; the kernel answers EAGAIN when a rename races with a "..", which is tried
 * again a bounded number of times. What comes back is always a descriptor, never a string: whoever
 * holds it has the very object that was checked.
 *
 * All descriptors are close-on-exec. Errors name the path, quoted. Needs Linux 5.6.
 */
#ifndef GT_LIB_SAFEPATH_H
#define GT_LIB_SAFEPATH_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SAFEPATH_MAX 4096 /* a path's length; longer ones are refused */

/* Also refuse symbolic links anywhere in the path: for /proc, /sys and /dev themselves. */
#define SAFEPATH_NO_SYMLINKS (1U << 0)
/* Do not leave the file system (mount) that the root is on. */
#define SAFEPATH_NO_XDEV (1U << 1)
/* ".." and absolute links above the root are refused instead of stopped. */
#define SAFEPATH_BENEATH (1U << 2)

/* open(2) inside: oflags as there (O_CLOEXEC is added); mode when O_CREAT. Devices and fifos open
 * with O_NONBLOCK unless O_PATH is given, so that a hostile fifo does not hold us up. Returns the
 * descriptor. */
int safepath_open(int root, const char *path, int oflags, mode_t mode, unsigned flags,
                  struct gt_err *err);

/* Makes what is missing of a path of folders (owner 0:0) and returns an O_PATH descriptor of the
 * last. An existing last component that is no folder is -ENOTDIR. */
int safepath_mkdirs(int root, const char *path, mode_t mode, unsigned flags, struct gt_err *err);

/* The place for a mount: exists afterwards as a folder or as a file (an empty one is made, and the
 * folders above). Returns an O_PATH descriptor, for move_mount by descriptor. */
int safepath_mount_target(int root, const char *path, int is_dir, unsigned flags,
                          struct gt_err *err);

/* mknod of the last component in an existing folder. -EEXIST when something is there. */
int safepath_mknod(int root, const char *path, mode_t mode, dev_t dev, struct gt_err *err);

/* symlink of the last component in an existing folder; the target is text and not looked at. */
int safepath_symlink(int root, const char *path, const char *target, struct gt_err *err);

/* Appends a regular file; -EMSGSIZE above to's maximum, -ENOENT when missing, -EINVAL when it is
 * not a regular file. */
int safepath_read(int root, const char *path, struct gt_buf *to, struct gt_err *err);

/* Opens a file of a procfs for writing and writes the text at once. `proc` must be the root of a
 * procfs (checked by its file system's type, as is the file opened); the path stays on it. */
int safepath_proc_write(int proc, const char *path, const char *text, struct gt_err *err);

/* 0 when fd is on a file system with that f_type (PROC_SUPER_MAGIC ...), -EXDEV otherwise. */
int safepath_check_fs(int fd, uint64_t magic, const char *what, struct gt_err *err);
/* 0 when fd is a character device with these numbers, -ENODEV otherwise. */
int safepath_check_cdev(int fd, unsigned major_nr, unsigned minor_nr, const char *what,
                        struct gt_err *err);

#endif
