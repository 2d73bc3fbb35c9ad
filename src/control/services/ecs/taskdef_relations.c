/* What is checked about the containers of a task definition together: names, dependencies, ports,
 * volumes. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/taskdef.h"
#include "lib/base/mem.h"

static size_t container_index(const struct ecs_register_task_definition_in *in, struct gt_str name)
{
    size_t i = 0;
    while (i < in->container_definitions.n &&
           !gt_str_eq(in->container_definitions.v[i].name, name)) {
        i++;
    }
    return i;
}

static int check_names(const struct ecs_register_task_definition_in *in, struct gt_err *err)
{
    bool essential = false;
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &in->container_definitions.v[i];
        if (container_index(in, c->name) != i) {
            return refused(err, "Container.name '" GT_STR_FMT "' is used more than once.",
                           GT_STR_ARG(c->name));
        }
        essential = essential || !c->has_essential || c->essential;
    }
    return essential ? 0
                     : refused(err, "A task definition must have at least one essential "
                                    "container.");
}

static int check_dependency(const struct ecs_register_task_definition_in *in,
                            const struct ecs_container_definition *c,
                            const struct ecs_container_dependency *d, struct gt_err *err)
{
    size_t at = container_index(in, d->container_name);
    if (at == in->container_definitions.n) {
        return refused(err,
                       "Container '" GT_STR_FMT "' depends on container '" GT_STR_FMT
                       "', which is not in the task definition.",
                       GT_STR_ARG(c->name), GT_STR_ARG(d->container_name));
    }
    const struct ecs_container_definition *on = &in->container_definitions.v[at];
    bool essential = !on->has_essential || on->essential;
    if ((gt_str_is(d->condition, "COMPLETE") || gt_str_is(d->condition, "SUCCESS")) && essential) {
        return refused(err,
                       "Container '" GT_STR_FMT "' cannot depend on the essential container "
                       "'" GT_STR_FMT "' with condition " GT_STR_FMT ".",
                       GT_STR_ARG(c->name), GT_STR_ARG(on->name), GT_STR_ARG(d->condition));
    }
    if (gt_str_is(d->condition, "HEALTHY") &&
        (!on->health_check || gt_str_is(on->health_check->command.v[0], "NONE"))) {
        return refused(err,
                       "Container '" GT_STR_FMT "' depends on container '" GT_STR_FMT
                       "' being HEALTHY, which has no health check.",
                       GT_STR_ARG(c->name), GT_STR_ARG(on->name));
    }
    return 0;
}

/* Depth first; `colour` is 1 on the way down and 2 when done. */
static bool has_cycle(const struct ecs_register_task_definition_in *in, size_t at,
                      unsigned char *colour)
{
    if (colour[at]) {
        return colour[at] == 1;
    }
    colour[at] = 1;
    const struct ecs_container_dependency_list *d = &in->container_definitions.v[at].depends_on;
    for (size_t i = 0; i < d->n; i++) {
        if (has_cycle(in, container_index(in, d->v[i].container_name), colour)) {
            return true;
        }
    }
    colour[at] = 2;
    return false;
}

static int check_dependencies(struct tx *tx, const struct ecs_register_task_definition_in *in,
                              struct gt_err *err)
{
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &in->container_definitions.v[i];
        for (size_t k = 0; k < c->depends_on.n; k++) {
            int r = check_dependency(in, c, &c->depends_on.v[k], err);
            if (r < 0) {
                return r;
            }
        }
    }
    unsigned char *colour = gt_arena_alloc(tx_arena(tx), in->container_definitions.n + 1);
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        if (has_cycle(in, i, colour)) {
            return refused(
                err, "Container dependencies must not form a cycle: '" GT_STR_FMT "' is in one.",
                GT_STR_ARG(in->container_definitions.v[i].name));
        }
    }
    return 0;
}

static bool same_port(const struct ecs_register_task_definition_in *in,
                      const struct ecs_port_mapping *a, const struct ecs_port_mapping *b)
{
    if (gt_str_is(a->protocol, "udp") != gt_str_is(b->protocol, "udp")) {
        return false;
    }
    if (gt_str_is(in->network_mode, "awsvpc")) {
        return a->container_port == b->container_port;
    }
    return a->host_port && a->host_port == b->host_port;
}

static int check_port_mode(const struct ecs_register_task_definition_in *in,
                           const struct ecs_container_definition *c,
                           const struct ecs_port_mapping *p, struct gt_err *err)
{
    bool shared = gt_str_is(in->network_mode, "awsvpc") || gt_str_is(in->network_mode, "host");
    if (gt_str_is(in->network_mode, "none")) {
        return refused(err,
                       "When networkMode=none, port mappings are not allowed (container "
                       "'" GT_STR_FMT "').",
                       GT_STR_ARG(c->name));
    }
    if (shared && p->has_host_port && p->host_port && p->host_port != p->container_port) {
        return refused(err,
                       "When networkMode=" GT_STR_FMT ", the host ports and container ports "
                       "in port mappings must match.",
                       GT_STR_ARG(in->network_mode));
    }
    return 0;
}

static int check_ports(const struct ecs_register_task_definition_in *in, struct gt_err *err)
{
    const struct ecs_port_mapping *all[512];
    size_t n = 0;
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &in->container_definitions.v[i];
        for (size_t k = 0; k < c->port_mappings.n; k++) {
            const struct ecs_port_mapping *p = &c->port_mappings.v[k];
            int r = check_port_mode(in, c, p, err);
            if (r < 0) {
                return r;
            }
            for (size_t j = 0; j < n; j++) {
                if (same_port(in, all[j], p)) {
                    return refused(err,
                                   "Port %lld is mapped more than once (container "
                                   "'" GT_STR_FMT "').",
                                   (long long)(p->host_port ? p->host_port : p->container_port),
                                   GT_STR_ARG(c->name));
                }
            }
            if (n == GT_ARRAY_LEN(all)) {
                return refused(err, "Too many port mappings: at most %zu.", GT_ARRAY_LEN(all));
            }
            all[n++] = p;
        }
    }
    return 0;
}

