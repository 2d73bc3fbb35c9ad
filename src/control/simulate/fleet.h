/* The scenario's nodes one by one, in the order of its groups, and the zones that they are in. */
#ifndef GT_CONTROL_SIMULATE_FLEET_H
#define GT_CONTROL_SIMULATE_FLEET_H

#include "control/simulate/scenario.h"
#include "lib/base/table.h"

struct fleet_node {
    const struct node_group *group;
    int64_t number; /* in its group, from 0 */
    unsigned zone;  /* index */
    const char *name;
};

struct fleet {
    struct fleet_node *nodes;
    size_t n_nodes;
    struct gt_str *zones; /* by name */
    size_t n_zones;
    struct gt_table by_name; /* name -> struct fleet_node */
};

/* Texts and arrays are in the arena; the scenario must outlive the fleet. */
void fleet_init(struct fleet *f, const struct scenario *s, struct gt_arena *a);
void fleet_fini(struct fleet *f);
int fleet_find(const struct fleet *f, struct gt_str name); /* index; -1: none */

#endif
