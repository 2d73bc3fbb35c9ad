/* Layers: decompression, tar, policy, against a sink that holds nothing but checks every promise
 * of layer_sink.h. */
#include "lib/base/limits.h"
#include "node/image/unpack/inflate.h"
#include "node/image/unpack/layer_sink.h"
#include "node/image/unpack/untar.h"

#include <limits.h>
#include <stdbool.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model {
    struct layer_sink base;
    bool in_file, finished;
    uint64_t at, size;
};

static struct model *self(struct layer_sink *s)
{
    return GT_CONTAINER_OF(s, struct model, base);
}

static void check_path(const char *path, bool root_allowed)
{
    size_t n = strlen(path);
    GT_ASSERT(n < PATH_MAX && (n > 0 || root_allowed));
    for (const char *part = path; n > 0;) {
        size_t len = strcspn(part, "/");
        GT_ASSERT(len > 0 && len <= 255);
        GT_ASSERT(!(len == 1 && part[0] == '.'));
        GT_ASSERT(!(len == 2 && part[0] == '.' && part[1] == '.'));
        if (!part[len]) {
            break;
        }
        part += len + 1;
    }
}

static void check_entry(struct model *m, const struct layer_entry *e, bool root_allowed)
{
    GT_ASSERT(!m->in_file && !m->finished);
    check_path(e->path, root_allowed);
    GT_ASSERT(!strstr(e->path, "/.wh.") && strncmp(e->path, ".wh.", 4) != 0);
    GT_ASSERT((e->mode & ~(mode_t)07777) == 0);
    GT_ASSERT(e->uid != (uid_t)-1 && e->gid != (gid_t)-1);
    GT_ASSERT(e->mtime.tv_nsec >= 0 && e->mtime.tv_nsec < 1000000000);
    GT_ASSERT(e->n_xattrs <= LAYER_XATTRS_MAX);
    for (size_t i = 0; i < e->n_xattrs; i++) {
        const char *name = e->xattrs[i].name;
        GT_ASSERT(strcmp(name, "security.capability") == 0 ||
                  (strncmp(name, "user.", 5) == 0 && strncmp(name, "user.overlay.", 13) != 0));
    }
}

static int on_directory(struct layer_sink *s, const struct layer_entry *e, struct gt_err *err)
{
    check_entry(self(s), e, /* root_allowed= */ true);
    return 0;
}

static int on_file(struct layer_sink *s, const struct layer_entry *e, uint64_t size,
                   struct gt_err *err)
{
    struct model *m = self(s);
    check_entry(m, e, /* root_allowed= */ false);
    m->in_file = true;
    m->at = 0;
    m->size = size;
    return 0;
}

static int on_data(struct layer_sink *s, uint64_t offset, const void *p, size_t n,
                   struct gt_err *err)
{
    struct model *m = self(s);
    GT_ASSERT(m->in_file && offset >= m->at && offset <= m->size && n <= m->size - offset && n > 0);
    m->at = offset + n;
    /* Touches every byte, for the sanitizer. */
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < n; i += 64) {
        sum ^= ((const uint8_t *)p)[i];
    }
    sum ^= ((const uint8_t *)p)[n - 1];
    (void)sum;
    return 0;
}

static int on_file_end(struct layer_sink *s, struct gt_err *err)
{
    GT_ASSERT(self(s)->in_file);
    self(s)->in_file = false;
    return 0;
}

static int on_symlink(struct layer_sink *s, const struct layer_entry *e, const char *target,
                      struct gt_err *err)
{
    check_entry(self(s), e, /* root_allowed= */ false);
    GT_ASSERT(*target && strlen(target) < PATH_MAX);
    return 0;
}

static int on_hardlink(struct layer_sink *s, const char *path, const char *target,
                       struct gt_err *err)
{
    check_path(path, /* root_allowed= */ false);
    check_path(target, /* root_allowed= */ false);
    return 0;
}

static int on_fifo(struct layer_sink *s, const struct layer_entry *e, struct gt_err *err)
{
    check_entry(self(s), e, /* root_allowed= */ false);
    return 0;
}

static int on_whiteout(struct layer_sink *s, const char *path, struct gt_err *err)
{
    check_path(path, /* root_allowed= */ false);
    return 0;
}

static int on_opaque(struct layer_sink *s, const char *path, struct gt_err *err)
{
    check_path(path, /* root_allowed= */ true);
    return 0;
}

static int on_finish(struct layer_sink *s, struct gt_err *err)
{
    GT_ASSERT(!self(s)->in_file && !self(s)->finished);
    self(s)->finished = true;
    return 0;
}

static const struct layer_sink_ops model_ops = {
    .directory = on_directory,
    .file = on_file,
    .data = on_data,
    .file_end = on_file_end,
    .symlink = on_symlink,
    .hardlink = on_hardlink,
    .fifo = on_fifo,
    .whiteout = on_whiteout,
    .opaque = on_opaque,
    .finish = on_finish,
};

/* The input in three uneven pieces, so that borders fall everywhere. */
struct source {
    const uint8_t *p;
    size_t n;
};

static ssize_t next(void *arg, const void **p, struct gt_err *err)
{
    struct source *s = arg;
    size_t n = GT_MIN(s->n, s->n / 3 + 1);
    *p = s->p;
    s->p += n;
    s->n -= n;
    return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct source source = {data, size};
    struct model m = {.base = {&model_ops}};
    struct untar_limits limits = {.bytes = 4 * GT_MIB, .files = 1000};
    struct untar_result res;
    struct gt_err err = GT_ERR_INIT;
    gt_auto(inflate) struct inflate *in = inflate_new(next, &source);
    int r = untar(inflate_read, in, &limits, &m.base, &res, &err);
    GT_ASSERT(r == 0 ? m.finished : err.kind != GT_ERR_NONE);
    return 0;
}
