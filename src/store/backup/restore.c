#include "lib/base/file.h"
#include "store/backup/backup_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct restoring {
    const char *dir;
    const char *to; /* NULL: only look */
    bool has_core, has_key;
    struct backup_result *result;
};

static int damaged(const char *path, const char *how, struct gt_err *err)
{
    return gt_err_set(err, GT_ERR_CORRUPT, "'%s' %s: take another backup", path, how);
}

static int on_file(void *arg, const struct backup_file *f, struct gt_err *err)
{
    struct restoring *s = arg;
    gt_auto_free char *from = gt_asprintf("%s/%s", s->dir, f->path);
    gt_auto_free char *to = s->to ? gt_asprintf("%s/%s", s->to, f->path) : NULL;
    struct backup_file found = {0};
    struct gt_err why = GT_ERR_INIT;
    s->has_core = s->has_core || !strcmp(f->path, "server/core.db");
    s->has_key = s->has_key || !strcmp(f->path, "root.key");
    int r = to ? copy_file(from, to, &found, &why) : hash_file(from, &found, &why);
    if (r == -ENOENT && !to) {
        return damaged(from, "is missing", err);
    }
    if (r < 0) {
        if (err) {
            *err = why;
        }
        return r;
    }
    if (found.bytes != f->bytes || strcmp(found.sha256, f->sha256) != 0) {
        return damaged(from, "is not what was backed up", err);
    }
    s->result->files++;
    s->result->bytes += f->bytes;
    return 0;
}

int backup_check(const char *dir, struct backup_result *ret, struct gt_err *err)
{
    *ret = (struct backup_result){0};
    struct restoring s = {.dir = dir, .result = ret};
    int r = manifest_read(dir, on_file, &s, err);
    if (r == 0 && (!s.has_core || !s.has_key)) {
        r = damaged(dir, "holds no server", err);
    }
    return r;
}

static int check_target(const char *state_dir, struct gt_err *err)
{
    static const char *const names[] = {"server", "root.key"};
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        gt_auto_free char *path = gt_asprintf("%s/%s", state_dir, names[i]);
        struct stat st;
        if (lstat(path, &st) == 0) {
            return gt_err_set(err, GT_ERR_EXISTS,
                              "there is '%s': a backup is restored into a state folder without a "
                              "server; move server/ and root.key away first",
                              path);
        }
    }
    return 0;
}

/* The key first: a folder server/ without it would be given another. */
static int put_in_place(const char *from, const char *state_dir, struct gt_err *err)
{
    static const char *const names[] = {"root.key", "server"};
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        gt_auto_free char *old = gt_asprintf("%s/%s", from, names[i]);
        gt_auto_free char *new = gt_asprintf("%s/%s", state_dir, names[i]);
        if (rename(old, new) < 0) {
            return gt_err_errno(err, errno, "rename '%s' to '%s'", old, new);
        }
    }
    rmdir(from);
    return sync_folder(state_dir, err);
}

int backup_restore(const char *dir, const char *state_dir, struct backup_result *ret,
                   struct gt_err *err)
{
    gt_auto_free char *under_way = gt_asprintf("%s/server.restoring", state_dir);
    int r = check_target(state_dir, err);
    r = r < 0 ? r : backup_check(dir, ret, err);
    r = r < 0 ? r : gt_mkdirs(state_dir, 0711, err);
    r = r < 0 ? r : gt_remove_tree(AT_FDCWD, under_way, err); /* of one that was interrupted */
    if (r < 0) {
        return r;
    }
    *ret = (struct backup_result){0};
    struct restoring s = {.dir = dir, .to = under_way, .result = ret};
    r = manifest_read(dir, on_file, &s, err);
    if (r == 0) {
        sync();
        r = put_in_place(under_way, state_dir, err);
    }
    if (r < 0) {
        gt_remove_tree(AT_FDCWD, under_way, NULL);
    }
    return r;
}
