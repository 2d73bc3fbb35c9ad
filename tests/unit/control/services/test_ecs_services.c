#include "gt_test.h"
#include "world.h"

#include "control/services/ecs/service.h"
#include "lib/base/mem.h"

static const char web[] = "{'family': '%s', 'containerDefinitions': [{'name': 'c', 'image': "
                          "'busybox', 'cpu': 100, 'memory': 64}]}";

static const char *describe(struct world *w, const char *name)
{
    return world_call(w, "DescribeServices", "{'services': ['%s']}", name);
}

static int number(struct world *w, const char *name, const char *member)
{
    return atoi(world_get(w, describe(w, name), member, 0));
}

static const char *start(struct world *w, int count, const char *more)
{
    world_call(w, "RegisterTaskDefinition", web, "web");
    const char *session = world_node(w, "n1", 10240, 10000);
    world_has(world_do(w, "CreateService",
                       "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': %d%s}", count,
                       more),
              "\"status\":\"ACTIVE\"");
    return session;
}

static int times(const char *text, const char *part)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, part)); p++) {
        n++;
    }
    return n;
}

GT_TEST(plans)
{
    static const struct {
        struct plan_in in; /* desired, min, max, new running/pending, old running/pending */
        int start, stop_new, stop_old;
        bool stuck;
    } cases[] = {
        {{3, 100, 200, 0, 0, 0, 0}, 3, 0, 0, false}, /* from nothing */
        {{3, 100, 200, 2, 1, 0, 0}, 0, 0, 0, false}, /* on the way */
        {{1, 100, 200, 3, 0, 0, 0}, 0, 2, 0, false}, /* scale in */
        {{0, 100, 200, 3, 1, 0, 0}, 0, 4, 0, false}, /* to nothing */
        {{4, 100, 200, 0, 0, 4, 0}, 4, 0, 0, false}, /* roll: double */
        {{4, 100, 200, 4, 0, 4, 0}, 0, 0, 4, false}, /* then drop the old */
        {{4, 100, 200, 1, 3, 4, 0}, 0, 0, 1, false}, /* as they come */
        {{4, 50, 100, 0, 0, 4, 0}, 0, 0, 2, false},  /* make room first */
        {{4, 50, 100, 0, 0, 2, 0}, 2, 0, 0, false},  /* then start */
        {{4, 0, 100, 0, 0, 4, 0}, 0, 0, 4, false},   /* all at once */
        {{1, 100, 100, 0, 0, 1, 0}, 0, 0, 0, true},  /* nothing possible */
        {{3, 50, 150, 0, 0, 3, 0}, 1, 0, 1, false},  /* min 1.5 up to 2, max 4.5 down to 4 */
        {{2, 100, 200, 0, 0, 0, 2}, 2, 0, 2, false}, /* old ones that never came up */
        {{2, 100, 200, 0, 2, 2, 0}, 0, 0, 0, false}, /* wait for the new */
        {{3, 100, 100, 2, 0, 0, 0}, 1, 0, 0, false}, /* replace a dead one at max 100 */
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct plan p = service_plan(&cases[i].in);
        if (p.start != cases[i].start || p.stop_new != cases[i].stop_new ||
            p.stop_old != cases[i].stop_old || p.stuck != cases[i].stuck) {
            fail_msg("case %zu: start %ld stop %ld old %ld stuck %d", i, (long)p.start,
                     (long)p.stop_new, (long)p.stop_old, p.stuck);
        }
    }
    assert_int_equal(service_backoff(1), 0);
    assert_int_equal(service_backoff(2), 1000);
    assert_int_equal(service_backoff(5), 8000);
    assert_int_equal(service_backoff(50), 900000);
}

