/* The nodes of a cluster as placement sees them, and what is reserved on them. */
#include "control/services/ecs/names.h"
#include "control/services/ecs/task_priv.h"
#include "lib/base/mem.h"

/* Of a node's /24: .1 is the gateway, .2 gantry-link, .3 kept, as in a subnet of AWS (net.h). */
enum { ADDRESSES = 256, FIRST_ADDRESS = 4, LAST_ADDRESS = 254 };

static bool bit(const struct rec_ecs_load *l, int i)
{
    return l->addresses.n == ADDRESSES / 8 && ((unsigned char)l->addresses.p[i / 8] >> (i % 8) & 1);
}

static void set_bit(struct tx *tx, struct rec_ecs_load *l, int i, bool on)
{
    char *bits = gt_arena_alloc(tx_arena(tx), ADDRESSES / 8);
    if (l->addresses.n == ADDRESSES / 8) {
        memcpy(bits, l->addresses.p, ADDRESSES / 8);
    }
    unsigned char m = (unsigned char)(1 << (i % 8));
    bits[i / 8] = (char)(on ? bits[i / 8] | m : bits[i / 8] & ~m);
    l->addresses = gt_str_n(bits, ADDRESSES / 8);
}

static size_t addresses_free(const struct rec_ecs_load *l)
{
    size_t n = 0;
    for (int i = FIRST_ADDRESS; i <= LAST_ADDRESS; i++) {
        n += !bit(l, i);
    }
    return n;
}

/* The next one after the last that was given out, so that an address rests before it comes back. */
static int take_address(struct tx *tx, struct rec_ecs_load *l)
{
    int from = l->next_address >= FIRST_ADDRESS ? (int)l->next_address : FIRST_ADDRESS;
    for (int k = 0; k <= LAST_ADDRESS - FIRST_ADDRESS; k++) {
        int i = FIRST_ADDRESS + (from - FIRST_ADDRESS + k) % (LAST_ADDRESS - FIRST_ADDRESS + 1);
        if (!bit(l, i)) {
            set_bit(tx, l, i, true);
            l->next_address = i == LAST_ADDRESS ? FIRST_ADDRESS : i + 1;
            return i;
        }
    }
    return -1;
}

static void add_ports(struct tx *tx, struct rec_i64_list *to, const int64_t *ports, size_t n)
{
    int64_t *v = gt_arena_array(tx_arena(tx), int64_t, to->n + n + 1);
    if (to->n) {
        memcpy(v, to->v, to->n * sizeof(*v));
    }
    if (n) {
        memcpy(v + to->n, ports, n * sizeof(*v));
    }
    to->v = v;
    to->n += n;
}

static void drop_ports(struct rec_i64_list *from, const struct rec_i64_list *ports)
{
    for (size_t k = 0; k < ports->n; k++) {
        for (size_t i = 0; i < from->n; i++) {
            if (from->v[i] == ports->v[k]) {
                from->v[i] = from->v[--from->n];
                break;
            }
        }
    }
}

static void count_group(struct query_subject *s, struct query_group *groups, struct gt_str name)
{
    size_t i = 0;
    while (i < s->n_groups && !gt_str_eq(groups[i].name, name)) {
        i++;
    }
    groups[i].name = name;
    groups[i].tasks++;
    s->n_groups = GT_MAX(s->n_groups, i + 1);
}

static void find_groups(struct tx *tx, const struct rec_ecs_node *n, struct query_subject *s)
{
    char *prefix = key_assign(tx, n->id, gt_str(""));
    struct query_group *groups =
        gt_arena_array(tx_arena(tx), struct query_group, tx_count(tx, prefix) + 1);
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; (key = tx_next(&c));) {
        const struct rec_ecs_task *t = task_get(tx, n->cluster, key_tail(key));
        if (t && t->last_status != TASK_STOPPED) {
            count_group(s, groups, t->group);
        }
    }
    s->groups = groups;
}

struct query_subject place_subject(struct tx *tx, const struct rec_ecs_node *n,
                                   const struct rec_ecs_load *l, bool with_tasks)
{
    struct query_attr *attrs = gt_arena_array(tx_arena(tx), struct query_attr, n->attributes.n + 1);
    for (size_t k = 0; k < n->attributes.n; k++) {
        attrs[k] =
            (struct query_attr){.name = n->attributes.v[k].key, .value = n->attributes.v[k].value};
    }
    struct query_subject s = {
        .attrs = attrs,
        .n_attrs = n->attributes.n,
        .connected = !n->lost,
        .running_tasks = l->running,
        .registered_at = n->registered_at,
        .agent_version = n->agent_version,
    };
    if (with_tasks) {
        find_groups(tx, n, &s);
    }
    return s;
}

