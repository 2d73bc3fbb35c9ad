/* A backup's MANIFEST, as it comes and with its digest made right: no path in it leads out of the
 * folder, and damage is refused. */
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "store/backup/backup_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int on_file(void *arg, const struct backup_file *f, struct gt_err *err)
{
    GT_ASSERT(f->path[0] != '/' && strcmp(f->path, "..") != 0 && strncmp(f->path, "../", 3) != 0);
    GT_ASSERT(!strstr(f->path, "/../") && !strstr(f->path, "//"));
    GT_ASSERT(strlen(f->sha256) == 64);
    return 0;
}

static char dir[64];

static void try_one(const struct gt_buf *text)
{
    gt_auto_free char *path = gt_asprintf("%s/" BACKUP_MANIFEST, dir);
    unlink(path); /* a file that is cut and written again is flushed by some file systems */
    gt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    GT_ASSERT(fd >= 0 && gt_write_full(fd, text->p, text->n) == 0);
    struct gt_err err;
    int r = manifest_read(dir, on_file, NULL, &err);
    GT_ASSERT(r == 0 || err.msg[0]);
}

static void remove_dir(void)
{
    gt_remove_tree(AT_FDCWD, dir, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char sum[GT_SHA256_HEX];
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "/tmp/fuzz-backup-%d", (int)getpid());
        GT_ASSERT(gt_mkdirs(dir, 0700, NULL) == 0);
        atexit(remove_dir);
    }
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(1 << 24);
    gt_buf_add(&text, p, n);
    if (text.p) {
        try_one(&text);
    }
    gt_buf_reset(&text);
    gt_buf_puts(&text, BACKUP_FIRST_LINE);
    gt_buf_add(&text, p, n);
    gt_sha256_hex(text.p, text.n, sum);
    gt_buf_printf(&text, "end %s\n", sum);
    try_one(&text);
    return 0;
}
