/*
 * What the scheduler places in a second, on one core: a fleet is filled from empty, 100 tasks a
 * node (1,000,000 on 10,000 nodes), each placement with all that it changes: the load of the node
 * and the group's tasks.
 *
 *     sched-rate [NODES...]
 *
 * prints a line for each number of nodes and each way to ask: name, nodes, tasks, ns of CPU a
 * placement.
 *
 * One: one kind of request, as RunTask of one definition. Services: 125 services, each with
 * memberOf (which 80 % of the nodes meet) and distinctInstance and a task on each node that it may
 * have; first one service after the other, then in turns of 50 tasks, as their controller does it.
 */
#include "control/scheduler/fleet.h"
#include "lib/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { A_NODE = 100, SERVICES = 125, TURN = 50, CPU = 16, MEMORY = 32 };

struct node {
    char id[16];
    int64_t tasks;
};

struct bench {
    struct fleet *fleet;
    struct node *nodes;
    size_t n_nodes;
    struct gt_prng rng;
    struct gt_arena arena;
};

static void fill(struct bench *b, size_t n)
{
    static const char *const zones[] = {"a", "b", "c"};
    b->fleet = fleet_new();
    b->nodes = gt_new_array(struct node, n);
    b->n_nodes = n;
    b->rng.state = n;
    gt_arena_init(&b->arena, 16 << 20);
    for (size_t i = 0; i < n; i++) {
        char rack[16];
        snprintf(b->nodes[i].id, sizeof b->nodes[i].id, "%08zx", i);
        snprintf(rack, sizeof rack, "r%zu", i % 10);
        struct query_attr attrs[] = {
            {GT_STR_LIT("ecs.availability-zone"), gt_str(zones[i % 3])},
            {GT_STR_LIT("ecs.instance-type"), GT_STR_LIT("m5.xlarge")},
            {GT_STR_LIT("rack"), gt_str(rack)},
        };
        fleet_put_member(b->fleet, gt_str(b->nodes[i].id),
                         &(struct fleet_member){.active = true,
                                                .connected = true,
                                                .cpu = CPU * (A_NODE + A_NODE / 2),
                                                .memory = MEMORY * (A_NODE + A_NODE / 2),
                                                .attrs = attrs,
                                                .n_attrs = GT_ARRAY_LEN(attrs)});
    }
}

static void empty(struct bench *b)
{
    fleet_free(b->fleet);
    free(b->nodes);
    gt_arena_fini(&b->arena);
}

/* What this thread has used of its core: others may want the machine, too. */
static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Which node an id means. */
static size_t number(struct gt_str id)
{
    char text[16] = {0};
    GT_ASSERT(id.n < sizeof text);
    memcpy(text, id.p, id.n);
    return strtoul(text, NULL, 16);
}

static bool place(struct bench *b, const struct sched_request *rq)
{
    const struct sched_node *at = fleet_place(b->fleet, rq, &b->rng);
    if (!at) {
        return false;
    }
    struct node *n = &b->nodes[number(at->id)];
    n->tasks++;
    fleet_put_load(b->fleet, gt_str(n->id),
                   &(struct fleet_load){
                       .cpu = CPU * n->tasks, .memory = MEMORY * n->tasks, .running = n->tasks});
    fleet_count_tasks(b->fleet, gt_str(n->id), rq->group, 1);
    return true;
}

static void say(const struct bench *b, const char *name, size_t placed, int64_t ns)
{
    printf("%s %zu %zu %.0f\n", name, b->n_nodes, placed, (double)ns / (double)placed);
    fflush(stdout);
}

static void one_kind(size_t n, const char *name, const struct sched_strategy *by, size_t n_by)
{
    struct bench b = {0};
    fill(&b, n);
    struct sched_request rq = {.group = GT_STR_LIT("family:web"),
                               .cpu = CPU,
                               .memory = MEMORY,
                               .strategies = by,
                               .n_strategies = n_by};
    int64_t from = cpu_ns();
    size_t placed = 0;
    while (placed < n * A_NODE && place(&b, &rq)) {
        placed++;
    }
    say(&b, name, placed, cpu_ns() - from);
    empty(&b);
}

static void services(size_t n, const char *name, const struct sched_strategy *by, size_t n_by,
                     size_t turn)
{
    struct bench b = {0};
    struct sched_request *rqs = gt_new_array(struct sched_request, SERVICES);
    fill(&b, n);
    const struct query *member_of =
        query_parse(GT_STR_LIT("attribute:ecs.instance-type =~ m5.* and "
                               "attribute:rack not_in [r0, r1]"),
                    &b.arena, NULL);
    for (size_t i = 0; i < SERVICES; i++) {
        rqs[i] =
            (struct sched_request){.group = gt_str(gt_arena_printf(&b.arena, "service:s%03zu", i)),
                                   .cpu = CPU,
                                   .memory = MEMORY,
                                   .distinct_instance = true,
                                   .member_of = &member_of,
                                   .n_member_of = 1,
                                   .strategies = by,
                                   .n_strategies = n_by};
    }
    int64_t from = cpu_ns();
    size_t placed = 0, before;
    do {
        before = placed;
        for (size_t i = 0; i < SERVICES; i++) {
            for (size_t k = 0; k < turn && place(&b, &rqs[i]); k++) {
                placed++;
            }
        }
    } while (placed > before);
    say(&b, name, placed, cpu_ns() - from);
    empty(&b);
    free(rqs);
}

static void measure(size_t n)
{
    static const struct sched_strategy binpack[] = {{SCHED_BINPACK, SCHED_BY_MEMORY, {NULL, 0}}};
    static const struct sched_strategy spread[] = {
        {SCHED_SPREAD, SCHED_BY_ATTRIBUTE, {"ecs.availability-zone", 21}},
        {SCHED_SPREAD, SCHED_BY_INSTANCE, {NULL, 0}}};
    one_kind(n, "one-binpack", binpack, 1);
    one_kind(n, "one-spread", spread, 2);
    services(n, "services-binpack", binpack, 1, SIZE_MAX);
    services(n, "services-spread", spread, 2, SIZE_MAX);
    services(n, "turns-binpack", binpack, 1, TURN);
    services(n, "turns-spread", spread, 2, TURN);
}

int main(int argc, char **argv)
{
    static const size_t usual[] = {10, 100, 1000, 10000};
    for (int i = 1; i < argc; i++) {
        measure(strtoul(argv[i], NULL, 10));
    }
    for (size_t i = 0; argc == 1 && i < GT_ARRAY_LEN(usual); i++) {
        measure(usual[i]);
    }
    return 0;
}
