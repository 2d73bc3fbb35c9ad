/* The scenario's nodes one by one, in the order of its groups, and the zones that they are in. */
#ifndef GT_CONTROL_SIMULATE_MACHINES_H
#define GT_CONTROL_SIMULATE_MACHINES_H

#include "control/simulate/scenario.h"
#include "lib/base/table.h"

struct machine {
    const struct node_group *group;
    int64_t number; /* in its group, from 0 */
    unsigned zone;  /* index */
    const char *name;
};

struct machines {
    struct machine *nodes;
    size_t n_nodes;
    struct gt_str *zones; /* by name */
    size_t n_zones;
    struct gt_table by_name; /* name -> struct machine */
};

/* Texts and arrays are in the arena; the scenario must outlive the fleet. */
void machines_init(struct machines *f, const struct scenario *s, struct gt_arena *a);
void machines_fini(struct machines *f);
int machines_find(const struct machines *f, struct gt_str name); /* index; -1: none */

#endif
