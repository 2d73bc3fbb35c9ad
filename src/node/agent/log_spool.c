/* Reading a container's spool (shim_proto.h). */
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/agent/logs_priv.h"
#include "node/shim/shim_proto.h"

#include <fcntl.h>
#include <unistd.h>

size_t log_spool_read(int fd, uint64_t offset, int64_t ahead, char *block, size_t n)
{
    ssize_t got = pread(fd, block, n, (off_t)offset);
    size_t whole = 0;
    while (got > 0 && (size_t)got - whole >= sizeof(struct shim_frame)) {
        struct shim_frame f;
        memcpy(&f, block + whole, sizeof f);
        if (f.n == 0 || f.n > SHIM_FRAME_MAX || sizeof f + f.n > (size_t)got - whole) {
            break;
        }
        f.time_ms += (uint64_t)ahead;
        memcpy(block + whole, &f, sizeof f);
        whole += sizeof f + f.n;
    }
    return whole;
}

/* --- the last words */

void log_tail_copy(const struct gt_buf *text, char *to, unsigned n)
{
    size_t keep = GT_MIN(text->n, (size_t)n - 1);
    for (size_t i = 0; i < keep; i++) {
        char c = text->p[text->n - keep + i];
        to[i] = c ? c : ' ';
    }
    to[keep] = '\0';
}

void log_tail_add(struct gt_buf *tail, const char *p, size_t n)
{
    size_t skip = n > LOG_TAIL ? n - LOG_TAIL : 0;
    gt_buf_add(tail, p + skip, n - skip);
    if (tail->n > LOG_TAIL) {
        gt_buf_consume(tail, tail->n - LOG_TAIL);
    }
}

static bool frame_at(int fd, uint64_t at, struct shim_frame *ret)
{
    return pread(fd, ret, sizeof *ret, (off_t)at) == sizeof *ret && ret->n > 0 &&
           ret->n <= SHIM_FRAME_MAX;
}

uint64_t log_spool_boundary(const char *spool, uint64_t from, uint64_t least)
{
    gt_auto_close int fd = open(spool, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct shim_frame f;
    while (from < least && frame_at(fd, from, &f)) {
        from += sizeof f + f.n;
    }
    return from;
}

void log_spool_tail(const char *spool, uint64_t from, char *to, unsigned n)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(2 * LOG_TAIL);
    gt_auto_free char *data = gt_malloc(SHIM_FRAME_MAX);
    gt_auto_close int fd = open(spool, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct shim_frame f;
    while (frame_at(fd, from, &f)) {
        ssize_t got = pread(fd, data, f.n, (off_t)(from + sizeof f));
        if (got != (ssize_t)f.n) {
            break;
        }
        log_tail_add(&text, data, f.n);
        from += sizeof f + f.n;
    }
    log_tail_copy(&text, to, n);
}
