#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "store/backup/backup_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void manifest_add(struct gt_buf *m, const struct backup_file *f)
{
    gt_buf_printf(m, "file %s %" PRIu64 " %s\n", f->sha256, f->bytes, f->path);
}

int manifest_write(struct gt_buf *m, const char *dir, struct gt_err *err)
{
    char sum[GT_SHA256_HEX];
    gt_auto_free char *path = gt_asprintf("%s/" BACKUP_MANIFEST, dir);
    gt_sha256_hex(m->p, m->n, sum);
    gt_buf_printf(m, "end %s\n", sum);
    if (!gt_buf_ok(m)) {
        return gt_err_set(err, GT_ERR_LIMIT, "'%s' would be too large", path);
    }
    return gt_file_replace(AT_FDCWD, path, m->p, m->n, 0600, err);
}

/* The text without its last line; false: it is cut or changed. */
static bool whole(struct gt_str *text)
{
    enum { LAST = 4 + 64 + 1 };
    char sum[GT_SHA256_HEX];
    if (text->n < sizeof BACKUP_FIRST_LINE - 1 + LAST ||
        memcmp(text->p + text->n - LAST, "end ", 4) != 0) {
        return false;
    }
    struct gt_str said = gt_str_n(text->p + text->n - LAST + 4, 64);
    text->n -= LAST;
    gt_sha256_hex(text->p, text->n, sum);
    return gt_str_is(said, sum);
}

/* Nothing that leads out of the folder. */
static bool path_fits(const char *path)
{
    if (!path[0] || path[0] == '/' || strstr(path, "//")) {
        return false;
    }
    for (const char *p = path; p; p = strchr(p, '/'), p = p ? p + 1 : NULL) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))) {
            return false;
        }
    }
    return true;
}

static bool parse(const char *line, struct backup_file *f)
{
    int end = 0;
    unsigned char sum[GT_SHA256_LEN];
    *f = (struct backup_file){0};
    return sscanf(line, "file %64s %" SCNu64 " %511[^\n]%n", f->sha256, &f->bytes, f->path, &end) ==
               3 &&
           line[end] == '\0' && strlen(f->sha256) == 64 &&
           gt_hex_decode(f->sha256, 64, sum, sizeof sum) == 0 && path_fits(f->path);
}

static int read_lines(struct gt_str text, const char *path,
                      int (*fn)(void *arg, const struct backup_file *f, struct gt_err *err),
                      void *arg, struct gt_err *err)
{
    int r = 0;
    while (r == 0 && text.n) {
        const char *newline = memchr(text.p, '\n', text.n);
        size_t n = newline ? (size_t)(newline - text.p) : text.n;
        gt_auto_free char *line = gt_asprintf("%.*s", (int)n, text.p);
        struct backup_file f;
        if (strncmp(line, "file ", 5) == 0) {
            r = parse(line, &f)
                    ? fn(arg, &f, err)
                    : gt_err_set(err, GT_ERR_CORRUPT, "'%s': \"%s\" is no file", path, line);
        }
        text = gt_str_n(text.p + n + 1, newline ? text.n - n - 1 : 0);
    }
    return r;
}

int manifest_read(const char *dir,
                  int (*fn)(void *arg, const struct backup_file *f, struct gt_err *err), void *arg,
                  struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/" BACKUP_MANIFEST, dir);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(BACKUP_MANIFEST_MAX);
    int r = gt_file_read(AT_FDCWD, path, &b, err);
    if (r == -ENOENT) {
        gt_err_set(err, GT_ERR_NOT_FOUND,
                   "'%s' is no backup, or one that was not completed: it has no " BACKUP_MANIFEST
                   "; take another, or make a new one",
                   dir);
        return -ENOENT;
    }
    if (r < 0) {
        return r;
    }
    struct gt_str text = gt_buf_view(&b);
    if (!gt_str_starts(text, GT_STR_LIT("gantry-backup ")) || !whole(&text)) {
        return gt_err_set(err, GT_ERR_CORRUPT, "'%s' is cut short or damaged: take another backup",
                          path);
    }
    if (!gt_str_starts(text, GT_STR_LIT(BACKUP_FIRST_LINE))) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED,
                          "'%s' is of a newer release: restore it with that one", dir);
    }
    return read_lines(text, path, fn, arg, err);
}
