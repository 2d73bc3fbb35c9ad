/* What is mounted in a container: the files of /etc that a node writes, volumes, tmpfs. */
#include "lib/base/mem.h"
#include "node/agent/task.h"
#include "node/volume/volume.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_IMAGE_VOLUMES = 40 }; /* beside the 150 mounts of a definition and three of ours */

static const struct ecs_volume *volume_named(const struct task *t, struct gt_str name)
{
    for (size_t i = 0; i < t->def.volumes.n; i++) {
        if (gt_str_eq(t->def.volumes.v[i].name, name)) {
            return &t->def.volumes.v[i];
        }
    }
    return NULL;
}

/* NULL: err says why. */
static const char *volume_source(const struct ecs_volume *v, const char *volumes,
                                 struct gt_arena *a, struct gt_err *err)
{
    if (v->host && v->host->source_path.n) {
        struct volume_path path;
        return volume_host_path(v->host->source_path, &path, err) < 0
                   ? NULL
                   : gt_arena_strdup(a, path.path);
    }
    /* The server refuses such names; a folder of another task is too much to lose if it did not. */
    if (v->name.n == 0 || memchr(v->name.p, '/', v->name.n) || gt_str_is(v->name, ".") ||
        gt_str_is(v->name, "..")) {
        gt_err_set(err, GT_ERR_INVALID, "volume name '" GT_STR_FMT "' is not one",
                   GT_STR_ARG(v->name));
        return NULL;
    }
    return gt_arena_printf(a, "%s/" GT_STR_FMT, volumes, GT_STR_ARG(v->name));
}

/* The options that the server lets through (control/services/ecs/taskdef_container.c): flags of the
 * mount, and words for the file system itself. */
static void tmpfs_options(const struct ecs_tmpfs *t, struct gt_arena *a, struct rt_mount *m)
{
    static const struct {
        const char *name;
        uint32_t set, clear;
    } table[] = {
        {"ro", RT_MOUNT_RDONLY, 0},
        {"rw", 0, RT_MOUNT_RDONLY},
        {"nosuid", RT_MOUNT_NOSUID, 0},
        {"suid", 0, RT_MOUNT_NOSUID},
        {"nodev", RT_MOUNT_NODEV, 0},
        {"dev", 0, RT_MOUNT_NODEV},
        {"noexec", RT_MOUNT_NOEXEC, 0},
        {"exec", 0, RT_MOUNT_NOEXEC},
        {"noatime", RT_MOUNT_NOATIME, RT_MOUNT_STRICTATIME},
        {"strictatime", RT_MOUNT_STRICTATIME, RT_MOUNT_NOATIME},
        {"relatime", 0, RT_MOUNT_NOATIME | RT_MOUNT_STRICTATIME},
        {"nodiratime", RT_MOUNT_NODIRATIME, 0},
        {"diratime", 0, RT_MOUNT_NODIRATIME},
    };
    m->flags = RT_MOUNT_NOSUID | RT_MOUNT_NODEV | RT_MOUNT_NOEXEC; /* docker's default */
    const char *words = NULL;
    for (size_t i = 0; i < t->mount_options.n; i++) {
        struct gt_str o = t->mount_options.v[i];
        for (size_t k = 0; k < GT_ARRAY_LEN(table); k++) {
            if (gt_str_is(o, table[k].name)) {
                m->flags = (m->flags & ~table[k].clear) | table[k].set;
            }
        }
        if (gt_str_starts(o, GT_STR_LIT("mode="))) {
            m->mode = (uint32_t)strtoul(gt_arena_str(a, o) + 5, NULL, 8) & 07777;
        } else if (memchr(o.p, '=', o.n)) {
            words = words ? gt_arena_printf(a, "%s," GT_STR_FMT, words, GT_STR_ARG(o))
                          : gt_arena_str(a, o);
        }
    }
    m->source = words;
}

static void add_tmpfs(const struct container *c, struct gt_arena *a, struct rt_spec *s)
{
    const struct ecs_linux_parameters *lp = c->def->linux_parameters;
    for (size_t i = 0; lp && i < lp->tmpfs.n; i++) {
        struct rt_mount *m = &s->mounts.v[s->mounts.n++];
        *m = (struct rt_mount){.kind = RT_MOUNT_TMPFS,
                               .target = gt_arena_str(a, lp->tmpfs.v[i].container_path),
                               .size = (uint64_t)lp->tmpfs.v[i].size << 20};
        tmpfs_options(&lp->tmpfs.v[i], a, m);
    }
}

static void add_etc(const struct container *c, struct gt_arena *a, struct rt_spec *s)
{
    static const char *const files[] = {"hosts", "hostname", "resolv.conf"};
    gt_auto_free char *etc = task_etc_dir(c->task);
    for (size_t i = 0; i < GT_ARRAY_LEN(files); i++) {
        s->mounts.v[s->mounts.n++] = (struct rt_mount){
            .kind = RT_MOUNT_BIND,
            .flags = c->def->readonly_root_filesystem ? RT_MOUNT_RDONLY : 0,
            .source = gt_arena_printf(a, "%s/%s.%s", etc, c->runtime_id, files[i]),
            .target = gt_arena_printf(a, "/etc/%s", files[i]),
        };
    }
}

