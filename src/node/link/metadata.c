#include "node/link/metadata.h"

#include "lib/base/clock.h"

#include <inttypes.h>

/* The length of the UTF-8 sequence at p, or 0 when there is no valid one. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                 : p[0] >= 0xe0 && p[0] <= 0xef ? 3
                 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                : 0;
    if (len == 0 || len > n) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return overlong || outside ? 0 : len;
}

void meta_json_string(struct gt_str s, struct gt_buf *to)
{
    gt_buf_putc(to, '"');
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i];
        size_t len = utf8_len((const unsigned char *)s.p + i, s.n - i);
        if (len == 0) {
            gt_buf_puts(to, "\\ufffd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            gt_buf_putc(to, '\\');
            gt_buf_putc(to, (char)c);
        } else if (c < 0x20) {
            gt_buf_printf(to, "\\u%04x", c);
        } else {
            gt_buf_add(to, s.p + i, len);
        }
        i += len;
    }
    gt_buf_putc(to, '"');
}

/* An object that is being written: knows whether the next member needs a comma. */
struct object {
    struct gt_buf *to;
    bool some;
};

static void key(struct object *o, const char *name)
{
    if (o->some) {
        gt_buf_putc(o->to, ',');
    }
    o->some = true;
    gt_buf_printf(o->to, "\"%s\":", name);
}

static void text(struct object *o, const char *name, struct gt_str value)
{
    key(o, name);
    meta_json_string(value, o->to);
}

static void text_opt(struct object *o, const char *name, struct gt_str value)
{
    if (value.n > 0) {
        text(o, name, value);
    }
}

static void number(struct object *o, const char *name, int64_t value)
{
    key(o, name);
    gt_buf_printf(o->to, "%" PRId64, value);
}

static void time_opt(struct object *o, const char *name, int64_t ms)
{
    if (ms > 0) {
        char when[25];
        gt_time_rfc3339(ms, when);
        text(o, name, gt_str(when));
    }
}

static struct object object_begin(struct gt_buf *to)
{
    gt_buf_putc(to, '{');
    return (struct object){.to = to};
}

static void object_end(struct object *o)
{
    gt_buf_putc(o->to, '}');
}

static void pairs(struct object *o, const struct meta_pair *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (o->some) {
            gt_buf_putc(o->to, ',');
        }
        o->some = true;
        meta_json_string(p[i].key, o->to);
        gt_buf_putc(o->to, ':');
        meta_json_string(p[i].value, o->to);
    }
}

static void pairs_opt(struct object *o, const char *name, const struct meta_pair *p, size_t n)
{
    if (n > 0) {
        key(o, name);
        struct object inner = object_begin(o->to);
        pairs(&inner, p, n);
        object_end(&inner);
    }
}

static void write_ports(struct object *o, const struct meta_container *c)
{
    if (c->n_ports == 0) {
        return;
    }
    key(o, "Ports");
    for (size_t i = 0; i < c->n_ports; i++) {
        gt_buf_putc(o->to, i ? ',' : '[');
        const struct meta_port *p = &c->ports[i];
        struct object port = object_begin(o->to);
        number(&port, "ContainerPort", p->container_port);
        text(&port, "Protocol", gt_str(p->protocol));
        if (p->host_port) {
            number(&port, "HostPort", p->host_port);
        }
        if (p->host_ip) {
            text(&port, "HostIp", gt_str(p->host_ip));
        }
        object_end(&port);
    }
    gt_buf_putc(o->to, ']');
}

static void write_labels(struct object *o, const struct meta_task *t,
                         const struct meta_container *c)
{
    const struct meta_pair own[] = {
        {GT_STR_LIT("com.amazonaws.ecs.cluster"), t->cluster},
        {GT_STR_LIT("com.amazonaws.ecs.container-name"), c->name},
        {GT_STR_LIT("com.amazonaws.ecs.task-arn"), t->arn},
        {GT_STR_LIT("com.amazonaws.ecs.task-definition-family"), t->family},
        {GT_STR_LIT("com.amazonaws.ecs.task-definition-version"), t->revision},
    };
    key(o, "Labels");
    struct object labels = object_begin(o->to);
    pairs(&labels, own, sizeof own / sizeof own[0]);
    pairs(&labels, c->labels, c->n_labels);
    object_end(&labels);
}

static void one_text_list(struct object *o, const char *name, struct gt_str value)
{
    if (value.n > 0) {
        key(o, name);
        gt_buf_putc(o->to, '[');
        meta_json_string(value, o->to);
        gt_buf_putc(o->to, ']');
    }
}

static void write_networks(struct object *o, const struct meta_network *n, enum meta_version v)
{
    if (!n->mode) {
        return;
    }
    key(o, "Networks");
    gt_buf_putc(o->to, '[');
    struct object net = object_begin(o->to);
    text(&net, "NetworkMode", gt_str(n->mode));
    one_text_list(&net, "IPv4Addresses", n->ipv4);
    if (v == META_V4 && n->mac.n > 0) {
        number(&net, "AttachmentIndex", 0);
        text(&net, "MACAddress", n->mac);
        text_opt(&net, "IPv4SubnetCIDRBlock", n->subnet);
        one_text_list(&net, "DomainNameServers", n->dns);
        text_opt(&net, "PrivateDNSName", n->private_dns_name);
        text_opt(&net, "SubnetGatewayIpv4Address", n->gateway);
    }
    object_end(&net);
    gt_buf_putc(o->to, ']');
}