GT_TEST(comes_up_and_is_stable)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 2, "");
    assert_int_equal(number(&w, "s", "pendingCount"), 2);
    assert_int_equal(world_report(&w, session, "RUNNING"), 2);
    const char *d = describe(&w, "s");
    world_has(d, "(service s) has reached a steady state.");
    world_has(d, "(service s) has started 2 tasks: (task ");
    world_has(d, "\"rolloutState\":\"COMPLETED\"");
    world_has(d, "deployment completed.");
    assert_int_equal(number(&w, "s", "runningCount"), 2);
    world_report(&w, session, "RUNNING");
    world_run(&w, 60000);
    assert_int_equal(times(describe(&w, "s"), "steady state"), 1);
    world_has(world_call(&w, "ListServices", "{}"), "service/default/s");
    world_has(world_call(&w, "ListTasks", "{'serviceName': 's'}"), "task/default");
    world_fini(&w);
}

GT_TEST(replaces_dead_tasks_and_scales)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 3, "");
    world_report(&w, session, "RUNNING");
    world_run(&w, 60000);
    const char *list = world_call(&w, "ListTasks", "{'serviceName': 's'}");
    char id[33];
    memcpy(id, strstr(list, "task/default/") + 13, 32);
    id[32] = 0;
    world_report_task(&w, session, id, 5, "STOPPED", "");
    assert_int_equal(number(&w, "s", "runningCount"), 2);
    assert_int_equal(number(&w, "s", "pendingCount"), 1);
    world_has(world_call(&w, "DescribeTasks", "{'tasks': ['%s']}", id),
              "Essential container in task exited");
    world_report(&w, session, "RUNNING");
    assert_int_equal(times(describe(&w, "s"), "steady state"), 2);
    world_do(&w, "UpdateService", "{'service': 's', 'desiredCount': 1}");
    world_has(describe(&w, "s"), "has stopped 2 running tasks:");
    world_report(&w, session, "RUNNING");
    assert_int_equal(number(&w, "s", "runningCount"), 1);
    assert_int_equal(times(describe(&w, "s"), "\"PRIMARY\""), 1);
    world_fini(&w);
}

GT_TEST(rolls_to_another_definition)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 2, "");
    world_report(&w, session, "RUNNING");
    world_call(&w, "RegisterTaskDefinition", web, "web");
    world_do(&w, "UpdateService", "{'service': 's', 'taskDefinition': 'web:2'}");
    const char *d = describe(&w, "s");
    world_has(d, "\"status\":\"PRIMARY\",\"taskDefinition\":\"arn:aws:ecs:us-east-1:000000000000:"
                 "task-definition/web:2\"");
    world_has(d, "\"status\":\"ACTIVE\",\"taskDefinition\":\"arn:aws:ecs:us-east-1:000000000000:"
                 "task-definition/web:1\"");
    assert_int_equal(number(&w, "s", "runningCount"), 2);
    assert_int_equal(number(&w, "s", "pendingCount"), 2);
    world_report(&w, session, "RUNNING"); /* the new ones run, the old ones are told to stop */
    world_report(&w, session, "RUNNING");
    world_report(&w, session, "RUNNING");
    d = describe(&w, "s");
    assert_null(strstr(d, "web:1"));
    assert_int_equal(number(&w, "s", "runningCount"), 2);
    world_has(d, "\"rolloutState\":\"COMPLETED\"");
    world_do(&w, "UpdateService", "{'service': 's', 'forceNewDeployment': true}");
    world_has(describe(&w, "s"), "\"rolloutState\":\"IN_PROGRESS\"");
    world_fini(&w);
}

GT_TEST(says_when_it_is_stuck)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 1,
                                ", 'deploymentConfiguration': {'minimumHealthyPercent': 50, "
                                "'maximumPercent': 100}"); /* half of one is one */
    world_report(&w, session, "RUNNING");
    world_do(&w, "UpdateService", "{'service': 's', 'forceNewDeployment': true}");
    world_run(&w, 100000);
    assert_int_equal(times(describe(&w, "s"), "was unable to stop or start tasks"), 1);
    world_do(&w, "UpdateService",
             "{'service': 's', 'deploymentConfiguration': "
             "{'minimumHealthyPercent': 0}}");
    world_report(&w, session, "RUNNING");
    world_report(&w, session, "RUNNING");
    assert_int_equal(number(&w, "s", "runningCount"), 1);
    world_has(describe(&w, "s"), "\"rolloutState\":\"COMPLETED\"");
    world_fini(&w);
}