static int add_volumes(const struct container *c, struct gt_arena *a, struct rt_spec *s,
                       struct gt_err *err)
{
    gt_auto_free char *volumes = task_dir(c->task, "volumes");
    for (size_t i = 0; i < c->def->mount_points.n; i++) {
        const struct ecs_mount_point *mp = &c->def->mount_points.v[i];
        const struct ecs_volume *v = volume_named(c->task, mp->source_volume);
        if (!v) {
            return gt_err_set(err, GT_ERR_INVALID, "unknown volume '" GT_STR_FMT "'",
                              GT_STR_ARG(mp->source_volume));
        }
        const char *source = volume_source(v, volumes, a, err);
        if (!source) {
            return -EINVAL;
        }
        s->mounts.v[s->mounts.n++] = (struct rt_mount){
            .kind = RT_MOUNT_BIND,
            .flags = RT_MOUNT_REC | RT_MOUNT_CREATE_SRC | (mp->read_only ? RT_MOUNT_RDONLY : 0) |
                     (v->host && v->host->source_path.n ? 0 : RT_MOUNT_COPY_UP),
            .source = source,
            .target = gt_arena_str(a, mp->container_path),
        };
    }
    return 0;
}

static struct gt_str next_part(const char **at)
{
    const char *p = *at + strspn(*at, "/");
    size_t n = strcspn(p, "/");
    *at = p + n;
    return gt_str_n(p, n);
}

static bool same_place(const char *a, const char *b)
{
    for (;;) {
        struct gt_str x = next_part(&a), y = next_part(&b);
        if (x.n == 0 || !gt_str_eq(x, y)) {
            return x.n == 0 && y.n == 0;
        }
    }
}

static bool is_taken(const struct rt_spec *s, const char *target)
{
    bool taken = false;
    for (uint32_t i = 0; i < s->mounts.n; i++) {
        taken = taken || same_place(s->mounts.v[i].target, target);
    }
    return taken;
}

static size_t image_volumes(const struct container *c)
{
    size_t n = 0;
    while (c->def->readonly_root_filesystem && c->image->volumes && c->image->volumes[n]) {
        n++;
    }
    return n;
}

/* A VOLUME of the image stays writable in a read-only root, as with docker. Elsewhere the
 * container's own layer does as well, and nothing has to be copied. */
static int add_image_volumes(const struct container *c, struct gt_arena *a, struct rt_spec *s,
                             struct gt_err *err)
{
    size_t n = image_volumes(c);
    if (n > MAX_IMAGE_VOLUMES) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "the image has %zu volumes, more than %d", n,
                          MAX_IMAGE_VOLUMES);
    }
    gt_auto_free char *rootfs = task_dir(c->task, "rootfs");
    for (size_t i = 0; i < n; i++) {
        const char *target = c->image->volumes[i];
        if (target[0] == '/' && target[strspn(target, "/")] && !is_taken(s, target)) {
            s->mounts.v[s->mounts.n++] = (struct rt_mount){
                .kind = RT_MOUNT_BIND,
                .flags = RT_MOUNT_CREATE_SRC | RT_MOUNT_COPY_UP,
                .source = gt_arena_printf(a, "%s/%s/volumes/%zu", rootfs, c->runtime_id, i),
                .target = target,
            };
        }
    }
    return 0;
}

static unsigned depth(const char *path)
{
    unsigned n = 0;
    for (const char *at = path; *at; at++) {
        n += *at != '/' && (at == path || at[-1] == '/');
    }
    return n;
}

/* What lies above comes first, or it would hide what lies below: as docker does. Insertion keeps
 * the order of equals, and there are few. */
static void sort_by_depth(struct rt_mount *v, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        struct rt_mount m = v[i];
        uint32_t at = i;
        for (; at > 0 && depth(v[at - 1].target) > depth(m.target); at--) {
            v[at] = v[at - 1];
        }
        v[at] = m;
    }
}

int container_mounts(const struct container *c, struct gt_arena *a, struct rt_spec *s,
                     struct gt_err *err)
{
    const struct ecs_linux_parameters *lp = c->def->linux_parameters;
    s->mounts.v = gt_arena_array(a, struct rt_mount,
                                 c->def->mount_points.n + (lp ? lp->tmpfs.n : 0) +
                                     image_volumes(c) + /* etc */ 3);
    add_etc(c, a, s);
    uint32_t etc = s->mounts.n;
    int r = add_volumes(c, a, s, err);
    if (r < 0) {
        return r;
    }
    add_tmpfs(c, a, s);
    r = add_image_volumes(c, a, s, err);
    if (r < 0) {
        return r;
    }
    sort_by_depth(s->mounts.v + etc, s->mounts.n - etc);
    return 0;
}
