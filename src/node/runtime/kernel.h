/*
 * System calls that one of the C libraries (glibc 2.36, musl 1.2) or the other has no wrapper for,
 * and constants newer than the headers of Debian 12. Each returns a negative errno instead of -1.
 * <sys/mount.h> is not to be included beside this: glibc's collides with <linux/mount.h>.
 */
#ifndef GT_NODE_RUNTIME_KERNEL_H
#define GT_NODE_RUNTIME_KERNEL_H

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef MNT_DETACH
#define MNT_DETACH 2
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
/* MS_PRIVATE, MS_SLAVE and MS_SHARED of <sys/mount.h>, for mount_setattr. */
#define MS_PRIVATE_ATTR (1U << 18)
#define MS_SLAVE_ATTR (1U << 19)
#define MS_SHARED_ATTR (1U << 20)

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif

int k_fsopen(const char *type);
int k_fsconfig_str(int fs, const char *key, const char *value);
int k_fsconfig_flag(int fs, const char *key);
int k_fsconfig_fd(int fs, const char *key, int fd);
int k_fsconfig_create(int fs);
int k_fsconfig_reconfigure(int fs);
int k_fsmount(int fs, uint32_t attr);
int k_fspick(int fd);
/* What a file system context has to say about the last thing that went wrong; "" when nothing. */
void k_fs_message(int fs, char *to, size_t n);
int k_move_mount(int from, int to_dir, const char *to_path);
int k_open_tree_clone(int fd, const char *path, int recursive);
int k_mount_setattr(int fd, const char *path, unsigned flags, const struct mount_attr *attr);
int k_pivot_root(const char *new_root, const char *put_old);
int k_umount(const char *path, int flags);

/* As fork(), with clone3's arguments; 0 in the child. */
pid_t k_clone3(const struct clone_args *args);
int k_pidfd_open(pid_t pid);
int k_pidfd_send_signal(int pidfd, int signo);
int k_setns(int fd, int flags);
int k_unshare(int flags);
int k_close_range(unsigned from, unsigned to, unsigned flags);
int k_sethostname(const char *name);
int k_new_keyring(void); /* an empty session keyring for the caller */
int k_ns_type(int fd);   /* CLONE_NEW... of a namespace's file */

#endif
