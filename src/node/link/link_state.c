#include "node/link/link_state.h"

#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

/* Never renumber: a running link reads what a newer agent writes, and the other way round. */
enum tag {
    TAG_ID = 1,
    TAG_ADDRESS = 2,
    TAG_VETH = 3,
    TAG_TASK_V4 = 4,
    TAG_TASK_V4_TAGS = 5,
    TAG_TASK_V2 = 6,
    TAG_CONTAINER = 16, /* value: its endpoint id */
    TAG_RUNTIME_ID = 17,
    TAG_NAME = 18,
    TAG_CONTAINER_V4 = 19,
    TAG_CONTAINER_V2 = 20,
    TAG_CGROUP = 21,
    TAG_CREDENTIALS = 32, /* value: their id */
    TAG_CREDENTIALS_JSON = 33,
};

#define MAGIC "GTLINK1\n"
#define HEAD 12 /* magic and length */

void link_endpoint_id(char to[static LINK_ENDPOINT_LEN + 1])
{
    unsigned char random[16];
    gt_rand_bytes(random, sizeof random);
    gt_hex_encode(random, sizeof random, to);
    snprintf(to + 32, 12, "-%010u", (unsigned)(gt_rand_u64() % 4000000000U));
}

static void put_u32(struct gt_buf *to, uint32_t v)
{
    unsigned char b[4] = {v & 0xff, v >> 8 & 0xff, v >> 16 & 0xff, v >> 24};
    gt_buf_add(to, b, sizeof b);
}

static uint32_t get_u32(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static void put(struct gt_buf *to, enum tag tag, struct gt_str s)
{
    put_u32(to, tag);
    put_u32(to, (uint32_t)s.n);
    gt_buf_add(to, s.p, s.n);
}

static void put_opt(struct gt_buf *to, enum tag tag, struct gt_str s)
{
    if (s.n > 0) {
        put(to, tag, s);
    }
}

void link_state_encode(const struct link_task *t, struct gt_buf *to)
{
    GT_ASSERT(t->n_containers <= LINK_MAX_CONTAINERS);
    GT_ASSERT(t->n_credentials <= LINK_MAX_CREDENTIALS);
    size_t start = to->n;
    gt_buf_puts(to, MAGIC);
    put_u32(to, 0);
    put(to, TAG_ID, t->id);
    put_opt(to, TAG_ADDRESS, t->address);
    put_opt(to, TAG_VETH, t->veth);
    put_opt(to, TAG_TASK_V4, t->json_v4);
    put_opt(to, TAG_TASK_V4_TAGS, t->json_v4_tags);
    put_opt(to, TAG_TASK_V2, t->json_v2);
    for (size_t i = 0; i < t->n_containers; i++) {
        const struct link_container *c = &t->containers[i];
        GT_ASSERT(c->n_cgroups <= LINK_MAX_CGROUPS);
        put(to, TAG_CONTAINER, c->endpoint);
        put_opt(to, TAG_RUNTIME_ID, c->runtime_id);
        put_opt(to, TAG_NAME, c->name);
        put_opt(to, TAG_CONTAINER_V4, c->json_v4);
        put_opt(to, TAG_CONTAINER_V2, c->json_v2);
        for (size_t k = 0; k < c->n_cgroups; k++) {
            put(to, TAG_CGROUP, c->cgroups[k]);
        }
    }
    for (size_t i = 0; i < t->n_credentials; i++) {
        put(to, TAG_CREDENTIALS, t->credentials[i].id);
        put(to, TAG_CREDENTIALS_JSON, t->credentials[i].json);
    }
    if (gt_buf_ok(to)) {
        uint32_t length = (uint32_t)(to->n - start - HEAD);
        for (int i = 0; i < 4; i++) {
            to->p[start + 8 + (size_t)i] = (char)(length >> 8 * i & 0xff);
        }
    }
}

static int bad(struct gt_err *err, const char *what)
{
    return gt_err_set(err, GT_ERR_CORRUPT, "task state for gantry-link: %s", what);
}

static struct link_container *last_container(struct link_task *t)
{
    return t->n_containers ? &t->containers[t->n_containers - 1] : NULL;
}

static int take_of_container(struct link_task *t, uint32_t tag, struct gt_str v, struct gt_err *err)
{
    struct link_container *c = last_container(t);
    if (!c) {
        return bad(err, "a container's section before any container");
    }
    switch (tag) {
    case TAG_RUNTIME_ID:
        c->runtime_id = v;
        break;
    case TAG_NAME:
        c->name = v;
        break;
    case TAG_CONTAINER_V4:
        c->json_v4 = v;
        break;
    case TAG_CONTAINER_V2:
        c->json_v2 = v;
        break;
    case TAG_CGROUP:
        if (c->n_cgroups == LINK_MAX_CGROUPS) {
            return bad(err, "too many cgroups");
        }
        c->cgroups[c->n_cgroups++] = v;
        break;
    default:
        break;
    }
    return 0;
}

static int take(struct link_task *t, uint32_t tag, struct gt_str v, struct gt_err *err)
{
    switch (tag) {
    case TAG_ID:
        t->id = v;
        return 0;
    case TAG_ADDRESS:
        t->address = v;
        return 0;
    case TAG_VETH:
        t->veth = v;
        return 0;
    case TAG_TASK_V4:
        t->json_v4 = v;
        return 0;
    case TAG_TASK_V4_TAGS:
        t->json_v4_tags = v;
        return 0;
    case TAG_TASK_V2:
        t->json_v2 = v;
        return 0;
    case TAG_CONTAINER:
        if (t->n_containers == LINK_MAX_CONTAINERS) {
            return bad(err, "too many containers");
        }
        t->containers[t->n_containers++] = (struct link_container){.endpoint = v};
        return 0;
    case TAG_CREDENTIALS:
        if (t->n_credentials == LINK_MAX_CREDENTIALS) {
            return bad(err, "too many credentials");
        }
        t->credentials[t->n_credentials++] = (struct link_credentials){.id = v};
        return 0;
    case TAG_CREDENTIALS_JSON:
        if (t->n_credentials == 0) {
            return bad(err, "credentials without an id");
        }
        t->credentials[t->n_credentials - 1].json = v;
        return 0;
    case TAG_RUNTIME_ID:
    case TAG_NAME:
    case TAG_CONTAINER_V4:
    case TAG_CONTAINER_V2:
    case TAG_CGROUP:
        return take_of_container(t, tag, v, err);
    default:
        return 0; /* a newer agent's */
    }
}

int link_state_decode(struct gt_str s, struct link_task *ret, struct gt_err *err)
{
    if (s.n < HEAD || memcmp(s.p, MAGIC, 8) != 0) {
        return bad(err, "not such a file");
    }
    if (get_u32(s.p + 8) != s.n - HEAD) {
        return bad(err, "cut short");
    }
    *ret = (struct link_task){0};
    for (size_t at = HEAD; at < s.n;) {
        if (s.n - at < 8) {
            return bad(err, "cut short");
        }
        uint32_t tag = get_u32(s.p + at), n = get_u32(s.p + at + 4);
        at += 8;
        if (n > s.n - at) {
            return bad(err, "a section longer than the file");
        }
        int r = take(ret, tag, gt_str_n(s.p + at, n), err);
        if (r < 0) {
            return r;
        }
        at += n;
    }
    return ret->id.n > 0 ? 0 : bad(err, "no task id");
}

static bool id_ok(struct gt_str id)
{
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '-' || c == '_' || (c == '.' && i > 0))) {
            return false;
        }
    }
    return id.n > 0 && id.n <= 128;
}

