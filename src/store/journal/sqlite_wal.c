/*
 * A look at SQLite's write-ahead log before SQLite recovers from it.
 *
 * SQLite takes the log up to the first frame that is not right and leaves the rest, as the end of a
 * log may be torn. Commits that lie behind a damaged frame would be gone without a word. But what
 * is torn can only be the last commit: each was on stable storage before the first frame of the
 * next was written (synchronous=FULL). So where a commit that is not reached has a frame behind it
 * that continues its chain of checksums, the log is damaged, and not torn.
 *
 * Not seen: damage within the last commit, which looks like a torn one.
 *
 * Source: "WAL-mode File Format", sqlite.org.
 */
#include "store/journal/sqlite_priv.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { HEADER = 32, FRAME_HEADER = 24, PAGE_MIN = 512, PAGE_USUAL = 4096, PAGE_MAX = 65536 };
#define MAGIC 0x377f0682u /* or with the lowest bit set: checksums are of big-endian words */

struct wal {
    FILE *file;
    size_t page;
    bool big_endian;
    bool header_right;
    unsigned char salts[8];
    uint32_t sum[2]; /* of the header */
    unsigned char *frame;
};

static uint32_t word(const unsigned char *p, bool big_endian)
{
    return big_endian
               ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | (uint32_t)p[3]
               : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | (uint32_t)p[0];
}

/* n is a multiple of 8. */
static void add(const struct wal *w, uint32_t sum[static 2], const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        sum[0] += word(p + i, w->big_endian) + sum[1];
        sum[1] += word(p + i + 4, w->big_endian) + sum[0];
    }
}

/* False: there is nothing to look at. */
static bool read_header(struct wal *w)
{
    unsigned char h[HEADER];
    if (fread(h, 1, sizeof h, w->file) != sizeof h) {
        return false;
    }
    w->big_endian = word(h, true) & 1;
    w->page = word(h + 8, true);
    memcpy(w->salts, h + 16, sizeof w->salts);
    add(w, w->sum, h, 24);
    w->header_right = (word(h, true) & ~1u) == MAGIC && w->sum[0] == word(h + 24, true) &&
                      w->sum[1] == word(h + 28, true);
    return true;
}

struct frame {
    bool commit;
    unsigned char salts[8];
    uint32_t said[2]; /* the checksum that stands in it ... */
    uint32_t sum[2];  /* ... and what it is, if the one of the frame before is right */
};

/* `before`: where the chain of checksums stands. */
static bool read_frame(struct wal *w, const uint32_t before[static 2], struct frame *ret)
{
    if (fread(w->frame, 1, FRAME_HEADER + w->page, w->file) != FRAME_HEADER + w->page) {
        return false;
    }
    ret->commit = word(w->frame + 4, true) != 0;
    memcpy(ret->salts, w->frame + 8, sizeof ret->salts);
    ret->said[0] = word(w->frame + 16, true);
    ret->said[1] = word(w->frame + 20, true);
    memcpy(ret->sum, before, sizeof ret->sum);
    add(w, ret->sum, w->frame, 8);
    add(w, ret->sum, w->frame + FRAME_HEADER, w->page);
    return true;
}

static bool is_right(const struct frame *f)
{
    return memcmp(f->said, f->sum, sizeof f->sum) == 0;
}

/* Whether the frame read last is right when the one before was, but for its checksum. */
static bool follows_truly(const struct wal *w, const struct frame *before, const struct frame *f)
{
    uint32_t sum[2] = {before->sum[0], before->sum[1]};
    add(w, sum, w->frame, 8);
    add(w, sum, w->frame + FRAME_HEADER, w->page);
    return memcmp(sum, f->said, sizeof sum) == 0;
}

static bool same_salts(const unsigned char *a, const unsigned char *b)
{
    return memcmp(a, b, 8) == 0;
}

/* Whether SQLite would leave commits that were durable. */
static bool is_damaged(struct wal *w)
{
    struct frame f, last = {0};
    bool reached = w->header_right; /* by SQLite: so far all is right */
    memcpy(last.said, w->sum, sizeof last.said);
    memcpy(last.salts, w->salts, sizeof last.salts);
    for (bool first = true; read_frame(w, last.said, &f); last = f, first = false) {
        bool salted = same_salts(f.salts, last.salts);
        if (reached) {
            if (is_right(&f) && !salted) {
                return true; /* in everything but its salts */
            }
            reached = is_right(&f) && salted;
            continue;
        }
        bool ours = !w->header_right || same_salts(f.salts, w->salts); /* not of a log before */
        if (ours && salted && !first &&
            ((last.commit && is_right(&f)) || follows_truly(w, &last, &f))) {
            return true;
        }
    }
    return false;
}

int sqlite_wal_check(const char *path, struct gt_err *err)
{
    gt_auto_free char *name = gt_asprintf("%s-wal", path);
    struct wal w = {.file = fopen(name, "re")};
    if (!w.file) {
        return errno == ENOENT ? 0 : gt_err_errno(err, errno, "cannot open \"%s\"", name);
    }
    bool damaged = false;
    if (read_header(&w)) {
        bool sized = w.page >= PAGE_MIN && w.page <= PAGE_MAX && (w.page & (w.page - 1)) == 0;
        w.page = sized ? w.page : PAGE_USUAL;
        w.header_right = w.header_right && sized;
        w.frame = gt_malloc(FRAME_HEADER + w.page);
        damaged = is_damaged(&w);
        free(w.frame);
    }
    fclose(w.file);
    return damaged ? gt_err_set(err, GT_ERR_CORRUPT,
                                "journal \"%s\": its log \"%s\" is damaged before its end, so that "
                                "commits would be lost: restore a backup, or remove the log to go "
                                "on without what is in it",
                                path, name)
                   : 0;
}
