/*
 * The encoding: a magic word and a version, then the members in the order in which walk_*() visits
 * them. One function describes a structure for both directions, so that they cannot differ.
 *
 * u32 and u64 are little-endian; a boolean is a u32 of 0 or 1. A string is a u32 (its length plus
 * one, or 0 for NULL), the bytes and a NUL. A list is a u32 count and the elements.
 */
#include "node/runtime/spec.h"

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "node/runtime/caps.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

enum { MAGIC_SPEC = 0x31535247, MAGIC_EXEC = 0x31455247, MAGIC_LIMITS = 0x314c5247, VERSION = 1 };

struct coder {
    struct gt_buf *to; /* encoding; NULL when decoding */
    const char *at, *end;
    struct gt_arena *arena;
    uint32_t strings;
    const char *wrong; /* the first thing that was; nothing more is done then */
};

static bool wrong(struct coder *c, const char *what)
{
    if (!c->wrong) {
        c->wrong = what;
    }
    return false;
}

static void raw(struct coder *c, void *p, size_t n)
{
    if (c->wrong) {
        return;
    }
    if (c->to) {
        gt_buf_add(c->to, p, n);
    } else if ((size_t)(c->end - c->at) < n) {
        wrong(c, "it ends too early");
    } else {
        memcpy(p, c->at, n);
        c->at += n;
    }
}

static void u32(struct coder *c, uint32_t *v)
{
    uint32_t le = htole32(*v);
    raw(c, &le, sizeof le);
    if (!c->to && !c->wrong) {
        *v = le32toh(le);
    }
}

static void u64(struct coder *c, uint64_t *v)
{
    uint64_t le = htole64(*v);
    raw(c, &le, sizeof le);
    if (!c->to && !c->wrong) {
        *v = le64toh(le);
    }
}

static void i32(struct coder *c, int32_t *v)
{
    uint32_t u = (uint32_t)*v;
    u32(c, &u);
    *v = (int32_t)u;
}

static void i64(struct coder *c, int64_t *v)
{
    uint64_t u = (uint64_t)*v;
    u64(c, &u);
    *v = (int64_t)u;
}

static void boolean(struct coder *c, bool *v)
{
    uint32_t u = *v;
    u32(c, &u);
    if (!c->to && u > 1) {
        wrong(c, "a boolean is neither 0 nor 1");
        return;
    }
    *v = u == 1;
}

static void string(struct coder *c, const char **s)
{
    uint32_t n = c->to && *s ? (uint32_t)strlen(*s) + 1 : 0;
    u32(c, &n);
    if (c->to) {
        raw(c, (void *)(uintptr_t)*s, n);
        return;
    }
    *s = NULL;
    if (c->wrong || n == 0) {
        return;
    }
    if ((size_t)(c->end - c->at) < n) {
        wrong(c, "a string is longer than what is left");
    } else if (memchr(c->at, '\0', n) != c->at + n - 1) {
        wrong(c, "a string holds a NUL, or does not end in one");
    } else if (++c->strings > RT_SPEC_MAX_STRINGS) {
        wrong(c, "it holds too many strings");
    } else {
        *s = c->at;
        c->at += n;
    }
}

/* Decoding: takes memory for n elements, each of which takes at least `least` bytes of input. */
static bool list(struct coder *c, void *v, uint32_t *n, size_t size, uint32_t max, size_t least)
{
    u32(c, n);
    if (c->wrong) {
        return false;
    }
    if (*n > max) {
        return wrong(c, "a list is too long");
    }
    if (c->to) {
        return true;
    }
    if (*n > (size_t)(c->end - c->at) / least) {
        return wrong(c, "a list is longer than what is left");
    }
    void *mem = gt_arena_try_alloc(c->arena, ((size_t)*n + 1) * size);
    if (!mem) {
        return wrong(c, "it takes too much memory");
    }
    memcpy(v, &mem, sizeof mem);
    return true;
}

static void strings(struct coder *c, struct rt_strs *s)
{
    if (!list(c, &s->v, &s->n, sizeof *s->v, RT_SPEC_MAX_STRINGS, 4)) {
        return;
    }
    for (uint32_t i = 0; i < s->n && !c->wrong; i++) {
        string(c, &s->v[i]);
        if (!s->v[i]) {
            wrong(c, "a list of strings has a hole");
        }
    }
}

