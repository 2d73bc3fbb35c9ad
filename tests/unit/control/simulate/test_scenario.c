#include "control/scheduler/scheduler.h"
#include "control/simulate/scenario.h"
#include "gt_test.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

static struct gt_arena arena;

static struct scenario *read_text(const char *text, struct gt_err *err)
{
    gt_arena_fini(&arena);
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    *err = GT_ERR_INIT;
    return scenario_read("s.yaml", gt_str(text), NULL, &arena, err);
}

#define NODES "nodes: [{name: n, count: 3, zones: [a, b], cpu: 4096, memory: 8 GB}]\n"
#define FLEET "duration: 1h\n" NODES
#define WEB "services: [{name: web, cpu: 256, memory: 512}]\n"
#define BASE FLEET WEB

GT_TEST(everything_is_read)
{
    struct gt_err err;
    struct scenario *s = read_text(
        "duration: 1h30m\nseed: 7\nrepeat: 5\nlostAfter: 20s\nsampleEvery: 5s\n"
        "nodes:\n"
        "  - name: web\n    count: 30\n    zones: [a, b, c]\n    cpu: 8 vCPU\n    memory: 16 GB\n"
        "    attributes: {disk: ssd}\n"
        "  - {name: big, zones: a, cpu: 65536, memory: 131072}\n"
        "services:\n"
        "  - name: web\n    desiredCount: 60\n    cpu: 512\n    memory: 1024\n"
        "    hostPorts: [80, 443]\n    networkMode: host\n"
        "    minimumHealthyPercent: 50\n    maximumPercent: 150\n"
        "    placementStrategy: [{type: spread, field: 'attribute:ecs.availability-zone'}]\n"
        "    placementConstraints: [{type: memberOf, expression: 'attribute:disk == ssd'}]\n"
        "    startTime: 5s..20s\n    stopTime: 250ms\n"
        "load:\n"
        "  - service: web\n    requestsPerTask: 50\n    points: {0: 100, 30m: 3000.5}\n"
        "events:\n"
        "  - {at: 10m, lose: {zone: b}, for: 20m}\n"
        "  - {at: 5m, every: 10m, run: {name: job, cpu: 128, memory: 64, count: 4, runTime: "
        "1m..2m}}\n"
        "  - {at: 1h, deploy: {service: web, memory: 2 GB}}\n",
        &err);
    assert_non_null(s);
    assert_int_equal(s->duration, 5400000);
    assert_int_equal(s->nodes[0].cpu, 8192);
    assert_int_equal(s->nodes[0].memory, 16384);
    assert_false(s->nodes[1].numbered);
    const struct service_kind *k = &s->services[0];
    assert_int_equal(k->task.host_ports.n, 2);
    assert_int_equal(k->task.start_time.low, 5000);
    assert_int_equal(k->task.start_time.high, 20000);
    assert_int_equal(k->task.stop_time.high, 250);
    assert_int_equal(k->max_percent, 150);
    assert_int_equal(load_desired(&s->loads[0], 0), 2);
    assert_int_equal(load_desired(&s->loads[0], 1800000), 61);
    assert_int_equal(s->events[0].action, SCENARIO_LOSE);
    assert_int_equal(s->events[0].lasts, 1200000);
    assert_int_equal(s->events[1].action, SCENARIO_RUN);
    assert_int_equal(s->events[2].task.memory, 2048);
    assert_int_equal(s->events[2].task.cpu, 0);
}

GT_TEST(json_is_a_scenario)
{
    struct gt_err err;
    assert_non_null(read_text("{\"duration\": \"1h\", \"nodes\": [{\"name\": \"n\", \"cpu\": 1024, "
                              "\"memory\": 1024}]}",
                              &err));
}

GT_TEST(a_load_goes_from_point_to_point)
{
    struct gt_err err;
    struct scenario *s =
        read_text(BASE "load: [{service: web, points: {10m: 10, 20m: 20}}]\n", &err);
    assert_non_null(s);
    assert_int_equal(load_desired(&s->loads[0], 0), 10);
    assert_int_equal(load_desired(&s->loads[0], 15 * 60000), 15);
    assert_int_equal(load_desired(&s->loads[0], 60 * 60000), 20);
    s->loads[0].steps = true;
    assert_int_equal(load_desired(&s->loads[0], 15 * 60000), 10);
    s = read_text(
        BASE "load: [{service: web, daily: {low: 2, high: 10, highAt: 12h}, maximum: 9}]\n", &err);
    assert_non_null(s);
    assert_int_equal(load_desired(&s->loads[0], 0), 2);
    assert_int_equal(load_desired(&s->loads[0], 6 * 3600000), 6);
    assert_int_equal(load_desired(&s->loads[0], 12 * 3600000), 9);
}