/* The next part of a path, without empty ones and "."; .n == 0 at its end. */
static struct gt_str next_part(struct gt_str path, size_t *at)
{
    while (*at < path.n) {
        const char *slash = memchr(path.p + *at, '/', path.n - *at);
        size_t n = slash ? (size_t)(slash - path.p) - *at : path.n - *at;
        struct gt_str part = gt_str_n(path.p + *at, n);
        *at += n + 1;
        if (n > 0 && !gt_str_is(part, ".")) {
            return part;
        }
    }
    return gt_str_n("", 0);
}

static bool same_path(struct gt_str a, struct gt_str b)
{
    size_t at_a = 0, at_b = 0;
    for (;;) {
        struct gt_str x = next_part(a, &at_a), y = next_part(b, &at_b);
        if (!gt_str_eq(x, y)) {
            return false;
        }
        if (x.n == 0) {
            return true;
        }
    }
}

static bool has_dot_dot(struct gt_str path)
{
    size_t at = 0;
    for (struct gt_str x; (x = next_part(path, &at)).n > 0;) {
        if (gt_str_is(x, "..")) {
            return true;
        }
    }
    return false;
}

/* Of volumes and tmpfs together: the i-th one's place. */
static struct gt_str mount_place(const struct ecs_container_definition *c, size_t i)
{
    return i < c->mount_points.n
               ? c->mount_points.v[i].container_path
               : c->linux_parameters->tmpfs.v[i - c->mount_points.n].container_path;
}

static int check_places(const struct ecs_container_definition *c, struct gt_err *err)
{
    enum { MOST = 150 }; /* node/runtime/spec.h has room for 200 */
    size_t n = c->mount_points.n + (c->linux_parameters ? c->linux_parameters->tmpfs.n : 0);
    if (n > MOST) {
        return refused(err, "Too many mount points in container '" GT_STR_FMT "': at most %d.",
                       GT_STR_ARG(c->name), MOST);
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (same_path(mount_place(c, i), mount_place(c, k))) {
                return refused(err,
                               "Invalid setting for container '" GT_STR_FMT
                               "'. Duplicate mount point: " GT_STR_FMT,
                               GT_STR_ARG(c->name), GT_STR_ARG(mount_place(c, i)));
            }
        }
    }
    return 0;
}

static int check_mounts(const struct ecs_register_task_definition_in *in, struct gt_err *err)
{
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &in->container_definitions.v[i];
        for (size_t k = 0; k < c->mount_points.n; k++) {
            const struct ecs_mount_point *m = &c->mount_points.v[k];
            size_t v = 0;
            while (v < in->volumes.n && !gt_str_eq(in->volumes.v[v].name, m->source_volume)) {
                v++;
            }
            if (v == in->volumes.n) {
                return refused(err, "Unknown volume '" GT_STR_FMT "'.",
                               GT_STR_ARG(m->source_volume));
            }
            if (!m->container_path.n || m->container_path.p[0] != '/') {
                return refused(err,
                               "Invalid 'containerPath' setting for container '" GT_STR_FMT "'.",
                               GT_STR_ARG(c->name));
            }
        }
        int r = check_places(c, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int check_volumes(const struct ecs_register_task_definition_in *in, struct gt_err *err)
{
    for (size_t i = 0; i < in->volumes.n; i++) {
        const struct ecs_volume *v = &in->volumes.v[i];
        if (!name_valid(v->name, ".", 255) || gt_str_is(v->name, ".") || gt_str_is(v->name, "..")) {
            return refused(err, "Volume.name should be 1 to 255 letters, digits, '-', '_', '.'.");
        }
        for (size_t k = 0; k < i; k++) {
            if (gt_str_eq(in->volumes.v[k].name, v->name)) {
                return refused(err, "Volume '" GT_STR_FMT "' is defined more than once.",
                               GT_STR_ARG(v->name));
            }
        }
        const char *kind = v->docker_volume_configuration ? "dockerVolumeConfiguration"
                           : v->efs_volume_configuration  ? "efsVolumeConfiguration"
                           : v->fsx_windows_file_server_volume_configuration
                               ? "fsxWindowsFileServerVolumeConfiguration"
                           : v->s3files_volume_configuration ? "s3filesVolumeConfiguration"
                           : v->configured_at_launch         ? "configuredAtLaunch"
                                                             : NULL;
        if (kind) {
            return refused(err, "Volume '" GT_STR_FMT "': '%s' is not supported.",
                           GT_STR_ARG(v->name), kind);
        }
        if (v->host && v->host->source_path.n &&
            (v->host->source_path.p[0] != '/' || has_dot_dot(v->host->source_path))) {
            return refused(err,
                           "Volume '" GT_STR_FMT
                           "': 'host.sourcePath' must be absolute and without '..'.",
                           GT_STR_ARG(v->name));
        }
    }
    return 0;
}

int taskdef_check_relations(struct tx *tx, const struct ecs_register_task_definition_in *in,
                            struct gt_err *err)
{
    int r = check_names(in, err);
    r = r ? r : check_dependencies(tx, in, err);
    r = r ? r : check_ports(in, err);
    r = r ? r : check_volumes(in, err);
    return r ? r : check_mounts(in, err);
}
