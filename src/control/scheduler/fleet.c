/* The nodes of a fleet. What changes on a node is put into the log, which rankings read. */
#include "control/scheduler/fleet_priv.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

enum { LOG_MIN = 256 };

struct fleet *fleet_new(void)
{
    struct fleet *f = gt_new(struct fleet);
    gt_table_init(&f->by_id);
    gt_table_init(&f->groups);
    gt_table_init(&f->rankings);
    gt_list_init(&f->by_use);
    f->key = GT_BUF_INIT(GT_MIB);
    f->log_cap = LOG_MIN;
    f->log = gt_new_array(uint32_t, LOG_MIN);
    return f;
}

static struct gt_str copy(struct gt_str s)
{
    char *p = gt_malloc(s.n + 1);
    if (s.n) {
        memcpy(p, s.p, s.n);
    }
    return gt_str_n(p, s.n);
}

static void node_free(struct fleet *f, struct fleet_node *n)
{
    for (size_t i = 0; i < n->n_groups; i++) {
        fleet_group_unref(f, gt_table_get(&f->groups, n->groups[i].name));
    }
    free((char *)n->node.id.p);
    free(n->texts);
    free(n->ports);
    free(n->groups);
    free(n);
}

void fleet_free(struct fleet *f)
{
    if (!f) {
        return;
    }
    rankings_free(f);
    for (size_t i = 0; i < f->n_nodes; i++) {
        if (f->nodes[i]) {
            node_free(f, f->nodes[i]);
        }
    }
    gt_table_fini(&f->by_id);
    gt_table_fini(&f->groups);
    gt_table_fini(&f->rankings);
    gt_buf_fini(&f->key);
    free(f->nodes);
    free(f->order);
    free(f->log);
    free(f);
}

struct fleet_group *fleet_group_ref(struct fleet *f, struct gt_str name)
{
    struct fleet_group *g = gt_table_get(&f->groups, name);
    if (!g) {
        g = gt_new(struct fleet_group);
        g->name = copy(name);
        gt_list_init(&g->rankings);
        gt_table_put(&f->groups, g->name, g);
    }
    g->refs++;
    return g;
}

void fleet_group_unref(struct fleet *f, struct fleet_group *g)
{
    if (--g->refs == 0) {
        gt_table_del(&f->groups, g->name);
        free((char *)g->name.p);
        free(g);
    }
}