GT_TEST(throttles_failing_starts)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 1, "");
    int starts = 0;
    int64_t until = w.now + 10 * 60000;
    while (w.now < until) {
        const char *all = world_call(&w, "Poll", "{'session': '%s', 'revision': 0}", session);
        if (*world_get(&w, all, "id", 0)) {
            world_report(&w, session, "STOPPED");
            starts++;
        }
        world_run(&w, 1000);
    }
    assert_true(starts >= 8 && starts <= 13);
    const char *d = describe(&w, "s");
    assert_int_equal(times(d, "unable to consistently start"), 1);
    world_has(d, "\"failedTasks\":");
    world_do(&w, "UpdateService", "{'service': 's', 'forceNewDeployment': true}");
    assert_int_equal(number(&w, "s", "pendingCount"), 1);
    world_fini(&w);
}

GT_TEST(waits_for_room)
{
    struct world w;
    world_init(&w);
    world_call(&w, "RegisterTaskDefinition", web, "web");
    world_do(&w, "CreateService",
             "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 3}");
    world_has(describe(&w, "s"), "No Container Instances were found");
    const char *session = world_node(&w, "n1", 250, 10000);
    assert_int_equal(number(&w, "s", "pendingCount"), 2);
    world_has(describe(&w, "s"), "The closest matching (container-instance n1) has insufficient "
                                 "CPU units available.");
    world_report(&w, session, "RUNNING");
    world_run(&w, 3600 * 1000);
    assert_int_equal(times(describe(&w, "s"), "insufficient CPU"), 1);
    world_node(&w, "n2", 250, 10000);
    assert_int_equal(number(&w, "s", "pendingCount"), 1);
    world_fini(&w);
}

GT_TEST(keeps_its_count_when_a_node_is_lost)
{
    struct world w;
    world_init(&w);
    const char *one = start(&w, 4, "");
    world_report(&w, one, "RUNNING");
    const char *two = world_node(&w, "n2", 10240, 10000);
    w.as = PRINCIPAL_INTERNAL;
    world_do(&w, "NodeLost", "{'nodeId': 'n1'}");
    w.as = PRINCIPAL_ROOT;
    assert_int_equal(world_report(&w, two, "RUNNING"), 4);
    assert_int_equal(number(&w, "s", "runningCount"), 4);
    one = world_node(&w, "n1", 10240, 10000);
    assert_int_equal(world_report(&w, one, "RUNNING"), 4); /* all of them told to stop */
    assert_int_equal(world_report(&w, one, "RUNNING"), 0);
    world_fini(&w);
}

GT_TEST(pins_the_digest_of_a_tag)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 1, "");
    const char *list = world_call(&w, "ListTasks", "{}");
    char id[33];
    memcpy(id, strstr(list, "task/default/") + 13, 32);
    id[32] = 0;
    world_report_task(&w, session, id, 1, "RUNNING",
                      ", 'containers': [{'name': 'c', 'imageDigest': 'sha256:abc'}]");
    world_do(&w, "UpdateService", "{'service': 's', 'desiredCount': 2}");
    const char *poll = world_call(&w, "Poll", "{'session': '%s', 'revision': 0}", session);
    assert_int_equal(times(poll, "sha256:abc"), 2);
    world_do(&w, "UpdateService", "{'service': 's', 'forceNewDeployment': true}");
    poll = world_call(&w, "Poll", "{'session': '%s', 'revision': 0}", session);
    assert_int_equal(times(poll, "sha256:abc"), 2); /* a new deployment resolves anew */
    world_fini(&w);
}

GT_TEST(replaces_unhealthy_tasks)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 1, "");
    world_report(&w, session, "RUNNING");
    const char *list = world_call(&w, "ListTasks", "{}");
    char id[33];
    memcpy(id, strstr(list, "task/default/") + 13, 32);
    id[32] = 0;
    world_report_task(&w, session, id, 7, "RUNNING", ", 'healthStatus': 'UNHEALTHY'");
    world_has(describe(&w, "s"), "failed container health checks");
    world_has(world_call(&w, "DescribeTasks", "{'tasks': ['%s']}", id),
              "\"stopCode\":\"ServiceSchedulerInitiated\"");
    world_fini(&w);
}