static void walk_limits(struct coder *c, struct rt_limits *l)
{
    u64(c, &l->cpu_shares);
    u64(c, &l->cpu_quota_us);
    u64(c, &l->cpu_period_us);
    u64(c, &l->memory);
    u64(c, &l->memory_reservation);
    i64(c, &l->memory_swap);
    u64(c, &l->pids);
    string(c, &l->cpuset_cpus);
}

static void walk_caps(struct coder *c, struct rt_caps *k)
{
    u64(c, &k->bounding);
    u64(c, &k->effective);
    u64(c, &k->permitted);
    u64(c, &k->inheritable);
    u64(c, &k->ambient);
}

static void walk_rlimits(struct coder *c, struct rt_rlimits *r)
{
    if (!list(c, &r->v, &r->n, sizeof *r->v, 64, 20)) {
        return;
    }
    for (uint32_t i = 0; i < r->n; i++) {
        u32(c, &r->v[i].resource);
        u64(c, &r->v[i].soft);
        u64(c, &r->v[i].hard);
    }
}

static void walk_mounts(struct coder *c, struct rt_mounts *m)
{
    if (!list(c, &m->v, &m->n, sizeof *m->v, RT_SPEC_MAX_MOUNTS, 28)) {
        return;
    }
    for (uint32_t i = 0; i < m->n; i++) {
        u32(c, &m->v[i].kind);
        u32(c, &m->v[i].flags);
        string(c, &m->v[i].source);
        string(c, &m->v[i].target);
        u64(c, &m->v[i].size);
        u32(c, &m->v[i].mode);
    }
}

static void walk_devices(struct coder *c, struct rt_devices *d)
{
    if (!list(c, &d->v, &d->n, sizeof *d->v, RT_SPEC_MAX_MOUNTS, 12)) {
        return;
    }
    for (uint32_t i = 0; i < d->n; i++) {
        string(c, &d->v[i].host_path);
        string(c, &d->v[i].path);
        string(c, &d->v[i].access);
    }
}

static void walk_ns(struct coder *c, struct rt_ns *ns)
{
    u32(c, &ns->kind);
    string(c, &ns->path);
}

static void walk_process(struct coder *c, struct rt_spec *s)
{
    strings(c, &s->argv);
    strings(c, &s->env);
    string(c, &s->cwd);
    string(c, &s->user);
    strings(c, &s->extra_groups);
    u32(c, &s->umask);
    boolean(c, &s->tty);
    u32(c, &s->tty_rows);
    u32(c, &s->tty_cols);
    boolean(c, &s->stdin_open);
    boolean(c, &s->init);
    i32(c, &s->oom_score_adj);
    walk_rlimits(c, &s->rlimits);
    walk_caps(c, &s->caps);
    boolean(c, &s->caps_by_user);
    boolean(c, &s->no_new_privs);
    boolean(c, &s->privileged);
    u32(c, &s->seccomp);
}

static void walk_spec(struct coder *c, struct rt_spec *s)
{
    u32(c, &s->rootfs.kind);
    strings(c, &s->rootfs.lower);
    string(c, &s->rootfs.upper);
    string(c, &s->rootfs.work);
    boolean(c, &s->rootfs.readonly);
    boolean(c, &s->rootfs.volatile_upper);
    walk_process(c, s);
    string(c, &s->hostname);
    walk_ns(c, &s->net);
    walk_ns(c, &s->pid);
    walk_ns(c, &s->ipc);
    walk_ns(c, &s->uts);
    walk_ns(c, &s->cgroup);
    walk_mounts(c, &s->mounts);
    walk_devices(c, &s->devices);
    strings(c, &s->masked);
    strings(c, &s->readonly_paths);
    strings(c, &s->sysctls);
    u64(c, &s->shm_size);
    walk_limits(c, &s->limits);
    boolean(c, &s->log_nonblocking);
    u64(c, &s->log_spool_max);
    boolean(c, &s->log_none);
}

static void walk_exec(struct coder *c, struct rt_exec *e)
{
    strings(c, &e->argv);
    strings(c, &e->env);
    string(c, &e->cwd);
    string(c, &e->user);
    strings(c, &e->extra_groups);
    boolean(c, &e->tty);
    u32(c, &e->tty_rows);
    u32(c, &e->tty_cols);
    walk_caps(c, &e->caps);
    boolean(c, &e->caps_by_user);
    boolean(c, &e->no_new_privs);
    boolean(c, &e->privileged);
    u32(c, &e->seccomp);
    walk_rlimits(c, &e->rlimits);
    u32(c, &e->umask);
    i32(c, &e->oom_score_adj);
}

