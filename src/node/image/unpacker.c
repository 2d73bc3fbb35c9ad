#include "node/image/unpacker.h"

#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "node/image/unpack/sink_dir.h"
#include "node/image/unpack/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)

static int spawn(struct unpacker *u, const char *worker, int layer, int input, int result,
                 struct gt_err *err)
{
    char bytes[24], files[24];
    snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)GT_LIMIT_UNPACKED);
    snprintf(files, sizeof(files), "%llu", (unsigned long long)GT_LIMIT_UNPACKED_FILES);
    char *argv[] = {(char[]){"gantry-unpack"}, bytes, files, NULL};
    char *envp[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    /* Above what they become, so that no dup2 overwrites one that is still needed. */
    gt_auto_close int in = fcntl(input, F_DUPFD_CLOEXEC, 10);
    gt_auto_close int dir = fcntl(layer, F_DUPFD_CLOEXEC, 10);
    gt_auto_close int res = fcntl(result, F_DUPFD_CLOEXEC, 10);
    posix_spawn_file_actions_adddup2(&actions, in, UNPACK_FD_INPUT);
    posix_spawn_file_actions_adddup2(&actions, dir, UNPACK_FD_LAYER);
    posix_spawn_file_actions_adddup2(&actions, res, UNPACK_FD_RESULT);
    sigset_t none, dfl;
    sigemptyset(&none);
    sigemptyset(&dfl);
    sigaddset(&dfl, SIGPIPE);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &dfl);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int r = posix_spawn(&u->pid, worker, &actions, &attr, argv, envp);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (r != 0) {
        u->pid = -1;
        return gt_err_errno(err, r, "start '%s'", worker);
    }
    return 0;
}

int unpacker_start(struct unpacker *u, const char *worker, int layer, int file, struct gt_err *err)
{
    *u = UNPACKER_INIT;
    gt_auto_close int in_r = -1;
    gt_auto_close int in_w = -1;
    gt_auto_close int res_r = -1;
    gt_auto_close int res_w = -1;
    int p[2];
    if (pipe2(p, O_CLOEXEC) < 0) {
        return gt_err_errno(err, errno, "make a pipe");
    }
    res_r = p[0];
    res_w = p[1];
    if (file < 0) {
        if (pipe2(p, O_CLOEXEC) < 0) {
            return gt_err_errno(err, errno, "make a pipe");
        }
        in_r = p[0];
        in_w = p[1];
        fcntl(in_w, F_SETPIPE_SZ, PIPE_SIZE); /* as large as allowed; smaller only costs time */
    }
    int r = spawn(u, worker, layer, file < 0 ? in_r : file, res_w, err);
    if (r < 0) {
        return r;
    }
    u->input = gt_steal_fd(&in_w);
    u->result = gt_steal_fd(&res_r);
    return 0;
}

int unpacker_feed(struct unpacker *u, const void *p, size_t n, struct gt_err *err)
{
    int r = gt_write_full(u->input, p, n);
    return r < 0 && r != -EPIPE ? gt_err_errno(err, r, "hand a layer to the worker") : r;
}

static int parse_done(const char *text, struct unpacker_result *ret, struct gt_err *err)
{
    unsigned long long bytes, files;
    char hex[OCI_DIGEST_HEX + 1];
    if (sscanf(text, "%64[0-9a-f] %llu %llu", hex, &bytes, &files) != 3 ||
        gt_hex_decode(hex, strlen(hex), ret->diff_id.b, OCI_DIGEST_BYTES) < 0) {
        return gt_err_set(err, GT_ERR_INTERNAL, "unpack worker: unreadable answer");
    }
    ret->bytes = bytes;
    ret->files = files;
    return 1;
}

/* The message is shown to people, cut to printable characters by whoever logs it. */
static int parse_failed(const char *text, struct gt_err *err)
{
    unsigned kind;
    int errnum, at = 0;
    if (sscanf(text, "%u %d %n", &kind, &errnum, &at) < 2 || at == 0 || kind == GT_ERR_NONE ||
        kind > GT_ERR_INTERNAL || errnum < 0 || errnum > 4095) {
        return gt_err_set(err, GT_ERR_INTERNAL, "unpack worker: unreadable answer");
    }
    int r = gt_err_set(err, (enum gt_err_kind)kind, "%s", text + at);
    if (errnum > 0) {
        if (err) {
            err->sys_errno = errnum;
        }
        r = -errnum;
    }
    return r;
}

/* One record. Returns 1 after the last, 0 for more, or a negative errno. */
static int take_record(struct unpacker *u, int layer, struct unpacker_result *ret,
                       struct gt_err *err)
{
    uint8_t head[5];
    char text[UNPACK_RECORD_MAX];
    ssize_t n = gt_read_full(u->result, head, sizeof(head));
    if (n != sizeof(head)) {
        return -EPIPE;
    }
    size_t len = head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 | (size_t)head[4] << 24;
    if (len >= sizeof(text) || gt_read_full(u->result, text, len) != (ssize_t)len ||
        memchr(text, '\0', len)) {
        return gt_err_set(err, GT_ERR_INTERNAL, "unpack worker: unreadable answer");
    }
    text[len] = '\0';
    switch (head[0]) {
    case UNPACK_OPAQUE:
        return sink_dir_mark_opaque(layer, text, err);
    case UNPACK_DONE:
        return parse_done(text, ret, err);
    case UNPACK_FAILED:
        return parse_failed(text, err);
    default:
        return gt_err_set(err, GT_ERR_INTERNAL, "unpack worker: unreadable answer");
    }
}

static int reap(struct unpacker *u)
{
    int status = 0;
    while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR) {
    }
    u->pid = -1;
    return status;
}

int unpacker_finish(struct unpacker *u, int layer, struct unpacker_result *ret, struct gt_err *err)
{
    gt_closep(&u->input);
    u->input = -1;
    int r;
    do {
        r = take_record(u, layer, ret, err);
    } while (r == 0);
    gt_closep(&u->result);
    u->result = -1;
    if (r == -EPIPE) {
        int status = reap(u);
        if (WIFSIGNALED(status)) {
            return gt_err_set(err, GT_ERR_INTERNAL, "unpack worker was killed by signal %d",
                              WTERMSIG(status));
        }
        return gt_err_set(err, GT_ERR_INTERNAL, "unpack worker ended without an answer (status %d)",
                          WEXITSTATUS(status));
    }
    unpacker_abort(u); /* it has said its last word */
    return r < 0 ? r : 0;
}

void unpacker_abort(struct unpacker *u)
{
    gt_closep(&u->input);
    gt_closep(&u->result);
    if (u->pid > 0) {
        kill(u->pid, SIGKILL);
        reap(u);
    }
    *u = UNPACKER_INIT;
}
