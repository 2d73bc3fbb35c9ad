/* The task's metadata as gantry-link serves it. */
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "node/agent/task.h"
#include "node/link/link_state.h"
#include "node/link/metadata.h"

#include <stdio.h>
#include <unistd.h>

static void fill_container(const struct container *c, struct gt_arena *a, struct meta_container *m)
{
    const struct ecs_container_definition *d = c->def;
    *m = (struct meta_container){
        .runtime_id = gt_str(c->runtime_id),
        .name = gt_str(c->name),
        .docker_name =
            gt_str(gt_arena_printf(a, "ecs-" GT_STR_FMT "-%lld-%s", GT_STR_ARG(c->task->in.family),
                                   (long long)c->task->in.revision_number, c->name)),
        .image = d->image,
        .image_id = gt_str(c->image_digest),
        .desired_status = c->task->desired_stop ? GT_STR_LIT("STOPPED") : GT_STR_LIT("RUNNING"),
        .known_status = c->state == CONTAINER_RUNNING   ? GT_STR_LIT("RUNNING")
                        : c->state == CONTAINER_STOPPED ? GT_STR_LIT("STOPPED")
                                                        : GT_STR_LIT("PULLED"),
        .has_exit_code = c->has_exit,
        .exit_code = c->exit_code,
        .cpu = d->cpu,
        .memory = d->memory,
        .created_at = c->created_ms,
        .started_at = c->started_ms,
        .finished_at = c->stopped_ms,
        .health = gt_str(health_name(c->health.state)),
        .health_since = c->health.since_ms,
        .health_exit_code = c->health.last_exit,
        .arn = gt_str(c->arn),
    };
    if (d->log_configuration) {
        m->log_driver = d->log_configuration->log_driver;
    }
    struct meta_port *ports = gt_arena_array(a, struct meta_port, c->n_ports);
    for (size_t i = 0; i < c->n_ports; i++) {
        ports[i] = (struct meta_port){
            .container_port = c->ports[i].container_port,
            .host_port = c->task->network == NETWORK_BRIDGE ? c->ports[i].host_port
                                                            : c->ports[i].container_port,
            .protocol = c->ports[i].proto == NET_UDP ? "udp" : "tcp",
        };
    }
    m->ports = ports;
    m->n_ports = c->n_ports;
}

static const char *mode_name(enum network_mode m)
{
    static const char *const names[] = {"bridge", "awsvpc", "host", "none"};
    return names[m];
}

static void fill_task(const struct task *t, struct gt_arena *a, const struct container *network,
                      struct meta_task *m)
{
    const struct agent_task *in = &t->in;
    struct rt_limits limits;
    task_limits(t, &limits);
    struct meta_container *cs = gt_arena_array(a, struct meta_container, t->n_containers);
    for (size_t i = 0; i < t->n_containers; i++) {
        fill_container(&t->containers[i], a, &cs[i]);
    }
    struct meta_pair *tags = gt_arena_array(a, struct meta_pair, in->tags.n);
    for (size_t i = 0; i < in->tags.n; i++) {
        tags[i] = (struct meta_pair){in->tags.v[i].key, in->tags.v[i].value};
    }
    *m = (struct meta_task){
        .cluster = in->cluster_arn.n ? in->cluster_arn : in->cluster,
        .arn = in->task_arn,
        .family = in->family,
        .revision = gt_str(gt_arena_printf(a, "%lld", (long long)in->revision_number)),
        .desired_status = t->desired_stop ? GT_STR_LIT("STOPPED") : GT_STR_LIT("RUNNING"),
        .known_status = gt_str(task_last_status(t)),
        .availability_zone = in->availability_zone,
        .launch_type = in->launch_type,
        .service_name = in->service_name,
        .cpu = (double)limits.cpu_quota_us / 100000,
        .memory = (int64_t)(limits.memory >> 20),
        .pull_started_at = t->pull_started_ms,
        .pull_stopped_at = t->pull_stopped_ms,
        .execution_stopped_at = t->execution_stopped_ms,
        .tags = tags,
        .n_tags = in->tags.n,
        .network = {.mode = mode_name(t->network),
                    .ipv4 = gt_str(network->net.address),
                    .mac = gt_str(network->net.mac),
                    .subnet = gt_str(network->net.subnet),
                    .dns = gt_str(network->net.dns),
                    .gateway = gt_str(network->net.gateway)},
        .containers = cs,
        .n_containers = t->n_containers,
    };
}