/* A descriptor of <run>/link/tasks, which is made when missing. */
static int open_folder(const char *run_dir, bool make, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/link/tasks", run_dir);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make) {
        int r = gt_mkdirs(path, 0700, err);
        if (r < 0) {
            return r;
        }
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return fd >= 0 ? fd : gt_err_errno(err, errno, "open \"%s\"", path);
}

int link_state_write(const char *run_dir, const struct link_task *task, struct gt_err *err)
{
    if (!id_ok(task->id)) {
        return gt_err_set(err, GT_ERR_INVALID, "task id \"" GT_STR_FMT "\" cannot name a file",
                          GT_STR_ARG(task->id));
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(LINK_STATE_MAX);
    link_state_encode(task, &b);
    if (!gt_buf_ok(&b)) {
        return gt_err_set(err, GT_ERR_TOO_LARGE,
                          "metadata of task \"" GT_STR_FMT "\" is over %d bytes",
                          GT_STR_ARG(task->id), LINK_STATE_MAX);
    }
    gt_auto_close int dir = open_folder(run_dir, /* make= */ true, err);
    if (dir < 0) {
        return dir;
    }
    char name[160], temporary[160];
    snprintf(name, sizeof name, GT_STR_FMT, GT_STR_ARG(task->id));
    snprintf(temporary, sizeof temporary, ".%s.%08x", name, (unsigned)gt_rand_u64());
    gt_auto_close int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return gt_err_errno(err, errno, "create \"%s/link/tasks/%s\"", run_dir, temporary);
    }
    int r = gt_write_full(fd, b.p, b.n);
    if (r == 0 && renameat(dir, temporary, dir, name) < 0) {
        r = -errno;
    }
    if (r < 0) {
        unlinkat(dir, temporary, 0);
        return gt_err_errno(err, r, "write \"%s/link/tasks/%s\"", run_dir, name);
    }
    return 0;
}

int link_state_read(const char *run_dir, const char *task_id, struct gt_buf *bytes,
                    struct link_task *ret, struct gt_err *err)
{
    if (!id_ok(gt_str(task_id))) {
        return gt_err_set(err, GT_ERR_INVALID, "task id \"%s\" cannot name a file", task_id);
    }
    gt_auto_close int dir = open_folder(run_dir, /* make= */ false, err);
    int r = dir < 0 ? dir : gt_file_read(dir, task_id, bytes, err);
    return r < 0 ? r : link_state_decode(gt_buf_view(bytes), ret, err);
}

int link_state_remove(const char *run_dir, const char *task_id, struct gt_err *err)
{
    if (!id_ok(gt_str(task_id))) {
        return gt_err_set(err, GT_ERR_INVALID, "task id \"%s\" cannot name a file", task_id);
    }
    gt_auto_close int dir = open_folder(run_dir, /* make= */ false, NULL);
    if (dir == -ENOENT) {
        return 0;
    }
    if (dir < 0 || (unlinkat(dir, task_id, 0) < 0 && errno != ENOENT)) {
        return gt_err_errno(err, dir < 0 ? dir : errno, "remove \"%s/link/tasks/%s\"", run_dir,
                            task_id);
    }
    return 0;
}

int link_running(const char *run_dir)
{
    gt_auto_free char *path = gt_asprintf("%s/link/lock", run_dir);
    gt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0) {
        return 0;
    }
    char text[16] = "";
    ssize_t n = gt_read_full(fd, text, sizeof text - 1);
    return n > 0 ? (int)strtol(text, NULL, 10) : 0;
}
