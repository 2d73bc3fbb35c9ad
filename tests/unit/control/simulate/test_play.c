#include "control/simulate/play.h"
#include "control/simulate/report.h"
#include "gt_test.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

struct played {
    struct gt_arena arena;
    struct machines machines;
    const struct outcome *o;
    struct gt_err err;
};

static void play(struct played *p, const char *text)
{
    *p = (struct played){0};
    gt_arena_init(&p->arena, GT_GIB);
    struct scenario *s = scenario_read("s", gt_str(text), NULL, &p->arena, &p->err);
    if (!s) {
        fail_msg("%s", p->err.msg);
        return;
    }
    machines_init(&p->machines, s, &p->arena);
    p->o = simulate_play(s, &p->machines, s->seed, &p->arena, &p->err);
}

static void done(struct played *p)
{
    machines_fini(&p->machines);
    gt_arena_fini(&p->arena);
}

#define NODES "nodes: [{name: n, count: 6, zones: [a, b, c], cpu: 2048, memory: 4096}]\n"
#define WEB                                                                                        \
    "services: [{name: web, desiredCount: 6, cpu: 512, memory: 512, startTime: 10s, "              \
    "minimumHealthyPercent: 90}]\n"

GT_TEST(a_quiet_hour_changes_nothing)
{
    struct played p;
    play(&p, "duration: 1h\n" NODES WEB);
    assert_non_null(p.o);
    assert_true(p.o->settled);
    assert_in_range(p.o->settled_ms, 10000, 12000);
    const struct outcome_service *s = &p.o->services[0];
    assert_int_equal(s->lowest, 6);
    assert_int_equal(s->highest, 6);
    assert_int_equal(s->short_ms, 0);
    assert_int_equal(s->started, 0);
    for (size_t z = 0; z < 3; z++) {
        assert_int_equal(s->in_zone[z], 2);
        assert_true(p.o->zones[z].cpu.mean == 0.25);
    }
    assert_int_equal(p.o->n_samples, 601);
    done(&p);
}

GT_TEST(a_lost_zone_is_replaced)
{
    struct played p;
    play(&p, "duration: 10m\n" NODES WEB "events: [{at: 1m, lose: {zone: b}, for: 5m}]\n");
    assert_non_null(p.o);
    assert_int_equal(p.o->n_events, 2);
    assert_int_equal(p.o->n_recoveries, 1);
    const struct outcome_recovery *r = &p.o->recoveries[0];
    assert_true(r->touched);
    assert_int_equal(r->lowest, 4);
    assert_int_equal(r->desired, 6);
    assert_int_equal(r->floor, 6); /* 90 % of 6, up */
    assert_true(r->below_ms == r->ms);
    /* heard up to 3 s before; lost after 10 s; a start takes 10 s, or two when the first is in vain
     */
    assert_in_range(r->ms, 17000, 35000);
    assert_int_equal(p.o->services[0].running, 6);
    assert_int_equal(p.o->services[0].in_zone[1], 0);
    assert_int_equal(p.o->services[0].unplaced.missing, 0);
    assert_int_equal(p.o->events[1].at, 360000);
    done(&p);
}

GT_TEST(only_what_an_event_touches_recovers_from_it)
{
    struct played p;
    play(&p, "duration: 10m\n" NODES "services:\n"
             "- {name: web, desiredCount: 6, cpu: 100, memory: 100}\n"
             "- {name: large, desiredCount: 2, cpu: 4096, memory: 100}\n"
             "- {name: elsewhere, desiredCount: 2, cpu: 100, memory: 100, placementConstraints: "
             "[{type: memberOf, expression: 'attribute:ecs.availability-zone == c'}]}\n"
             "events: [{at: 1m, lose: {zone: b}}, {at: 5m, drain: {nodes: n-1}}]\n");
    assert_non_null(p.o);
    assert_int_equal(p.o->n_recoveries, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(p.o->recoveries[i].touched, i % 3 == 0);
        assert_true(p.o->recoveries[i].ms >= 0);
    }
    done(&p);
}