GT_TEST(what_is_written_reads_the_same)
{
    struct gt_err err;
    struct scenario *s = read_text(
        "duration: 1h\n"
        "nodes:\n"
        "- {name: n, count: 3, zones: [a, b], cpu: 4096, memory: 8192, reservedPorts: [22, "
        "53/udp],\n"
        "   attributes: {disk: 's \\\"d', gpu: ''}}\n"
        "services:\n"
        "- {name: web, desiredCount: 4, cpu: 256, memory: 512, hostPorts: [80, 53/udp],\n"
        "   networkMode: host, startTime: 5s..9s, minimumHealthyPercent: 50,\n"
        "   placementStrategy: [{type: random}, {type: spread, field: instanceId}],\n"
        "   placementConstraints: [{type: memberOf, expression: 'attribute:disk == \"x\"'}]}\n",
        &err);
    assert_non_null(s);
    gt_auto_buf struct gt_buf once = GT_BUF_INIT(10000), twice = GT_BUF_INIT(10000);
    scenario_write(s, &once);
    s = read_text(once.p, &err);
    if (!s) {
        fail_msg("%s in\n%s", err.msg, once.p);
        return;
    }
    assert_int_equal(s->nodes[0].reserved_ports.v[1], SCHED_PORT(53, true));
    assert_true(gt_str_is(s->nodes[0].attributes[0].value, "s \\\"d"));
    assert_int_equal(s->services[0].task.n_strategies, 2);
    scenario_write(s, &twice);
    assert_string_equal(once.p, twice.p);
}

/* A start's nodes and services stand before those of the file, which may name them. */
GT_TEST(a_scenario_goes_on_from_a_start)
{
    struct gt_err err;
    struct gt_arena a;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    struct scenario *start = scenario_read("start", gt_str(BASE), NULL, &a, &err);
    assert_non_null(start);
    const char *more = "duration: 1m\nnodes: [{name: m, cpu: 1, memory: 1}]\n"
                       "events: [{at: 1s, scale: {service: web, desiredCount: 3}}]\n";
    struct scenario *s = scenario_read("more", gt_str(more), start, &a, &err);
    assert_non_null(s);
    assert_int_equal(s->n_nodes, 2);
    assert_int_equal(s->n_services, 1);
    assert_int_equal(start->n_nodes, 1);
    const char *twice = "duration: 1m\nservices: [{name: web, cpu: 1, memory: 6}]\n";
    assert_null(scenario_read("more", gt_str(twice), start, &a, &err));
    assert_string_equal(err.msg, "more:2:12: a second service or job 'web'");
    gt_arena_fini(&a);
}