static void header(struct coder *c, uint32_t magic)
{
    uint32_t m = magic, v = VERSION;
    u32(c, &m);
    u32(c, &v);
    if (!c->wrong && m != magic) {
        wrong(c, "it is something else");
    } else if (!c->wrong && v != VERSION) {
        wrong(c, "it is of another version");
    }
}

static int encoded(const struct coder *c, const char *what, struct gt_err *err)
{
    if (c->wrong) {
        return gt_err_set(err, GT_ERR_INVALID, "encode the %s: %s", what, c->wrong);
    }
    if (!gt_buf_ok(c->to)) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "the %s takes more than %zu bytes", what,
                          c->to->max);
    }
    return 0;
}

static int decoded(struct coder *c, const char *what, struct gt_err *err)
{
    if (!c->wrong && c->at != c->end) {
        wrong(c, "there is something behind it");
    }
    return c->wrong ? gt_err_set(err, GT_ERR_MALFORMED, "decode the %s: %s", what, c->wrong) : 0;
}

int rt_spec_encode(const struct rt_spec *s, struct gt_buf *to, struct gt_err *err)
{
    struct coder c = {.to = to};
    struct rt_spec copy = *s;
    header(&c, MAGIC_SPEC);
    walk_spec(&c, &copy);
    return encoded(&c, "container's specification", err);
}

int rt_spec_decode(const void *bytes, size_t n, struct gt_arena *a, struct rt_spec *ret,
                   struct gt_err *err)
{
    struct coder c = {.at = bytes, .end = (const char *)bytes + n, .arena = a};
    struct rt_spec s = {0};
    header(&c, MAGIC_SPEC);
    walk_spec(&c, &s);
    int r = decoded(&c, "container's specification", err);
    r = r < 0 ? r : rt_spec_check(&s, err);
    if (r == 0) {
        *ret = s;
    }
    return r;
}

int rt_limits_encode(const struct rt_limits *l, struct gt_buf *to, struct gt_err *err)
{
    struct coder c = {.to = to};
    struct rt_limits copy = *l;
    header(&c, MAGIC_LIMITS);
    walk_limits(&c, &copy);
    return encoded(&c, "limits", err);
}

int rt_limits_decode(const void *bytes, size_t n, struct gt_arena *a, struct rt_limits *ret,
                     struct gt_err *err)
{
    struct coder c = {.at = bytes, .end = (const char *)bytes + n, .arena = a};
    struct rt_limits l = {0};
    header(&c, MAGIC_LIMITS);
    walk_limits(&c, &l);
    int r = decoded(&c, "limits", err);
    if (r == 0) {
        *ret = l;
    }
    return r;
}

int rt_exec_encode(const struct rt_exec *e, struct gt_buf *to, struct gt_err *err)
{
    struct coder c = {.to = to};
    struct rt_exec copy = *e;
    header(&c, MAGIC_EXEC);
    walk_exec(&c, &copy);
    return encoded(&c, "process' specification", err);
}

int rt_exec_decode(const void *bytes, size_t n, struct gt_arena *a, struct rt_exec *ret,
                   struct gt_err *err)
{
    struct coder c = {.at = bytes, .end = (const char *)bytes + n, .arena = a};
    struct rt_exec e = {0};
    header(&c, MAGIC_EXEC);
    walk_exec(&c, &e);
    int r = decoded(&c, "process' specification", err);
    if (r == 0 && (e.argv.n == 0 || e.argv.v[0][0] == '\0')) {
        r = gt_err_set(err, GT_ERR_INVALID, "no command given");
    }
    if (r == 0) {
        *ret = e;
    }
    return r;
}

void rt_spec_defaults(struct rt_spec *s)
{
    memset(s, 0, sizeof *s);
    s->caps.bounding = s->caps.effective = s->caps.permitted = RT_CAPS_DEFAULT;
    s->caps_by_user = true;
    s->umask = 022;
}

