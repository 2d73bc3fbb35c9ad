#include "node/shim/spool.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "node/shim/shim_proto.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    BUSY_MS = 2,           /* a stream read less than this ago is left alone for as long */
    FULL_RETRY_MS = 100,   /* the disk is full, or answers errors */
    PUNCH_STEP = 1 << 20,  /* acknowledged bytes are given back in pieces of at least this */
    SMALL_READ = 16 << 10, /* a read below this, soon after another, means many small writes */
};

int spool_open(struct spool *s, const char *path, uint64_t max, bool nonblocking,
               struct gt_err *err)
{
    struct stat st;
    s->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->fd < 0 || fstat(s->fd, &st) < 0) {
        return gt_err_errno(err, errno, "open log spool '%s'", path);
    }
    s->written = (uint64_t)st.st_size;
    s->acked = s->punched = 0;
    s->dropped = 0;
    memset(s->unsaid, 0, sizeof s->unsaid);
    memset(s->last, 0, sizeof s->last);
    s->by_disk = false;
    s->max = max ? max : GT_LIMIT_LOG_SPOOL;
    s->nonblocking = nonblocking;
    return 0;
}

void spool_close(struct spool *s)
{
    gt_closep(&s->fd);
}

/* `all`: the disk is full, so every block counts. */
static void punch(struct spool *s, bool all)
{
    if (s->acked - s->punched < (all ? 1 : PUNCH_STEP) || s->fd < 0) {
        return;
    }
    /* A file system that cannot punch holes keeps the bytes until the task goes. */
    fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)s->punched,
              (off_t)(s->acked - s->punched));
    s->punched = s->acked;
}

static uint64_t room(const struct spool *s)
{
    uint64_t waiting = s->written - s->acked;
    uint64_t most = s->max > sizeof(struct shim_frame) ? s->max - sizeof(struct shim_frame) : 0;
    return waiting < most ? most - waiting : 0;
}

static void count_dropped(struct spool *s, uint32_t stream, uint64_t n, bool by_disk)
{
    s->dropped += n;
    s->unsaid[stream - 1] += n;
    s->by_disk = by_disk;
}

/* The header comes after its bytes: who reads it finds them. False: the disk did not take it. */
static bool commit(struct spool *s, uint32_t stream, uint32_t n)
{
    struct shim_frame f = {(uint64_t)gt_clock_real_ms(), stream, n};
    if (pwrite(s->fd, &f, sizeof f, (off_t)s->written) != (ssize_t)sizeof f) {
        return false; /* the space was there a moment ago */
    }
    s->written += sizeof f + n;
    s->last[stream - 1] = s->written;
    return true;
}

/* Writes what is unsaid. `final`: also when the cap leaves no room. */
static void say_dropped(struct spool *s, bool final)
{
    for (uint32_t i = 0; i < SPOOL_STREAMS && s->fd >= 0; i++) {
        char text[160];
        int n =
            snprintf(text, sizeof text,
                     "\n[gantry: %" PRIu64 " bytes of output are missing here: %s]\n", s->unsaid[i],
                     s->by_disk ? "the disk of the log buffer is full"
                                : "the log buffer (max-buffer-size) was full");
        bool fits = final || room(s) >= (uint64_t)n || s->acked == s->written;
        if (s->unsaid[i] == 0 || !fits) {
            continue;
        }
        off_t at = (off_t)(s->written + sizeof(struct shim_frame));
        if (pwrite(s->fd, text, (size_t)n, at) == n && commit(s, i + 1, (uint32_t)n)) {
            s->unsaid[i] = 0;
            s->by_disk = false;
        }
    }
}

void spool_end(struct spool *s)
{
    say_dropped(s, /* final= */ true);
    for (uint32_t i = 0; i < SPOOL_STREAMS && s->fd >= 0; i++) {
        char c = '\n';
        if (s->last[i] && pread(s->fd, &c, 1, (off_t)s->last[i] - 1) == 1 && c != '\n') {
            off_t at = (off_t)(s->written + sizeof(struct shim_frame));
            if (pwrite(s->fd, "\n", 1, at) == 1) {
                commit(s, i + 1, 1);
            }
        }
    }
}

void spool_ack(struct spool *s, uint64_t offset)
{
    s->acked = GT_MAX(s->acked, GT_MIN(offset, s->written));
    punch(s, s->by_disk);
    say_dropped(s, /* final= */ false);
}

/* Throws away what the pipe holds, without looking at it. */
static void discard(struct stream *st, struct spool *s, bool by_disk)
{
    static char scrap[16 << 10]; /* written, never looked at */
    for (int i = 0; i < 64; i++) {
        ssize_t n = read(st->fd, scrap, sizeof scrap);
        if (n <= 0) {
            return;
        }
        count_dropped(s, st->number, (uint64_t)n, by_disk);
    }
}

