/* What is derived from the state and kept beside it (views) is what the state makes now. */
#include "control/services/ecs/place.h"
#include "trial_priv.h"

#include <stdio.h>

static int check_node(struct trial *t, const struct fleet *f, const struct rec_ecs_node *n)
{
    static const struct rec_ecs_load nothing;
    char key[128];
    snprintf(key, sizeof key, SIM_PLACE "ecs/load/default/" GT_STR_FMT, GT_STR_ARG(n->id));
    const struct rec_ecs_load *l = state_get(t, key, &rec_ecs_load_desc);
    l = l ? l : &nothing;
    const struct sched_node *s = fleet_find(f, n->id);
    const size_t addresses = PLACE_LAST_ADDRESS - PLACE_FIRST_ADDRESS + 1;
    bool same = s && s->cpu_free == n->cpu - l->cpu && s->memory_free == n->memory - l->memory &&
                s->addresses_free == addresses - place_addresses(l) &&
                s->n_ports == n->ports.n + l->ports.n &&
                s->is.connected == (!n->lost && !n->astray) &&
                s->active == gt_str_is(n->status, "ACTIVE");
    return same ? 0
                : violation(t, "placement sees what the records say", "node " GT_STR_FMT,
                            GT_STR_ARG(n->id));
}

static int check_fleet(struct tx *tx, void *arg, struct gt_err *err)
{
    struct trial *t = arg;
    const struct fleet *f = place_fleet(tx, GT_STR_LIT("default"));
    const char *prefix = SIM_PLACE "ecs/node/default/", *key = NULL;
    struct gt_str value;
    size_t n = 0;
    while (core_next_key(t->w.core, prefix, key, &key, &value)) {
        const struct rec_ecs_node *rec = state_get(t, key, &rec_ecs_node_desc);
        if (!rec || check_node(t, f, rec) < 0) {
            return 0;
        }
        n++;
    }
    if (fleet_size(f) != n) {
        violation(t, "placement sees what the records say", "%zu nodes, there are %zu",
                  fleet_size(f), n);
    }
    return 0;
}

int derived_check(struct trial *t)
{
    struct core_call c = {.fn = check_fleet,
                          .arg = t,
                          .principal = sim_internal,
                          .region = GT_STR_LIT(SIM_REGION),
                          .arena = &t->w.arena,
                          .label = GT_STR_LIT("derived")};
    core_apply(t->w.core, &c, core_time(t->w.core));
    return gt_err_code(t->err);
}