static void write_health(struct object *o, const struct meta_container *c)
{
    if (c->health.n == 0) {
        return;
    }
    key(o, "Health");
    struct object h = object_begin(o->to);
    text(&h, "status", c->health);
    time_opt(&h, "statusSince", c->health_since);
    if (c->health_exit_code) {
        number(&h, "exitCode", c->health_exit_code);
    }
    text_opt(&h, "output", c->health_output);
    object_end(&h);
}

static void write_volumes(struct object *o, const struct meta_container *c)
{
    if (c->n_volumes == 0) {
        return;
    }
    key(o, "Volumes");
    for (size_t i = 0; i < c->n_volumes; i++) {
        gt_buf_putc(o->to, i ? ',' : '[');
        struct object v = object_begin(o->to);
        text_opt(&v, "DockerName", c->volumes[i].docker_name);
        text_opt(&v, "Source", c->volumes[i].source);
        text_opt(&v, "Destination", c->volumes[i].destination);
        object_end(&v);
    }
    gt_buf_putc(o->to, ']');
}

void meta_container_write(const struct meta_task *t, const struct meta_container *c,
                          enum meta_version version, struct gt_buf *to)
{
    struct object o = object_begin(to);
    text(&o, "DockerId", c->runtime_id);
    text(&o, "Name", c->name);
    text(&o, "DockerName", c->docker_name);
    text(&o, "Image", c->image);
    text(&o, "ImageID", c->image_id);
    write_ports(&o, c);
    write_labels(&o, t, c);
    text(&o, "DesiredStatus", c->desired_status);
    text(&o, "KnownStatus", c->known_status);
    if (c->has_exit_code) {
        number(&o, "ExitCode", c->exit_code);
    }
    key(&o, "Limits");
    struct object limits = object_begin(to);
    number(&limits, "CPU", c->cpu);
    if (c->memory > 0) {
        number(&limits, "Memory", c->memory);
    }
    object_end(&limits);
    time_opt(&o, "CreatedAt", c->created_at);
    time_opt(&o, "StartedAt", c->started_at);
    time_opt(&o, "FinishedAt", c->finished_at);
    text(&o, "Type", GT_STR_LIT("NORMAL"));
    write_health(&o, c);
    write_volumes(&o, c);
    text_opt(&o, "LogDriver", c->log_driver);
    pairs_opt(&o, "LogOptions", c->log_options, c->n_log_options);
    text_opt(&o, "ContainerARN", c->arn);
    write_networks(&o, &t->network, version);
    if (version == META_V4 && c->has_restart_count) {
        number(&o, "RestartCount", c->restart_count);
    }
    object_end(&o);
}

static void write_task_limits(struct object *o, const struct meta_task *t)
{
    if (t->cpu <= 0 && t->memory <= 0) {
        return;
    }
    key(o, "Limits");
    struct object limits = object_begin(o->to);
    if (t->cpu > 0) {
        key(&limits, "CPU");
        gt_buf_printf(o->to, "%.4g", t->cpu);
    }
    if (t->memory > 0) {
        number(&limits, "Memory", t->memory);
    }
    object_end(&limits);
}

void meta_task_write(const struct meta_task *t, enum meta_version version, bool with_tags,
                     struct gt_buf *to)
{
    struct object o = object_begin(to);
    text(&o, "Cluster", t->cluster);
    text(&o, "TaskARN", t->arn);
    text(&o, "Family", t->family);
    text(&o, "Revision", t->revision);
    text_opt(&o, "DesiredStatus", t->desired_status);
    text(&o, "KnownStatus", t->known_status);
    write_task_limits(&o, t);
    time_opt(&o, "PullStartedAt", t->pull_started_at);
    time_opt(&o, "PullStoppedAt", t->pull_stopped_at);
    time_opt(&o, "ExecutionStoppedAt", t->execution_stopped_at);
    text_opt(&o, "AvailabilityZone", t->availability_zone);
    if (with_tags) {
        pairs_opt(&o, "TaskTags", t->tags, t->n_tags);
    }
    text_opt(&o, "LaunchType", t->launch_type);
    if (t->n_containers > 0) {
        key(&o, "Containers");
        for (size_t i = 0; i < t->n_containers; i++) {
            gt_buf_putc(to, i ? ',' : '[');
            meta_container_write(t, &t->containers[i], version, to);
        }
        gt_buf_putc(to, ']');
    }
    if (version == META_V4) {
        text_opt(&o, "ServiceName", t->service_name);
        key(&o, "FaultInjectionEnabled");
        gt_buf_puts(to, "false");
    }
    object_end(&o);
}