/* Where a group is among a node's groups, or would be. */
static size_t group_find(const struct fleet_node *n, const struct fleet_group *g)
{
    size_t lo = 0, hi = n->n_groups;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if ((uintptr_t)n->groups[mid].name.p < (uintptr_t)g->name.p) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool group_is(const struct fleet_node *n, size_t i, const struct fleet_group *g)
{
    return i < n->n_groups && n->groups[i].name.p == g->name.p;
}

int64_t fleet_group_tasks(const struct fleet_node *n, const struct fleet_group *g)
{
    size_t i = group_find(n, g);
    return group_is(n, i, g) ? n->groups[i].tasks : 0;
}

/* Where a node is in f->order, or would be. */
static size_t order_find(const struct fleet *f, struct gt_str id)
{
    size_t lo = 0, hi = f->n_order;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (gt_str_cmp(f->nodes[f->order[mid]]->node.id, id) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static void order_insert(struct fleet *f, uint32_t index)
{
    if (f->n_order == f->order_cap) {
        f->order_cap = f->order_cap ? 2 * f->order_cap : 16;
        f->order = gt_realloc(f->order, f->order_cap * sizeof *f->order);
    }
    size_t at = order_find(f, f->nodes[index]->node.id);
    memmove(f->order + at + 1, f->order + at, (f->n_order - at) * sizeof *f->order);
    f->order[at] = index;
    f->n_order++;
}

static void order_remove(struct fleet *f, uint32_t index)
{
    size_t at = order_find(f, f->nodes[index]->node.id);
    f->n_order--;
    memmove(f->order + at, f->order + at + 1, (f->n_order - at) * sizeof *f->order);
}

static void touch(struct fleet *f, uint32_t index)
{
    size_t mask = f->log_cap - 1;
    if (f->logged > f->synced && f->log[(f->logged - 1) & mask] == index) {
        return; /* it is the last that changed, and nobody has seen that yet */
    }
    f->log[f->logged++ & mask] = index;
}

/* Rankings that are behind by more than the ring has look at every node. */
static void grow_log(struct fleet *f)
{
    if (f->n_nodes > f->log_cap) {
        f->log_cap *= 2;
        f->log = gt_realloc(f->log, f->log_cap * sizeof *f->log);
        f->shape++; /* what is in it is at other places now */
    }
}

static uint32_t free_index(struct fleet *f)
{
    for (size_t i = f->n_nodes; f->by_id.count < f->n_nodes && i > 0; i--) {
        if (!f->nodes[i - 1]) {
            return (uint32_t)(i - 1);
        }
    }
    if (f->n_nodes == f->nodes_cap) {
        f->nodes_cap = f->nodes_cap ? 2 * f->nodes_cap : 16;
        f->nodes = gt_realloc(f->nodes, f->nodes_cap * sizeof(void *));
    }
    f->nodes[f->n_nodes] = NULL;
    return (uint32_t)f->n_nodes++;
}

static uint32_t find(const struct fleet *f, struct gt_str id)
{
    return (uint32_t)(uintptr_t)gt_table_get(&f->by_id, id); /* index + 1; 0: none */
}

static uint32_t find_or_add(struct fleet *f, struct gt_str id)
{
    uint32_t at = find(f, id);
    if (at) {
        return at - 1;
    }
    uint32_t index = free_index(f);
    struct fleet_node *n = gt_new(struct fleet_node);
    n->node.id = copy(id);
    f->nodes[index] = n;
    gt_table_put(&f->by_id, id, (void *)(uintptr_t)(index + 1));
    grow_log(f);
    return index;
}

static void drop_if_empty(struct fleet *f, uint32_t index)
{
    struct fleet_node *n = f->nodes[index];
    if (!n->listed && !n->loaded && !n->n_groups) {
        gt_table_del(&f->by_id, n->node.id);
        node_free(f, n);
        f->nodes[index] = NULL;
    }
}

/* What is free, from what there is and what is reserved. */
static void settle(struct fleet_node *n)
{
    const struct fleet_member *m = &n->member;
    const struct fleet_load *l = &n->load;
    struct sched_node *s = &n->node;
    s->active = m->active;
    s->external = m->external;
    s->cpu_free = m->cpu - l->cpu;
    s->memory_free = m->memory - l->memory;
    s->addresses_free = m->addresses > l->addresses ? m->addresses - l->addresses : 0;
    s->ports = n->ports;
    s->n_ports = m->n_ports + l->n_ports;
    s->is.attrs = m->attrs;
    s->is.n_attrs = m->n_attrs;
    s->is.connected = m->connected;
    s->is.registered_at = m->registered_at;
    s->is.agent_version = m->agent_version;
    s->is.ec2_instance_id = m->ec2_instance_id;
    s->is.running_tasks = l->running;
}

static void put_ports(struct fleet_node *n, const int64_t *own, size_t n_own, const int64_t *load,
                      size_t n_load)
{
    int64_t *ports = gt_new_array(int64_t, n_own + n_load + 1);
    if (n_own) {
        memcpy(ports, own, n_own * sizeof *ports);
    }
    if (n_load) {
        memcpy(ports + n_own, load, n_load * sizeof *ports);
    }
    free(n->ports);
    n->ports = ports;
    n->member.n_ports = n_own;
    n->load.n_ports = n_load;
}

static struct gt_str take_text(char **at, struct gt_str s)
{
    struct gt_str copy = gt_str_n(*at, s.n);
    if (s.n) {
        memcpy(*at, s.p, s.n);
    }
    *at += s.n;
    return copy;
}

/* The member's attributes and texts, copied into one piece. */
static void take_member(struct fleet_node *n, const struct fleet_member *m)
{
    size_t size =
        m->n_attrs * sizeof(struct query_attr) + m->agent_version.n + m->ec2_instance_id.n;
    for (size_t i = 0; i < m->n_attrs; i++) {
        size += m->attrs[i].name.n + m->attrs[i].value.n;
    }
    struct query_attr *attrs = gt_malloc(size + 1);
    char *at = (char *)(attrs + m->n_attrs);
    for (size_t i = 0; i < m->n_attrs; i++) {
        attrs[i].name = take_text(&at, m->attrs[i].name);
        attrs[i].value = take_text(&at, m->attrs[i].value);
    }
    struct fleet_member copy = *m;
    copy.attrs = attrs;
    copy.agent_version = take_text(&at, m->agent_version);
    copy.ec2_instance_id = take_text(&at, m->ec2_instance_id);
    put_ports(n, m->ports, m->n_ports, n->ports ? n->ports + n->member.n_ports : NULL,
              n->load.n_ports);
    copy.ports = NULL;
    free(n->texts);
    n->texts = attrs;
    n->member = copy;
}

/* Whether rankings have it at another place. */
static bool moves(const struct fleet_node *n, const struct fleet_member *m)
{
    const struct fleet_member *old = &n->member;
    if (!n->listed || old->external != m->external || old->n_attrs != m->n_attrs) {
        return true;
    }
    for (size_t i = 0; i < m->n_attrs; i++) {
        if (!gt_str_eq(old->attrs[i].name, m->attrs[i].name) ||
            !gt_str_eq(old->attrs[i].value, m->attrs[i].value)) {
            return true;
        }
    }
    return false;
}

static void drop_member(struct fleet *f, uint32_t index)
{
    struct fleet_node *n = f->nodes[index];
    if (n->listed) {
        order_remove(f, index);
        n->listed = false;
        f->shape++;
        take_member(n, &(struct fleet_member){0});
        settle(n);
    }
    drop_if_empty(f, index);
}

void fleet_put_member(struct fleet *f, struct gt_str id, const struct fleet_member *m)
{
    if (!m) {
        uint32_t at = find(f, id);
        if (at) {
            drop_member(f, at - 1);
        }
        return;
    }
    uint32_t index = find_or_add(f, id);
    struct fleet_node *n = f->nodes[index];
    f->shape += moves(n, m);
    take_member(n, m);
    settle(n);
    n->version = ++f->versions;
    if (!n->listed) {
        n->listed = true;
        order_insert(f, index);
    }
    touch(f, index);
}

void fleet_put_load(struct fleet *f, struct gt_str id, const struct fleet_load *l)
{
    static const struct fleet_load none;
    if (!l && !find(f, id)) {
        return;
    }
    uint32_t index = find_or_add(f, id);
    struct fleet_node *n = f->nodes[index];
    const struct fleet_load *new = l ? l : &none;
    size_t own = n->member.n_ports;
    if (new->n_ports || n->load.n_ports) {
        int64_t *old = gt_steal_ptr(n->ports);
        put_ports(n, old, own, new->ports, new->n_ports);
        free(old);
    }
    n->load = *new;
    n->load.ports = NULL;
    n->loaded = l != NULL;
    settle(n);
    touch(f, index);
    drop_if_empty(f, index);
}

static void add_group(struct fleet_node *n, size_t at, struct fleet_group *g)
{
    if (n->n_groups == n->groups_cap) {
        n->groups_cap = n->groups_cap ? 2 * n->groups_cap : 4;
        n->groups = gt_realloc(n->groups, n->groups_cap * sizeof *n->groups);
    }
    memmove(n->groups + at + 1, n->groups + at, (n->n_groups - at) * sizeof *n->groups);
    n->groups[at] = (struct query_group){.name = g->name};
    n->n_groups++;
    g->refs++;
}

static void count_group(struct fleet *f, struct fleet_node *n, struct fleet_group *g, int by)
{
    size_t i = group_find(n, g);
    if (!group_is(n, i, g)) {
        add_group(n, i, g);
    }
    n->groups[i].tasks += by;
    GT_ASSERT(n->groups[i].tasks >= 0);
    if (n->groups[i].tasks == 0) {
        n->n_groups--;
        memmove(n->groups + i, n->groups + i + 1, (n->n_groups - i) * sizeof *n->groups);
        fleet_group_unref(f, g);
    }
    n->node.is.groups = n->groups;
    n->node.is.n_groups = n->n_groups;
}

void fleet_count_tasks(struct fleet *f, struct gt_str id, struct gt_str group, int by)
{
    uint32_t index = find_or_add(f, id);
    struct fleet_group *g = fleet_group_ref(f, group);
    count_group(f, f->nodes[index], g, by);
    rankings_count(f, g, index, by);
    fleet_group_unref(f, g);
    touch(f, index);
    drop_if_empty(f, index);
}

bool fleet_is_empty(const struct fleet *f)
{
    return f->by_id.count == 0;
}

size_t fleet_size(const struct fleet *f)
{
    return f->n_order;
}

const struct sched_node *fleet_at(const struct fleet *f, size_t i)
{
    return &f->nodes[f->order[i]]->node;
}

const struct sched_node *fleet_find(const struct fleet *f, struct gt_str id)
{
    uint32_t at = find(f, id);
    return at && f->nodes[at - 1]->listed ? &f->nodes[at - 1]->node : NULL;
}

const struct sched_node *fleet_place(struct fleet *f, const struct sched_request *rq,
                                     struct gt_prng *rng)
{
    int64_t at = ranking_pick(ranking_of(f, rq), rng);
    return at < 0 ? NULL : &f->nodes[at]->node;
}

const struct sched_node *fleet_closest(struct fleet *f, const struct sched_request *rq,
                                       enum sched_refusal *ret)
{
    int64_t at = ranking_closest(f, ranking_of(f, rq), ret);
    return at < 0 ? NULL : &f->nodes[at]->node;
}