/* The folders of a cgroup with statistics: one of v2, several of v1, both when hybrid. */
static size_t cgroup_folders(const char *path, struct gt_arena *a, struct gt_str *to, size_t max)
{
    static const char *const roots[] = {"memory", "cpuacct", "cpu", "pids", "blkio", "unified", ""};
    size_t n = 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(roots) && n < max; i++) {
        char *dir = gt_arena_printf(a, "/sys/fs/cgroup/%s%s", roots[i], path);
        if (access(dir, F_OK) == 0) {
            to[n++] = gt_str(dir);
        }
    }
    return n;
}

static struct gt_str text_of(struct gt_arena *a, struct gt_buf *b)
{
    struct gt_str s = gt_str_n(gt_arena_str(a, gt_buf_view(b)), b->n);
    gt_buf_reset(b);
    return s;
}

/* One file for each address: in bridge mode every container has its own. */
static int write_for(struct task *t, struct gt_arena *a, const char *id,
                     const struct container *network, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(LINK_STATE_MAX);
    struct meta_task m;
    fill_task(t, a, network, &m);
    struct link_task *l = gt_arena_new(a, struct link_task);
    l->id = gt_str(id);
    l->address = gt_str(network->net.address);
    l->veth = gt_str(network->net.veth);
    meta_task_write(&m, META_V4, /* with_tags= */ false, &b);
    l->json_v4 = text_of(a, &b);
    meta_task_write(&m, META_V4, /* with_tags= */ true, &b);
    l->json_v4_tags = text_of(a, &b);
    meta_task_write(&m, META_V2, /* with_tags= */ false, &b);
    l->json_v2 = text_of(a, &b);
    if (t->keys.id[0]) {
        l->n_credentials = 1;
        l->credentials[0] = (struct link_credentials){gt_str(t->keys.id), gt_str(t->keys.json)};
    }
    l->n_containers = GT_MIN(t->n_containers, (size_t)LINK_MAX_CONTAINERS);
    for (size_t i = 0; i < l->n_containers; i++) {
        const struct container *c = &t->containers[i];
        struct link_container *lc = &l->containers[i];
        lc->endpoint = gt_str(c->endpoint);
        lc->runtime_id = gt_str(c->runtime_id);
        lc->name = gt_str(c->name);
        meta_container_write(&m, &m.containers[i], META_V4, &b);
        lc->json_v4 = text_of(a, &b);
        meta_container_write(&m, &m.containers[i], META_V2, &b);
        lc->json_v2 = text_of(a, &b);
        if (c->state == CONTAINER_RUNNING && c->cgroup[0]) {
            lc->n_cgroups = cgroup_folders(c->cgroup, a, lc->cgroups, LINK_MAX_CGROUPS);
        }
    }
    return link_state_write(t->node->o.run_dir, l, err);
}

void task_write_metadata(struct task *t)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    int r = 0;
    gt_arena_init(&a, 16 * LINK_STATE_MAX);
    if (t->network == NETWORK_BRIDGE) {
        for (size_t i = 0; r == 0 && i < t->n_containers; i++) {
            r = write_for(t, &a, gt_arena_printf(&a, "%s.%zu", t->id, i), &t->containers[i], &err);
        }
    } else if (t->network != NETWORK_NONE) {
        r = write_for(t, &a, t->id, &t->containers[0], &err);
    }
    gt_arena_fini(&a);
    if (r < 0) {
        gt_warn("task %s: metadata: %s", t->id, err.msg);
    }
}

void task_remove_metadata(struct task *t)
{
    link_state_remove(t->node->o.run_dir, t->id, NULL);
    for (size_t i = 0; t->network == NETWORK_BRIDGE && i < t->n_containers; i++) {
        gt_auto_free char *id = gt_asprintf("%s.%zu", t->id, i);
        link_state_remove(t->node->o.run_dir, id, NULL);
    }
}
