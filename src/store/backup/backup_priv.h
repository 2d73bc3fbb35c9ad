/* For this folder alone. */
#ifndef GT_STORE_BACKUP_PRIV_H
#define GT_STORE_BACKUP_PRIV_H

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/crypto/digest.h"
#include "store/backup/backup.h"

#define BACKUP_FIRST_LINE "gantry-backup 1\n"

enum { BACKUP_MANIFEST_MAX = 256 * 1024 * 1024, BACKUP_PATH_MAX = 512 };

/* One line of the manifest. */
struct backup_file {
    char path[BACKUP_PATH_MAX];
    char sha256[GT_SHA256_HEX];
    uint64_t bytes;
};

/* copy.c. All make the folders that `to` needs, sync the file, and keep nothing of a failure's. */
/* A copy of the bytes that are there now; their digest and number. */
int copy_file(const char *from, const char *to, struct backup_file *ret, struct gt_err *err);
int copy_database(const char *from, const char *to, struct backup_file *ret, struct gt_err *err);
int hash_file(const char *path, struct backup_file *ret, struct gt_err *err);
int sync_folder(const char *path, struct gt_err *err);

/* manifest.c */
void manifest_add(struct gt_buf *m, const struct backup_file *f);
int manifest_write(struct gt_buf *m, const char *dir, struct gt_err *err);
/* Calls fn for each file; the text was found whole before. */
int manifest_read(const char *dir,
                  int (*fn)(void *arg, const struct backup_file *f, struct gt_err *err), void *arg,
                  struct gt_err *err);

#endif