GT_TEST(ends)
{
    struct world w;
    world_init(&w);
    const char *session = start(&w, 1, "");
    world_report(&w, session, "RUNNING");
    world_has(world_do(&w, "DeleteService", "{'service': 's'}"), "scaled above 0");
    world_has(world_do(&w, "DeleteService", "{'service': 's', 'force': true}"), "DRAINING");
    world_has(world_do(&w, "UpdateService", "{'service': 's', 'desiredCount': 2}"),
              "ServiceNotActiveException");
    world_has(world_do(&w, "CreateService",
                       "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 0}"),
              "still Draining");
    world_report(&w, session, "RUNNING");
    world_has(describe(&w, "s"), "\"status\":\"INACTIVE\"");
    world_has(world_call(&w, "ListServices", "{}"), "[]");
    world_has(world_do(&w, "DeleteService", "{'service': 's'}"), "ServiceNotFoundException");
    world_has(world_do(&w, "CreateService",
                       "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 0}"),
              "\"status\":\"ACTIVE\"");
    world_do(&w, "DeleteService", "{'service': 's'}");
    world_run(&w, 3601 * 1000);
    world_has(describe(&w, "s"), "MISSING");
    world_fini(&w);
}

GT_TEST(what_create_service_refuses)
{
    static const char *const cases[][2] = {
        {"'serviceName': 'a b', 'taskDefinition': 'web'", "Invalid service name"},
        {"'serviceName': 'a', 'desiredCount': 0", "TaskDefinition can not be blank"},
        {"'serviceName': 'a', 'taskDefinition': 'nope', 'desiredCount': 0",
         "TaskDefinition not found"},
        {"'serviceName': 'a', 'taskDefinition': 'web', 'desiredCount': -1", "desiredCount"},
        {"'serviceName': 'a', 'taskDefinition': 'web', 'loadBalancers': [{}]", "loadBalancers"},
        {"'serviceName': 'a', 'taskDefinition': 'web', 'schedulingStrategy': 'DAEMON'", "DAEMON"},
        {"'serviceName': 'a', 'taskDefinition': 'web', 'desiredCount': 0, "
         "'deploymentConfiguration': "
         "{'deploymentCircuitBreaker': {'enable': true, 'rollback': true}}",
         "deploymentCircuitBreaker"},
        {"'serviceName': 'a', 'taskDefinition': 'web', 'desiredCount': 0, "
         "'deploymentConfiguration': "
         "{'maximumPercent': 50}",
         "maximumPercent"},
        {"'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': 0",
         "Creation of service was not idempotent."},
        {"'serviceName': 't', 'taskDefinition': 'web', 'desiredCount': 0, 'clientToken': 'x', "
         "'tags': [{'key': 'k', "
         "'value': 'v'}]",
         "\"serviceName\":\"t\""},
        {"'serviceName': 't', 'taskDefinition': 'web', 'desiredCount': 0, 'clientToken': 'x', "
         "'tags': [{'key': 'k', "
         "'value': 'v'}]",
         "\"serviceName\":\"t\""},
        {"'serviceName': 't', 'taskDefinition': 'web', 'desiredCount': 0, 'clientToken': 'x'",
         "not idempotent"},
    };
    struct world w;
    world_init(&w);
    start(&w, 0, "");
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        world_has(world_do(&w, "CreateService", "{%s}", cases[i][0]), cases[i][1]);
    }
    world_has(world_do(&w, "UpdateService", "{'service': 'nope'}"), "ServiceNotFoundException");
    world_fini(&w);
}

GT_RUN(GT_CASE(plans), GT_CASE(comes_up_and_is_stable), GT_CASE(replaces_dead_tasks_and_scales),
       GT_CASE(rolls_to_another_definition), GT_CASE(says_when_it_is_stuck),
       GT_CASE(throttles_failing_starts), GT_CASE(waits_for_room),
       GT_CASE(keeps_its_count_when_a_node_is_lost), GT_CASE(replaces_unhealthy_tasks),
       GT_CASE(pins_the_digest_of_a_tag), GT_CASE(ends), GT_CASE(what_create_service_refuses))
