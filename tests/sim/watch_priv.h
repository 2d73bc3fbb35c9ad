/* The copy of the state that watch.c keeps and rest.c reads. */
#ifndef GT_TESTS_SIM_WATCH_PRIV_H
#define GT_TESTS_SIM_WATCH_PRIV_H

#include "lib/base/buf.h"
#include "trial_priv.h"

struct seen_node {
    struct gt_list link, tasks; /* seen_task.on_node */
    char id[48];
    int64_t cpu, memory, running, pending; /* sums of its tasks */
    int64_t holding;
    bool registered, closed; /* closed: nothing new may come to it */
    bool astray, fenced;
    bool lost, left;      /* left: its tasks are being stopped ... */
    char left_after[65];  /* ... and were up to this one */
    struct gt_list dirty; /* in watch.dirty: its load is to be looked at */
};

struct seen_service {
    struct gt_list link;
    char name[256];
    int64_t wanted, running; /* of its tasks that are wanted RUNNING */
    bool started, stopped;   /* by itself, in this step */
};

struct seen_task {
    struct gt_list link, on_node;
    char id[65], address[48], group[300];
    struct seen_node *node;
    struct seen_service *service; /* NULL: none */
    int64_t status, desired, sequence, generation, cpu, memory;
    int64_t *ports; /* static host ports */
    size_t n_ports;
    bool ghost, has_exit, scheduler;
    int64_t exit_code;
};

struct watch {
    struct gt_table tasks, nodes, services;
    struct gt_list all_tasks, all_nodes, all_services, dirty;
    struct gt_buf written; /* keys with a NUL behind each */
    bool recovering;
    int64_t live, dead, assigned, grouped;
};

/* Whether it holds what it has reserved. */
static inline bool holds(const struct seen_task *s)
{
    return s->status != TASK_STOPPED || s->ghost;
}

#endif
