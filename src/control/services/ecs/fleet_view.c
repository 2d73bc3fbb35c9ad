/*
 * The view behind place_fleet(): a fleet for each cluster of each account and region, made of its
 * nodes, their loads and the marks of tasks in groups. See names.h for the keys.
 */
#include "control/core/view.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/place.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"
#include "store/record/record.h"

struct fleets {
    struct gt_table by_cluster; /* "<account>/<region>/<cluster>" -> struct fleet */
    struct gt_arena arena;      /* of the record at hand */
};

static void *open_fleets(void)
{
    struct fleets *all = gt_new(struct fleets);
    gt_table_init(&all->by_cluster);
    gt_arena_init(&all->arena, GT_LIMIT_API_ARENA);
    return all;
}

static void close_fleets(void *data)
{
    struct fleets *all = data;
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&all->by_cluster, &it));) {
        fleet_free(e->value);
    }
    gt_table_fini(&all->by_cluster);
    gt_arena_fini(&all->arena);
    free(all);
}

static struct gt_str join(struct gt_str place, struct gt_str cluster, char *to, size_t room)
{
    const struct gt_str parts[] = {place, cluster};
    struct gt_str key = gt_str_concat(parts, GT_ARRAY_LEN(parts), to, room);
    GT_ASSERT(key.p); /* both are parts of a key */
    return key;
}

/* place: "<account>/<region>/". */
static struct fleet *find(struct fleets *all, struct gt_str place, struct gt_str cluster)
{
    char text[GT_LIMIT_KEY];
    struct gt_str key = join(place, cluster, text, sizeof text);
    struct fleet *f = gt_table_get(&all->by_cluster, key);
    if (!f) {
        f = fleet_new();
        gt_table_put(&all->by_cluster, key, f);
    }
    return f;
}

static void drop_if_empty(struct fleets *all, struct gt_str place, struct gt_str cluster)
{
    char text[GT_LIMIT_KEY];
    struct fleet *f = find(all, place, cluster);
    if (fleet_is_empty(f)) {
        gt_table_del(&all->by_cluster, join(place, cluster, text, sizeof text));
        fleet_free(f);
    }
}

/* NULL: there is none. */
static void *decode(struct fleets *all, const struct rec_desc *desc, struct gt_str value)
{
    void *rec = NULL;
    int r = value.p ? rec_decode(desc, value, &all->arena, &rec, NULL) : 0;
    GT_ASSERT(r == 0); /* as in tx_get() */
    return rec;
}

static void take_node(struct fleets *all, struct fleet *f, struct gt_str id, struct gt_str value)
{
    const struct rec_ecs_node *n = decode(all, &rec_ecs_node_desc, value);
    if (!n) {
        fleet_put_member(f, id, NULL);
        return;
    }
    struct query_attr *attrs = gt_arena_array(&all->arena, struct query_attr, n->attributes.n + 1);
    for (size_t i = 0; i < n->attributes.n; i++) {
        attrs[i] = (struct query_attr){n->attributes.v[i].key, n->attributes.v[i].value};
    }
    fleet_put_member(f, id,
                     &(struct fleet_member){
                         .active = gt_str_is(n->status, "ACTIVE"),
                         .external = n->external,
                         .connected = !n->lost && !n->astray,
                         .cpu = n->cpu,
                         .memory = n->memory,
                         .addresses = PLACE_LAST_ADDRESS - PLACE_FIRST_ADDRESS + 1,
                         .ports = n->ports.v,
                         .n_ports = n->ports.n,
                         .attrs = attrs,
                         .n_attrs = n->attributes.n,
                         .registered_at = n->registered_at,
                         .agent_version = n->agent_version,
                     });
}

static void take_load(struct fleets *all, struct fleet *f, struct gt_str id, struct gt_str value)
{
    const struct rec_ecs_load *l = decode(all, &rec_ecs_load_desc, value);
    if (!l) {
        fleet_put_load(f, id, NULL);
        return;
    }
    fleet_put_load(f, id,
                   &(struct fleet_load){
                       .cpu = l->cpu,
                       .memory = l->memory,
                       .addresses = place_addresses(l),
                       .ports = l->ports.v,
                       .n_ports = l->ports.n,
                       .running = l->running,
                   });
}

/* Up to the next '/', which is skipped; the rest when there is none. */
static struct gt_str take_part(const char **at)
{
    const char *from = *at;
    size_t n = strcspn(from, "/");
    *at = from + n + (from[n] == '/');
    return gt_str_n(from, n);
}

static void change(void *data, const char *key, struct gt_str before, struct gt_str after)
{
    struct fleets *all = data;
    const char *at = key_rest(key);
    struct gt_str place = gt_str_n(key, (size_t)(at - key));
    take_part(&at); /* "ecs" */
    struct gt_str kind = take_part(&at), cluster = take_part(&at);
    struct fleet *f = find(all, place, cluster);
    if (gt_str_is(kind, "node")) {
        take_node(all, f, gt_str(at), after);
    } else if (gt_str_is(kind, "load")) {
        take_load(all, f, gt_str(at), after);
    } else if (!before.p != !after.p) {
        struct gt_str group = name_unescape(&all->arena, take_part(&at));
        fleet_count_tasks(f, take_part(&at), group, after.p ? 1 : -1);
    }
    if (!after.p) {
        drop_if_empty(all, place, cluster);
    }
    gt_arena_reset(&all->arena);
}

struct fleet *place_fleet(struct tx *tx, struct gt_str cluster)
{
    static const char *const under[] = {"ecs/node/", "ecs/load/", "ecs/group/", NULL};
    static const struct core_view view = {under, open_fleets, change, close_fleets};
    return find(tx_view(tx, &view), gt_str(tx_key(tx, "%s", "")), cluster);
}
