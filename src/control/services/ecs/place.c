/* What tasks hold on their node. */
#include "control/services/ecs/place.h"

#include "control/services/ecs/names.h"
#include "lib/base/mem.h"
#include "lib/wire/gen/ecs.h"

enum { ADDRESSES = 256 };

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

size_t place_addresses(const struct rec_ecs_load *l)
{
    size_t n = 0;
    for (size_t i = 0; l->addresses.n == ADDRESSES / 8 && i < ADDRESSES / 8; i++) {
        n += (size_t)__builtin_popcount((unsigned char)l->addresses.p[i]);
    }
    return n;
}

/* The next one after the last that was given out, so that an address rests before it comes back. */
static int take_address(struct tx *tx, struct rec_ecs_load *l)
{
    int from = l->next_address >= PLACE_FIRST_ADDRESS ? (int)l->next_address : PLACE_FIRST_ADDRESS;
    for (int k = 0; k <= PLACE_LAST_ADDRESS - PLACE_FIRST_ADDRESS; k++) {
        int i = PLACE_FIRST_ADDRESS +
                (from - PLACE_FIRST_ADDRESS + k) % (PLACE_LAST_ADDRESS - PLACE_FIRST_ADDRESS + 1);
        if (!bit(l, i)) {
            set_bit(tx, l, i, true);
            l->next_address = i == PLACE_LAST_ADDRESS ? PLACE_FIRST_ADDRESS : i + 1;
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

void place_reserve(struct tx *tx, struct rec_ecs_task *t)
{
    char *key = key_load(tx, t->cluster, t->node);
    struct rec_ecs_load *l = tx_get(tx, key, &rec_ecs_load_desc);
    l = l ? l : gt_arena_new(tx_arena(tx), struct rec_ecs_load);
    l->cpu += t->reserved_cpu;
    l->memory += t->reserved_memory;
    l->pending++;
    add_ports(tx, &l->ports, t->reserved_ports.v, t->reserved_ports.n);
    if (gt_str_is(t->network_mode, ECS_NETWORK_MODE_AWSVPC)) {
        const struct rec_ecs_node *n =
            tx_get(tx, key_node(tx, t->cluster, t->node), &rec_ecs_node_desc);
        int i = take_address(tx, l);
        GT_ASSERT(n && i >= 0);
        t->address =
            gt_str(gt_arena_printf(tx_arena(tx), GT_STR_FMT ".%d", GT_STR_ARG(n->subnet), i));
    }
    tx_put(tx, key, &rec_ecs_load_desc, l);
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
    if (dot && i >= PLACE_FIRST_ADDRESS && i <= PLACE_LAST_ADDRESS) {
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