/* What is wrong, and where. */
static const struct {
    const char *text, *said;
} WRONG[] = {
    {"", "s.yaml:1:1: the document is empty"},
    {"---\n...\n", "s.yaml:2:1: must be a mapping with "},
    {"a: [1, 2", "s.yaml:2:1: while parsing a flow sequence: did not find expected ',' or ']'"},
    {"a: &x 1\n", "s.yaml:1:4: anchors, aliases and tags are not for scenarios"},
    {"a: *x\n", "s.yaml:1:4: anchors, aliases and tags are not for scenarios"},
    {"a: !!int 1\n", "s.yaml:1:4: anchors, aliases and tags are not for scenarios"},
    {"? [a]\n: 1\n", "s.yaml:1:3: a key must be plain text"},
    {"seed: 1\nseed: 2\n", "s.yaml:2:1: 'seed' is here for the second time (first: 1:1)"},
    {"seed: 1\n---\nseed: 2\n", "s.yaml:2:1: only one document is read"},
    {"a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]\n", "s.yaml:1:19: nested too deeply"},
    {"a: \"x\\0y\"\n", "s.yaml:1:4: text with a NUL in it"},
    {"a: \xff\n", "s.yaml:1:1: "},
    {"[1]\n", "s.yaml:1:1: must be a mapping with "},
    {"seed: 1\n", "s.yaml:1:1: duration is missing"},
    {"duration: 1h\n", "s.yaml:1:1: nodes is missing"},
    {"durration: 1h\n", "s.yaml:1:1: unknown field durration; known here: duration, seed, "},
    {"duration: soon\n", "s.yaml:1:11: duration must be a time from 1s to 30d, such as 90s or "
                         "1h30m, not soon"},
    {"duration: 90\n", "s.yaml:1:11: duration must be a time "},
    {"duration: 31d\n", "s.yaml:1:11: duration must be a time "},
    {"duration: 99999999999999999999s\n", "s.yaml:1:11: duration must be a time "},
    {"seed: -1\n", "s.yaml:1:7: seed must be a whole number from 0 on, not -1"},
    {"repeat: 0\n", "s.yaml:1:9: repeat must be 1 to 100, not 0"},
    {"repeat: '5'\n", "s.yaml:1:9: repeat must be a whole number, 1 to 100, not '5'"},
    {"nodes: 3\n", "s.yaml:1:8: nodes must be a list, not 3"},
    {"nodes: []\n", "s.yaml:1:8: nodes must have 1 to 10000 entries, not 0"},
    {"nodes:\n- 3\n", "s.yaml:2:3: nodes must be a mapping with name, count, "},
    {"nodes:\n- name: n\n  count: -3\n", "s.yaml:3:10: nodes.count must be 1 to 10000, not -3"},
    {"nodes:\n- name: n\n  count: x\n",
     "s.yaml:3:10: nodes.count must be a whole number, 1 to 10000, "
     "not x"},
    {"nodes:\n- name: a b\n",
     "s.yaml:2:9: nodes.name must be 1 to 255 letters, digits, '-' or '_', "
     "not a b"},
    {"nodes:\n- name: n\n  cpu: many\n", "s.yaml:3:8: nodes.cpu must be CPU units such as 512, or "
                                         "2 vCPU, not many"},
    {"nodes:\n- name: n\n  memory: 0\n", "s.yaml:3:11: nodes.memory must be 1 to 33554432, not 0"},
    {"nodes:\n- {name: n, memory: 1}\n", "s.yaml:2:3: nodes.cpu is missing"},
    {"nodes:\n- name: n\n  colour: red\n",
     "s.yaml:3:3: unknown field nodes.colour; known here: name"},
    {"nodes:\n- name: n\n  attributes: [x]\n", "s.yaml:3:15: nodes.attributes must be a mapping"},
    {FLEET "services: [{name: web, cpu: 1, memory: 5}]",
     "s.yaml:3:40: services.memory must be 6 to "},
    {FLEET "services: [{name: web, networkMode: ipvs}]",
     "s.yaml:3:37: services.networkMode must be one of bridge, host, awsvpc, none, not ipvs"},
    {FLEET "services: [{name: web, hostPorts: [70000]}]",
     "s.yaml:3:36: services.hostPorts must be 1 to 65535, not 70000"},
    {FLEET "services: [{name: web, placementStrategy: [{type: best}]}]",
     "s.yaml:3:51: services.placementStrategy.type must be one of random, spread, binpack, not "
     "best"},
    {FLEET "services: [{name: web, startTime: 20s..5s}]",
     "s.yaml:3:35: services.startTime ends before it begins: 20s..5s"},
    {FLEET "services: [{name: web, desiredCount: 5001}]",
     "s.yaml:3:38: services.desiredCount must be 0 to 5000, not 5001"},
    {FLEET "services: [{name: w, cpu: 1, memory: 6}, {name: w, cpu: 1, memory: 6}]",
     "s.yaml:3:42: a second service or job 'w'"},
    {FLEET "load: [{service: web, points: {0: 1}}]",
     "s.yaml:3:18: load.service is no service of this scenario: 'web'"},
    {BASE "load: [{service: web}]", "s.yaml:4:8: load needs either points or daily"},
    {BASE "load: [{service: web, points: {}}]", "s.yaml:4:31: load.points must be a mapping of "},
    {BASE "load: [{service: web, points: {1m: 1, 30s: 2}}]",
     "s.yaml:4:39: load.points must come in the order of their times: '30s'"},
    {BASE "load: [{service: web, points: {1m: -1}}]",
     "s.yaml:4:36: load.points must be a number, 0 to 100000000, not -1"},
    {BASE "load: [{service: web, daily: {low: 5, high: 1}}]",
     "s.yaml:4:30: load.daily has a low above its high"},
    {BASE "load: [{service: web, points: {0: 1}, minimum: 9, maximum: 1}]",
     "s.yaml:4:8: load has a minimum above its maximum"},
    {BASE "load: [{service: web, points: {0: 1}}, {service: web, points: {0: 1}}]",
     "s.yaml:4:40: load has a second curve for service 'web'"},
    {BASE "events: [{at: 1m}]", "s.yaml:4:10: events must say what happens: lose, "},
    {BASE "events: [{at: 1m, lose: {zone: a}, drain: {zone: a}}]",
     "s.yaml:4:36: an event is one thing: 'lose' or 'drain'"},
    {BASE "events: [{at: 1m, lose: {}}]",
     "s.yaml:4:25: events.lose needs one of zone, nodes, or group"},
    {BASE "events: [{at: 1m, lose: {zone: x}}]", "s.yaml:4:10: no node is in zone 'x'"},
    {BASE "events: [{at: 1m, lose: {nodes: n-4}}]", "s.yaml:4:10: no node 'n-4'"},
    {BASE "events: [{at: 2h, lose: {zone: a}}]", "s.yaml:4:10: an event after the scenario's end"},
    {BASE "events: [{at: 1m, for: 1m, scale: {service: web, desiredCount: 2}}]",
     "s.yaml:4:10: events.for goes with lose and drain only"},
    {BASE "events: [{at: 0, every: 1s, lose: {zone: a}}]\nduration: 30d",
     "s.yaml:5:1: 'duration' is here for the second time (first: 1:1)"},
    {"duration: 30d\n" NODES "events: [{at: 0, every: 1s, lose: {zone: a}}]",
     "s.yaml:3:10: more than 100000 events, with those that come again"},
    {"duration: 1h\nnodes: [{name: n, count: 10000, cpu: 1, memory: 1}, {name: m, cpu: 1, memory: "
     "1}]",
     "s.yaml:2:53: more than 10000 nodes in all"},
    {"duration: 1h\nnodes: [{name: n, count: 2, cpu: 1, memory: 1}, {name: n-2, cpu: 1, memory: "
     "1}]",
     "s.yaml:2:49: a second node 'n-2'"},
    {"duration: 30d\nsampleEvery: 100ms\n" NODES,
     "s.yaml: sampleEvery makes more than 100000 samples"},
};

