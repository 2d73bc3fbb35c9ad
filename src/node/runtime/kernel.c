#include "node/runtime/kernel.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <linux/nsfs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(long r)
{
    return r < 0 ? -errno : (int)r;
}

int k_fsopen(const char *type)
{
    return result(syscall(SYS_fsopen, type, FSOPEN_CLOEXEC));
}

static int fsconfig(int fs, unsigned cmd, const char *key, const char *value, int aux)
{
    return result(syscall(SYS_fsconfig, fs, cmd, key, value, aux));
}

int k_fsconfig_str(int fs, const char *key, const char *value)
{
    return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0);
}

int k_fsconfig_flag(int fs, const char *key)
{
    return fsconfig(fs, FSCONFIG_SET_FLAG, key, NULL, 0);
}

int k_fsconfig_fd(int fs, const char *key, int fd)
{
    return fsconfig(fs, FSCONFIG_SET_FD, key, NULL, fd);
}

int k_fsconfig_create(int fs)
{
    return fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
}

int k_fsconfig_reconfigure(int fs)
{
    return fsconfig(fs, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
}

int k_fsmount(int fs, uint32_t attr)
{
    return result(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attr));
}

int k_fspick(int fd)
{
    return result(syscall(SYS_fspick, fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH));
}

void k_fs_message(int fs, char *to, size_t n)
{
    ssize_t r = read(fs, to, n - 1);
    to[r > 0 ? r : 0] = '\0';
    to[strcspn(to, "\n")] = '\0';
}

int k_move_mount(int from, int to_dir, const char *to_path)
{
    unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | (*to_path ? 0 : MOVE_MOUNT_T_EMPTY_PATH);
    return result(syscall(SYS_move_mount, from, "", to_dir, to_path, flags));
}

int k_open_tree_clone(int fd, const char *path, int recursive)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*path ? 0 : AT_EMPTY_PATH) |
                     (recursive ? AT_RECURSIVE : 0);
    return result(syscall(SYS_open_tree, fd, path, flags));
}

int k_mount_setattr(int fd, const char *path, unsigned flags, const struct mount_attr *attr)
{
    return result(syscall(SYS_mount_setattr, fd, path, flags | (*path ? 0 : AT_EMPTY_PATH), attr,
                          sizeof *attr));
}

int k_pivot_root(const char *new_root, const char *put_old)
{
    return result(syscall(SYS_pivot_root, new_root, put_old));
}

int k_umount(const char *path, int flags)
{
    return result(syscall(SYS_umount2, path, flags));
}

pid_t k_clone3(const struct clone_args *args)
{
    return result(syscall(SYS_clone3, args, sizeof *args));
}

int k_pidfd_open(pid_t pid)
{
    return result(syscall(SYS_pidfd_open, pid, 0));
}

int k_pidfd_send_signal(int pidfd, int signo)
{
    return result(syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0));
}

int k_setns(int fd, int flags)
{
    return result(syscall(SYS_setns, fd, flags));
}

int k_unshare(int flags)
{
    return result(syscall(SYS_unshare, flags));
}

int k_close_range(unsigned from, unsigned to, unsigned flags)
{
    return result(syscall(SYS_close_range, from, to, flags));
}

int k_sethostname(const char *name)
{
    return result(syscall(SYS_sethostname, name, strlen(name)));
}

int k_ns_type(int fd)
{
    return result(ioctl(fd, NS_GET_NSTYPE));
}

int k_new_keyring(void)
{
    return result(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}
