#include "control/simulate/machines.h"

#include "lib/base/mem.h"

static int by_text(const void *a, const void *b)
{
    return gt_str_cmp(*(const struct gt_str *)a, *(const struct gt_str *)b);
}

static unsigned zone_index(const struct machines *f, struct gt_str zone)
{
    const struct gt_str *found = bsearch(&zone, f->zones, f->n_zones, sizeof *f->zones, by_text);
    GT_ASSERT(found);
    return (unsigned)(found - f->zones);
}

/* Each once, sorted. */
static void list_zones(struct machines *f, const struct scenario *s, struct gt_arena *a)
{
    size_t room = 0;
    for (size_t k = 0; k < s->n_nodes; k++) {
        room += GT_MAX(s->nodes[k].zones.n, (size_t)1);
    }
    f->zones = gt_arena_array(a, struct gt_str, room);
    for (size_t k = 0; k < s->n_nodes; k++) {
        const struct node_group *g = &s->nodes[k];
        size_t n = GT_MIN(GT_MAX(g->zones.n, (size_t)1), (size_t)g->count);
        for (size_t i = 0; i < n; i++) {
            f->zones[f->n_zones++] = node_group_zone(g, (int64_t)i);
        }
    }
    qsort(f->zones, f->n_zones, sizeof *f->zones, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < f->n_zones; i++) {
        if (i == 0 || !gt_str_eq(f->zones[i], f->zones[kept - 1])) {
            f->zones[kept++] = f->zones[i];
        }
    }
    f->n_zones = kept;
}

void machines_init(struct machines *f, const struct scenario *s, struct gt_arena *a)
{
    *f = (struct machines){0};
    gt_table_init(&f->by_name);
    list_zones(f, s, a);
    for (size_t k = 0; k < s->n_nodes; k++) {
        f->n_nodes += (size_t)s->nodes[k].count;
    }
    f->nodes = gt_arena_array(a, struct machine, f->n_nodes);
    struct machine *n = f->nodes;
    for (size_t k = 0; k < s->n_nodes; k++) {
        for (int64_t i = 0; i < s->nodes[k].count; i++, n++) {
            char name[SCENARIO_NAME_MAX];
            node_group_name(&s->nodes[k], i, name);
            *n = (struct machine){.group = &s->nodes[k],
                                  .number = i,
                                  .zone = zone_index(f, node_group_zone(&s->nodes[k], i)),
                                  .name = gt_arena_strdup(a, name)};
            gt_table_put(&f->by_name, gt_str(n->name), n);
        }
    }
}

void machines_fini(struct machines *f)
{
    gt_table_fini(&f->by_name);
}

int machines_find(const struct machines *f, struct gt_str name)
{
    const struct machine *n = gt_table_get(&f->by_name, name);
    return n ? (int)(n - f->nodes) : -1;
}