void rt_exec_from_spec(struct rt_exec *e, const struct rt_spec *s)
{
    memset(e, 0, sizeof *e);
    e->extra_groups = s->extra_groups;
    e->caps = s->caps;
    e->caps_by_user = s->caps_by_user;
    e->no_new_privs = s->no_new_privs;
    e->privileged = s->privileged;
    e->seccomp = s->seccomp;
    e->rlimits = s->rlimits;
    e->umask = s->umask;
    e->oom_score_adj = s->oom_score_adj;
}

static int check_ns(const struct rt_ns *ns, const char *name, struct gt_err *err)
{
    if (ns->kind > RT_NS_PATH) {
        return gt_err_set(err, GT_ERR_INVALID, "unknown kind %u of %s namespace", ns->kind, name);
    }
    if (ns->kind == RT_NS_PATH && (!ns->path || ns->path[0] != '/')) {
        return gt_err_set(err, GT_ERR_INVALID, "the path of the %s namespace is not absolute",
                          name);
    }
    return 0;
}

static int check_mount(const struct rt_mount *m, struct gt_err *err)
{
    if (!m->target || m->target[0] != '/') {
        return gt_err_set(err, GT_ERR_INVALID, "mount target '%s' is not absolute",
                          m->target ? m->target : "");
    }
    if (strspn(m->target, "/.") == strlen(m->target)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no place for a mount", m->target);
    }
    if (m->kind == RT_MOUNT_BIND && (!m->source || m->source[0] != '/')) {
        return gt_err_set(err, GT_ERR_INVALID, "mount source '%s' is not absolute",
                          m->source ? m->source : "");
    }
    if (m->kind > RT_MOUNT_TMPFS || m->mode > 07777) {
        return gt_err_set(err, GT_ERR_INVALID, "unknown kind or mode of mount '%s'", m->target);
    }
    return 0;
}

static int check_rootfs(const struct rt_rootfs *r, struct gt_err *err)
{
    if (r->kind > RT_ROOTFS_DIR || r->lower.n == 0 || r->lower.n > RT_SPEC_MAX_LAYERS ||
        (r->kind == RT_ROOTFS_DIR && r->lower.n != 1)) {
        return gt_err_set(err, GT_ERR_INVALID, "a root file system of %u folders", r->lower.n);
    }
    for (uint32_t i = 0; i < r->lower.n; i++) {
        if (r->lower.v[i][0] != '/') {
            return gt_err_set(err, GT_ERR_INVALID, "layer '%s' is not absolute", r->lower.v[i]);
        }
    }
    if (!r->upper != !r->work || (r->upper && (r->upper[0] != '/' || r->work[0] != '/'))) {
        return gt_err_set(err, GT_ERR_INVALID, "upper and work folder must both be absolute");
    }
    return 0;
}

int rt_spec_check(const struct rt_spec *s, struct gt_err *err)
{
    int r = check_rootfs(&s->rootfs, err);
    r = r ? r : check_ns(&s->net, "network", err);
    r = r ? r : check_ns(&s->pid, "pid", err);
    r = r ? r : check_ns(&s->ipc, "ipc", err);
    r = r ? r : check_ns(&s->uts, "uts", err);
    r = r ? r : check_ns(&s->cgroup, "cgroup", err);
    for (uint32_t i = 0; i < s->mounts.n && r == 0; i++) {
        r = check_mount(&s->mounts.v[i], err);
    }
    for (uint32_t i = 0; i < s->devices.n && r == 0; i++) {
        if (!s->devices.v[i].host_path || s->devices.v[i].host_path[0] != '/') {
            r = gt_err_set(err, GT_ERR_INVALID, "a device without an absolute host path");
        }
    }
    if (r < 0) {
        return r;
    }
    if (s->argv.n == 0 || s->argv.v[0][0] == '\0') {
        return gt_err_set(err, GT_ERR_INVALID, "no command given");
    }
    if (s->cwd && s->cwd[0] != '/') {
        return gt_err_set(err, GT_ERR_INVALID, "working directory '%s' is not absolute", s->cwd);
    }
    if (s->hostname && (strlen(s->hostname) > 64 || s->uts.kind == RT_NS_HOST)) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "hostname '%s' is too long, or the host's would change", s->hostname);
    }
    if (s->seccomp > RT_SECCOMP_UNCONFINED || s->umask > 0777 || s->oom_score_adj < -1000 ||
        s->oom_score_adj > 1000) {
        return gt_err_set(err, GT_ERR_INVALID, "seccomp, umask or oom_score_adj out of range");
    }
    return 0;
}
