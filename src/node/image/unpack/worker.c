#include "node/image/unpack/worker.h"

#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "node/image/unpack/sandbox.h"
#include "node/image/unpack/sink_dir.h"
#include "node/image/unpack/untar.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#define IN_SIZE (256 * GT_KIB)

static char in_block[IN_SIZE];
static uint64_t in_total;

static ssize_t read_input(void *arg, const void **p, struct gt_err *err)
{
    for (;;) {
        ssize_t n = read(UNPACK_FD_INPUT, in_block, sizeof(in_block));
        if (n >= 0) {
            *p = in_block;
            in_total += (uint64_t)n;
            return n;
        }
        if (errno != EINTR) {
            return gt_err_errno(err, errno, "read layer");
        }
    }
}

static int answer(char type, const char *text)
{
    size_t n = strlen(text);
    uint8_t head[5] = {(uint8_t)type, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), 0};
    int r = gt_write_full(UNPACK_FD_RESULT, head, sizeof(head));
    return r < 0 ? r : gt_write_full(UNPACK_FD_RESULT, text, n);
}

static int unpack(uint64_t max_bytes, uint64_t max_files, struct untar_result *res,
                  struct gt_err *err)
{
    int layer = UNPACK_FD_LAYER;
    bool privileged;
    int r = sandbox_enter(&layer, &privileged, err);
    if (r < 0) {
        return r;
    }
    struct layer_sink *sink =
        sink_dir_new(&(struct sink_dir_options){.root = layer, .chown = privileged});
    struct inflate *in = inflate_new(read_input, NULL);
    struct untar_limits limits = {max_bytes, max_files, &in_total};
    r = untar(inflate_read, in, &limits, sink, res, err);
    size_t n = 0;
    const char *const *opaque = sink_dir_opaque(sink, &n);
    for (size_t i = 0; r == 0 && i < n; i++) {
        r = answer(UNPACK_OPAQUE, opaque[i]);
    }
    inflate_free(in);
    layer_sink_free(sink);
    return r;
}

int unpack_worker(uint64_t max_bytes, uint64_t max_files)
{
    struct gt_err err = GT_ERR_INIT;
    struct untar_result res;
    char text[600];
    /* Alone in the world it is of no use; and its folder is about to be removed. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    close_range(UNPACK_FD_RESULT + 1, ~0U, 0);
    untar_prepare();
    int r = unpack(max_bytes, max_files, &res, &err);
    if (r < 0) {
        snprintf(text, sizeof(text), "%d %d %s", (int)err.kind, err.sys_errno, err.msg);
        answer(UNPACK_FAILED, text);
        return 1;
    }
    char hex[65];
    gt_hex_encode(res.sha256, sizeof(res.sha256), hex);
    snprintf(text, sizeof(text), "%s %llu %llu", hex, (unsigned long long)res.bytes,
             (unsigned long long)res.files);
    return answer(UNPACK_DONE, text) < 0;
}