void stream_discard(struct stream *st, struct spool *s)
{
    if (st->fd >= 0) {
        discard(st, s, /* by_disk= */ true);
    }
}

static enum stream_state finish(struct stream *st)
{
    gt_closep(&st->fd);
    return STREAM_CLOSED;
}

static enum stream_state later(struct stream *st, int64_t at)
{
    st->retry_ms = at;
    return STREAM_LATER;
}

/* The spool takes no more. */
static enum stream_state full(struct stream *st, struct spool *s, int64_t now_ms, bool disk)
{
    if (disk) {
        punch(s, /* all= */ true);
    }
    if (s->nonblocking) {
        discard(st, s, disk);
        return STREAM_OPEN;
    }
    return disk ? later(st, now_ms + FULL_RETRY_MS) : STREAM_PAUSED;
}

static enum stream_state pump_terminal(struct stream *st, struct spool *s, int64_t now_ms)
{
    char data[4096];
    say_dropped(s, /* final= */ false);
    if (room(s) < sizeof data || s->unsaid[st->number - 1]) {
        return full(st, s, now_ms, /* disk= */ false);
    }
    ssize_t n = read(st->fd, data, sizeof data);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return STREAM_OPEN;
    }
    if (n <= 0) {
        return finish(st); /* EIO: nobody has the terminal open any more */
    }
    if (pwrite(s->fd, data, (size_t)n, (off_t)(s->written + sizeof(struct shim_frame))) != n ||
        !commit(s, st->number, (uint32_t)n)) {
        count_dropped(s, st->number, (uint64_t)n, /* by_disk= */ true);
    }
    return STREAM_OPEN;
}

/* One frame. Returns what was moved, 0 when the pipe is empty, or a negative errno. */
static ssize_t pump_frame(struct stream *st, struct spool *s)
{
    int have = 0;
    if (ioctl(st->fd, FIONREAD, &have) < 0) {
        return -errno;
    }
    if (have <= 0) {
        return 0;
    }
    say_dropped(s, /* final= */ false);
    if (s->unsaid[st->number - 1]) {
        return s->by_disk ? -ENOSPC : -EDQUOT; /* nothing may follow before it is said */
    }
    uint64_t most = GT_MIN(room(s), (uint64_t)SHIM_FRAME_MAX);
    if (most == 0) {
        return -EDQUOT;
    }
    size_t n = GT_MIN((size_t)have, most);
    loff_t at = (loff_t)(s->written + sizeof(struct shim_frame));
    ssize_t moved = splice(st->fd, NULL, s->fd, &at, n, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (moved <= 0) {
        return moved < 0 ? -errno : 0;
    }
    if (!commit(s, st->number, (uint32_t)moved)) {
        count_dropped(s, st->number, (uint64_t)moved, /* by_disk= */ true);
    }
    return moved;
}

/* Whether the pipe is empty and all its writers have closed. */
static bool at_end(struct stream *st)
{
    struct pollfd p = {.fd = st->fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLIN)) == POLLHUP;
}

static enum stream_state pump(struct stream *st, struct spool *s, int64_t now_ms, bool final)
{
    if (st->terminal) {
        enum stream_state state = pump_terminal(st, s, now_ms);
        for (int i = 0; final && i < 256 && state == STREAM_OPEN; i++) {
            state = pump_terminal(st, s, now_ms);
        }
        return state;
    }
    ssize_t n = 0, sum = 0;
    do {
        n = pump_frame(st, s);
        sum += n > 0 ? n : 0;
    } while (n > 0 && (final || n == SHIM_FRAME_MAX) && sum < (16 << 20));
    if (n == -EDQUOT) {
        return full(st, s, now_ms, /* disk= */ false);
    }
    if (n < 0 && n != -EAGAIN && n != -EINTR) {
        return full(st, s, now_ms, /* disk= */ true);
    }
    if (n == 0 && sum == 0 && !final && at_end(st)) {
        return finish(st);
    }
    bool busy = sum > 0 && sum < SMALL_READ && now_ms - st->last_ms <= BUSY_MS;
    st->last_ms = now_ms;
    return busy ? later(st, now_ms + BUSY_MS) : STREAM_OPEN;
}

enum stream_state stream_pump(struct stream *st, struct spool *s, int64_t now_ms, bool final)
{
    if (st->fd < 0) {
        return STREAM_CLOSED;
    }
    /* What is in the pipe of a container that has ended is kept even when the spool is full: there
     * is nobody left to hold up, and it is no more than a pipe's worth. */
    uint64_t max = s->max;
    if (final && !s->nonblocking) {
        s->max = UINT64_MAX;
    }
    enum stream_state state = pump(st, s, now_ms, final);
    s->max = max;
    return state;
}