/* A task's own entry counts from the reservation on the node; the node's own ports come first. */
static void show_node(struct tx *tx, struct place *p, size_t i)
{
    struct rec_ecs_node *n = p->recs[i];
    struct rec_ecs_load *l = p->loads[i];
    struct rec_i64_list ports = n->ports;
    add_ports(tx, &ports, l->ports.v, l->ports.n);
    p->nodes[i] = (struct sched_node){
        .is = place_subject(tx, n, l, p->asks_tasks),
        .active = gt_str_is(n->status, "ACTIVE"),
        .cpu_free = n->cpu - l->cpu,
        .memory_free = n->memory - l->memory,
        .addresses_free = addresses_free(l),
        .ports = ports.v,
        .n_ports = ports.n,
    };
}

struct place *place_open(struct tx *tx, const struct task_ask *ask, const struct sched_request *rq)
{
    struct gt_str cluster = ask->cluster;
    char *prefix = tx_key(tx, "ecs/node/" GT_STR_FMT "/", GT_STR_ARG(cluster));
    size_t cap = tx_count(tx, prefix);
    struct gt_arena *a = tx_arena(tx);
    struct place *p = gt_arena_new(a, struct place);
    p->tx = tx;
    p->cluster = cluster;
    p->nodes = gt_arena_array(a, struct sched_node, cap + 1);
    p->recs = gt_arena_array(a, struct rec_ecs_node *, cap + 1);
    p->loads = gt_arena_array(a, struct rec_ecs_load *, cap + 1);
    p->dirty = gt_arena_array(a, bool, cap + 1);
    p->rng.state = tx_random(tx);
    for (size_t i = 0; i < rq->n_member_of; i++) {
        p->asks_tasks = p->asks_tasks || query_asks_tasks(rq->member_of[i]);
    }
    bool external = gt_str_is(ask->launch_type, ECS_LAUNCH_TYPE_EXTERNAL);
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; p->n < cap && (key = tx_next(&c));) {
        struct rec_ecs_node *n = tx_get(tx, key, &rec_ecs_node_desc);
        if (n->external != external) {
            continue;
        }
        struct rec_ecs_load *l = tx_get(tx, key_load(tx, cluster, n->id), &rec_ecs_load_desc);
        p->recs[p->n] = n;
        p->loads[p->n] = l ? l : gt_arena_new(a, struct rec_ecs_load);
        show_node(tx, p, p->n);
        p->nodes[p->n].group_tasks =
            (int64_t)tx_count(tx, key_group(tx, cluster, ask->group, n->id, gt_str("")));
        p->n++;
    }
    return p;
}

int place_index(const struct place *p, struct gt_str node)
{
    for (size_t i = 0; i < p->n; i++) {
        if (gt_str_eq(p->recs[i]->id, node)) {
            return (int)i;
        }
    }
    return -1;
}

void place_close(struct place *p)
{
    for (size_t i = 0; i < p->n; i++) {
        if (p->dirty[i]) {
            tx_put(p->tx, key_load(p->tx, p->cluster, p->recs[i]->id), &rec_ecs_load_desc,
                   p->loads[i]);
            p->dirty[i] = false;
        }
    }
}

void place_reserve(struct place *p, int at, struct rec_ecs_task *t)
{
    struct rec_ecs_load *l = p->loads[at];
    l->cpu += t->reserved_cpu;
    l->memory += t->reserved_memory;
    l->pending++;
    add_ports(p->tx, &l->ports, t->reserved_ports.v, t->reserved_ports.n);
    if (gt_str_is(t->network_mode, ECS_NETWORK_MODE_AWSVPC)) {
        int i = take_address(p->tx, l);
        GT_ASSERT(i >= 0);
        t->address = gt_str(
            gt_arena_printf(tx_arena(p->tx), GT_STR_FMT ".%d", GT_STR_ARG(p->recs[at]->subnet), i));
    }
    int64_t group_tasks = p->nodes[at].group_tasks + 1;
    show_node(p->tx, p, (size_t)at);
    p->nodes[at].group_tasks = group_tasks;
    p->dirty[at] = true;
}

void place_release(struct tx *tx, const struct rec_ecs_task *t)
{
    char *key = key_load(tx, t->cluster, t->node);
    struct rec_ecs_load *l = tx_get(tx, key, &rec_ecs_load_desc);
    if (!l) {
        return;
    }
    l->cpu -= t->reserved_cpu;
    l->memory -= t->reserved_memory;
    drop_ports(&l->ports, &t->reserved_ports);
    const char *dot = t->address.n ? memrchr(t->address.p, '.', t->address.n) : NULL;
    int i = 0;
    for (const char *d = dot ? dot + 1 : NULL; d && d < t->address.p + t->address.n; d++) {
        i = i * 10 + (*d - '0');
    }
    if (dot && i >= FIRST_ADDRESS && i <= LAST_ADDRESS) {
        set_bit(tx, l, i, false);
    }
    tx_put(tx, key, &rec_ecs_load_desc, l);
}

void place_count(struct tx *tx, const struct rec_ecs_task *t, int running, int pending)
{
    char *key = key_load(tx, t->cluster, t->node);
    struct rec_ecs_load *l = tx_get(tx, key, &rec_ecs_load_desc);
    if (l && (running || pending)) {
        l->running += running;
        l->pending += pending;
        tx_put(tx, key, &rec_ecs_load_desc, l);
    }
}