GT_TEST(too_many_lost_nodes_put_the_brake_on)
{
    struct played p;
    play(&p,
         "duration: 10m\n" NODES WEB "events: [{at: 1m, lose: {nodes: [n-1, n-2, n-3, n-4]}}]\n");
    assert_non_null(p.o);
    assert_int_equal(p.o->n_events, 2);
    assert_null(p.o->events[1].what);
    assert_non_null(strstr(p.o->events[1].text, "brake on"));
    assert_int_equal(p.o->recoveries[0].ms, -1);
    done(&p);
    play(&p, "duration: 10m\nbrakePercent: 100\n" NODES WEB
             "events: [{at: 1m, lose: {nodes: [n-1, n-2, n-3, n-4]}}]\n");
    assert_non_null(p.o);
    assert_int_equal(p.o->n_events, 1);
    assert_true(p.o->recoveries[0].ms > 0);
    done(&p);
}

GT_TEST(what_does_not_fit_is_said)
{
    struct played p;
    play(&p, "duration: 10m\n" NODES
             "services: [{name: web, desiredCount: 9, cpu: 1500, memory: 512}]\n");
    assert_non_null(p.o);
    assert_false(p.o->settled);
    const struct outcome_unplaced *u = &p.o->services[0].unplaced;
    assert_int_equal(u->missing, 3);
    assert_int_equal(u->nodes[SCHED_CPU], 6);
    assert_int_equal(u->ms, 600000);
    assert_string_equal(u->lacks, "CPU units: 548 of 2048 free, 1500 asked");
    assert_string_equal(u->more, "3 more nodes like n");
    assert_int_equal(p.o->services[0].short_ms, 600000);
    done(&p);
}

GT_TEST(a_deploy_keeps_the_minimum)
{
    struct played p;
    play(&p, "duration: 10m\n" NODES
             "services: [{name: web, desiredCount: 10, cpu: 512, memory: 512, startTime: 5s..9s, "
             "minimumHealthyPercent: 80, maximumPercent: 100}]\n"
             "events: [{at: 1m, deploy: {service: web, memory: 600}}]\n");
    assert_non_null(p.o);
    const struct outcome_recovery *r = &p.o->recoveries[0];
    assert_int_equal(r->lowest, 8);
    assert_int_equal(r->floor, 8);
    assert_int_equal(r->below_ms, 0);
    assert_in_range(r->ms, 25000, 60000); /* five rounds */
    assert_int_equal(p.o->services[0].started, 10);
    done(&p);
}

GT_TEST(a_drained_node_is_emptied)
{
    struct played p;
    play(&p, "duration: 10m\n" NODES WEB "events: [{at: 1m, drain: {nodes: n-2}}]\n");
    assert_non_null(p.o);
    const struct outcome_recovery *r = &p.o->recoveries[0];
    assert_true(r->touched);
    assert_int_equal(r->below_ms, 0);
    assert_in_range(r->ms, 10000, 15000);
    assert_int_equal(p.o->nodes[1].tasks, 0);
    assert_int_equal(p.o->nodes[1].most_tasks, 1);
    done(&p);
}

GT_TEST(jobs_wait_for_room)
{
    struct played p;
    play(&p, "duration: 10m\n" NODES "events:\n"
             "- {at: 1m, run: {name: now, count: 9, cpu: 2048, memory: 512, runTime: 30s}}\n"
             "- {at: 5m, run: {name: later, count: 9, cpu: 2048, memory: 512, runTime: 30s, "
             "retryEvery: 10s}}\n");
    assert_non_null(p.o);
    assert_int_equal(p.o->jobs[0].placed, 6);
    assert_int_equal(p.o->jobs[0].given_up, 3);
    assert_int_equal(p.o->jobs[0].unplaced.missing, 3);
    assert_int_equal(p.o->jobs[1].placed, 9);
    assert_int_equal(p.o->jobs[1].ended, 9);
    assert_in_range(p.o->jobs[1].longest_wait, 30000, 50000);
    done(&p);
}

GT_TEST(a_load_is_followed)
{
    struct played p;
    play(&p, "duration: 20m\n" NODES WEB
             "load: [{service: web, requestsPerTask: 10, points: {0: 60, 10m: 120}}]\n");
    assert_non_null(p.o);
    assert_int_equal(p.o->services[0].lowest, 6);
    assert_int_equal(p.o->services[0].running, 12);
    assert_int_equal(p.o->services[0].started, 6);
    assert_true(p.o->services[0].busiest > 10 && p.o->services[0].busiest < 12);
    assert_true(p.o->services[0].overloaded_ms > 0);
    done(&p);
}

