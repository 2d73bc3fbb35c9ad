/* Random work on a few nodes that come and go: after every step what is reserved is what is held
 * (world_check), and when the storm is over every service has its count. One seed, one history. */
#include "gt_test.h"
#include "world.h"

#include "lib/base/mem.h"
#include "lib/base/rand.h"

enum { NODES = 4, SERVICES = 3, STEPS = 120 };

struct storm {
    struct world w;
    struct gt_prng rng;
    const char *session[NODES];
    bool lost[NODES];
    int desired[SERVICES];
};

static int below(struct storm *s, int n)
{
    return (int)gt_prng_below(&s->rng, (uint64_t)n);
}

static void join(struct storm *s, int i)
{
    char name[] = {'n', (char)('0' + i), 0};
    s->session[i] = world_node(&s->w, name, 4096, 2000);
    s->lost[i] = false;
}

static void lose(struct storm *s, int i)
{
    s->w.as = PRINCIPAL_INTERNAL;
    world_do(&s->w, "NodeLost", "{'nodeId': 'n%d'}", i);
    s->w.as = PRINCIPAL_ROOT;
    s->lost[i] = true;
}

/* What the node was told to stop is stopped; of the rest some run and some crash. */
static int work(struct storm *s, int i, int crash_percent)
{
    const char *all = world_call(&s->w, "Poll", "{'session': '%s', 'revision': 0}", s->session[i]);
    int n = 0;
    for (; *world_get(&s->w, all, "id", n); n++) {
        bool stop = gt_streq(world_get(&s->w, all, "desiredStatus", n), "STOPPED");
        int sequence = atoi(world_get(&s->w, all, "sequence", n)) + 1;
        bool crash = below(s, 100) < crash_percent;
        world_report_task(&s->w, s->session[i], world_get(&s->w, all, "id", n), sequence,
                          stop || crash ? "STOPPED" : "RUNNING", "");
    }
    return n;
}

static void one_step(struct storm *s)
{
    int i = below(s, NODES), v = below(s, SERVICES);
    switch (below(s, 9)) {
    case 0:
        s->desired[v] = below(s, 7);
        world_do(&s->w, "UpdateService", "{'service': 's%d', 'desiredCount': %d}", v,
                 s->desired[v]);
        break;
    case 1:
        world_do(&s->w, "UpdateService", "{'service': 's%d', 'forceNewDeployment': true}", v);
        break;
    case 2:
        world_do(&s->w, "RunTask", "{'taskDefinition': 'web', 'count': %d}", 1 + below(s, 3));
        break;
    case 3: {
        const char *list = world_call(&s->w, "ListTasks", "{}");
        const char *at = strstr(list, "task/default/");
        if (at) {
            world_do(&s->w, "StopTask", "{'task': '%.32s'}", at + 13);
        }
        break;
    }
    case 4:
        if (!s->lost[i]) {
            lose(s, i);
        }
        break;
    case 5:
        join(s, i); /* back, or a new session of one that was there */
        break;
    default:
        if (!s->lost[i]) {
            work(s, i, 20);
        }
    }
    world_run(&s->w, below(s, 5000));
}

static void calm(struct storm *s)
{
    for (int i = 0; i < NODES; i++) {
        join(s, i);
    }
    for (int turn = 0; turn < 30; turn++) {
        for (int i = 0; i < NODES; i++) {
            work(s, i, 0);
        }
        world_run(&s->w, 60000);
    }
    for (int v = 0; v < SERVICES; v++) {
        const char *d = world_call(&s->w, "DescribeServices", "{'services': ['s%d']}", v);
        assert_int_equal(atoi(world_get(&s->w, d, "runningCount", 0)), s->desired[v]);
        world_has(d, "\"rolloutState\":\"COMPLETED\"");
        assert_null(strstr(d, "\"status\":\"ACTIVE\",\"taskDefinition\":\"arn:aws:ecs:us-east-1:"
                              "000000000000:task-definition/web:1\",\"desiredCount\":0"));
        world_has(world_get(&s->w, d, "message", 0), "steady state");
    }
}

static uint64_t storm(uint64_t seed)
{
    struct storm s = {.rng = {seed}};
    world_init(&s.w);
    world_call(&s.w, "RegisterTaskDefinition",
               "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': 'i', 'memory': "
               "64, 'cpu': 100}]}");
    world_call(&s.w, "RegisterTaskDefinition",
               "{'family': 'port', 'containerDefinitions': [{'name': 'c', 'image': 'i', 'memory': "
               "64, 'portMappings': [{'containerPort': 80, 'hostPort': 80}]}]}");
    for (int i = 0; i < NODES; i++) {
        join(&s, i);
    }
    for (int v = 0; v < SERVICES; v++) {
        world_do(&s.w, "CreateService",
                 "{'serviceName': 's%d', 'taskDefinition': 'web', 'desiredCount': 0, "
                 "'deploymentConfiguration': {'minimumHealthyPercent': %d}}",
                 v, v * 50);
    }
    for (int i = 0; i < STEPS; i++) {
        one_step(&s);
    }
    calm(&s);
    uint64_t hash = core_hash(s.w.core);
    world_fini(&s.w);
    return hash;
}

GT_TEST(weathers_storms)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        storm(seed);
    }
}

GT_TEST(one_seed_one_history)
{
    assert_true(storm(42) == storm(42));
    assert_true(storm(42) != storm(43));
}

GT_RUN(GT_CASE(weathers_storms), GT_CASE(one_seed_one_history))