GT_TEST(what_is_wrong_is_said_with_its_place)
{
    size_t bad = 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(WRONG); i++) {
        struct gt_err err;
        bool accepted = read_text(WRONG[i].text, &err);
        if (accepted || strncmp(err.msg, WRONG[i].said, strlen(WRONG[i].said)) != 0) {
            print_error("\"%s\"\n  said:     %s\n  expected: %s\n", WRONG[i].text,
                        accepted ? "nothing" : err.msg, WRONG[i].said);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
}

GT_TEST(what_is_too_large_is_refused)
{
    struct gt_err err;
    gt_auto_free char *text = gt_calloc(1, GT_LIMIT_SCENARIO + 2);
    memset(text, '#', GT_LIMIT_SCENARIO + 1);
    assert_null(read_text(text, &err));
    assert_string_equal(err.msg, "s.yaml: longer than 1048576 bytes");
    /* [,,,]-like: many values in little text */
    memset(text, ' ', GT_LIMIT_SCENARIO);
    text[0] = '[';
    for (size_t i = 1; i + 2 < GT_LIMIT_SCENARIO; i += 2) {
        text[i] = 'a';
        text[i + 1] = ',';
    }
    text[GT_LIMIT_SCENARIO] = '\0';
    assert_null(read_text(text, &err));
    assert_non_null(strstr(err.msg, "too many values"));
}

GT_RUN(GT_CASE(everything_is_read), GT_CASE(json_is_a_scenario),
       GT_CASE(a_load_goes_from_point_to_point), GT_CASE(what_is_written_reads_the_same),
       GT_CASE(a_scenario_goes_on_from_a_start), GT_CASE(what_is_wrong_is_said_with_its_place),
       GT_CASE(what_is_too_large_is_refused))