/* What only the API knows is said with the place that asked for it. */
GT_TEST(the_api_refuses)
{
    static const struct {
        const char *services, *said;
    } wrong[] = {
        {"- {name: w, cpu: 1, memory: 6, minimumHealthyPercent: 100, maximumPercent: 100}",
         "s:4:3: CreateService: Both maximumPercent and minimumHealthyPercent cannot be 100"},
        {"- {name: w, cpu: 1, memory: 6, placementConstraints: [{type: memberOf, expression: "
         "'attribute:x =='}]}",
         "s:4:3: CreateService: "},
        {"- {name: w, cpu: 1, memory: 6, placementStrategy: [{type: binpack, field: zone}]}",
         "s:4:3: CreateService: Invalid placement strategy"},
        {"- {name: w, cpu: 1, memory: 6, networkMode: none, hostPorts: [80]}",
         "s:4:3: RegisterTaskDefinition: "},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(wrong); i++) {
        struct played p;
        gt_auto_free char *text =
            gt_asprintf("duration: 1h\n" NODES "services:\n%s\n", wrong[i].services);
        play(&p, text);
        if (p.o || strncmp(p.err.msg, wrong[i].said, strlen(wrong[i].said)) != 0) {
            fail_msg("%s\n  said: %s", wrong[i].services, p.err.msg);
        }
        done(&p);
    }
}

/* What all seeds together would keep is bounded, not only what one does. */
GT_TEST(too_much_to_keep_is_refused)
{
    static const char *const more[] = {
        "sampleEvery: 100ms\nrepeat: 100\n",
        "repeat: 100\nevents: [{at: 0, every: 2s, lose: {zone: a}}]\n"};
    gt_auto_buf struct gt_buf services = GT_BUF_INIT(100000);
    for (int i = 0; i < 250; i++) {
        gt_buf_printf(&services, "- {name: s%d, desiredCount: 0, cpu: 1, memory: 6}\n", i);
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(more); i++) {
        struct played p;
        gt_auto_free char *text =
            gt_asprintf("duration: 10000s\n" NODES "services:\n%s%s", services.p, more[i]);
        play(&p, text);
        assert_null(p.o);
        assert_non_null(strstr(p.err.msg, "100 seeds would take "));
        done(&p);
    }
}

#define EVERYTHING                                                                                 \
    "duration: 20m\n" NODES WEB                                                                    \
    "load: [{service: web, requestsPerTask: 10, points: {0: 60, 10m: 300, 20m: 60}}]\n"            \
    "events:\n"                                                                                    \
    "- {at: 2m, lose: {zone: a}, for: 3m}\n"                                                       \
    "- {at: 3m, deploy: {service: web, startTime: 1s..5s}}\n"                                      \
    "- {at: 8m, drain: {group: n, count: 2}, for: 1m}\n"                                           \
    "- {at: 1m, every: 4m, run: {name: j, count: 5, cpu: 300, memory: 99, runTime: 1m..3m}}\n"

static struct gt_buf json_of(const char *text)
{
    struct played p;
    struct gt_buf b = GT_BUF_INIT(REPORT_MAX);
    play(&p, text);
    assert_non_null(p.o);
    report_json(&p.o, 1, &b);
    done(&p);
    return b;
}

GT_TEST(the_same_seed_is_the_same_outcome)
{
    gt_auto_buf struct gt_buf one = json_of(EVERYTHING), two = json_of(EVERYTHING),
                              other = json_of("seed: 2\n" EVERYTHING);
    assert_true(one.n > 10000);
    assert_true(gt_str_eq(gt_buf_view(&one), gt_buf_view(&two)));
    assert_false(gt_str_eq(gt_buf_view(&one), gt_buf_view(&other)));
}

GT_RUN(GT_CASE(a_quiet_hour_changes_nothing), GT_CASE(a_lost_zone_is_replaced),
       GT_CASE(only_what_an_event_touches_recovers_from_it),
       GT_CASE(too_many_lost_nodes_put_the_brake_on), GT_CASE(what_does_not_fit_is_said),
       GT_CASE(a_deploy_keeps_the_minimum), GT_CASE(a_drained_node_is_emptied),
       GT_CASE(jobs_wait_for_room), GT_CASE(a_load_is_followed), GT_CASE(the_api_refuses),
       GT_CASE(too_much_to_keep_is_refused), GT_CASE(the_same_seed_is_the_same_outcome))
