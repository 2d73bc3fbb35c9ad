/* Container instances: their states, and draining. */
#include "gt_test.h"
#include "world.h"

#include "control/services/ecs/service.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"

static const char web[] = "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': "
                          "'busybox', 'cpu': 100, 'memory': 64}]}";

static const char *start(struct world *w, int count, int min, int max)
{
    world_call(w, "RegisterTaskDefinition", web);
    return world_do(w, "CreateService",
                    "{'serviceName': 's', 'taskDefinition': 'web', 'desiredCount': %d, "
                    "'deploymentConfiguration': {'minimumHealthyPercent': %d, "
                    "'maximumPercent': %d}}",
                    count, min, max);
}

static const char *set_status(struct world *w, const char *node, const char *status)
{
    return world_do(w, "UpdateContainerInstancesState",
                    "{'containerInstances': ['%s'], 'status': '%s'}", node, status);
}

static int number(struct world *w, const char *node, const char *member)
{
    const char *d =
        world_call(w, "DescribeContainerInstances", "{'containerInstances': ['%s']}", node);
    return atoi(world_get(w, d, member, 0));
}

static int tasks_on(struct world *w, const char *node)
{
    return number(w, node, "runningTasksCount") + number(w, node, "pendingTasksCount");
}

static int running(struct world *w)
{
    const char *d = world_call(w, "DescribeServices", "{'services': ['s']}");
    return atoi(world_get(w, d, "runningCount", 0));
}

GT_TEST(sets_the_state)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    world_has(set_status(&w, "n1", "DRAINING"), "\"status\":\"DRAINING\"");
    world_has(world_call(&w, "ListContainerInstances", "{'status': 'DRAINING'}"), "/n1\"");
    world_has(world_call(&w, "ListContainerInstances", "{'status': 'ACTIVE'}"),
              "\"containerInstanceArns\":[]");
    /* Registering again does not end it. */
    a = world_node(&w, "n1", 1024, 1000);
    world_has(set_status(&w, "n1", "DRAINING"), "\"version\":3");
    world_has(set_status(&w, "n1", "ACTIVE"), "\"status\":\"ACTIVE\"");
    world_has(world_call(&w, "Heartbeat", "{'session': '%s'}", a), "{}");
    world_has(set_status(&w, "n1", "DEREGISTERING"),
              "InvalidParameterException: Container instance status should be one of");
    world_has(set_status(&w, "n2", "ACTIVE"),
              "\"failures\":[{\"arn\":\"arn:aws:ecs:us-east-1:000000000000:container-instance/"
              "default/n2\",\"reason\":\"MISSING\"}]");
    world_has(world_call(&w, "UpdateContainerInstancesState",
                         "{'containerInstances': [], 'status': 'ACTIVE'}"),
              "InvalidParameterException: instanceIds cannot be empty.");
    world_has(world_call(&w, "UpdateContainerInstancesState",
                         "{'containerInstances': ['1','2','3','4','5','6','7','8','9','10','11'],"
                         " 'status': 'ACTIVE'}"),
              "InvalidParameterException: instanceIds can have at most 10 items.");
    world_fini(&w);
}

GT_TEST(starts_first_when_it_may)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    start(&w, 3, 100, 200);
    world_report(&w, a, "RUNNING");
    const char *b = world_node(&w, "n2", 1024, 1000);
    set_status(&w, "n1", "DRAINING");
    assert_int_equal(tasks_on(&w, "n1"), 3);
    assert_int_equal(tasks_on(&w, "n2"), 3); /* not yet running */
    assert_int_equal(world_report(&w, a, "RUNNING"), 3);
    assert_int_equal(number(&w, "n1", "runningTasksCount"), 3);
    world_report(&w, b, "RUNNING");
    world_report(&w, a, "RUNNING");
    assert_int_equal(tasks_on(&w, "n1"), 0);
    assert_int_equal(number(&w, "n2", "runningTasksCount"), 3);
    world_check(&w);
    world_fini(&w);
}

GT_TEST(stops_first_when_it_must)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    start(&w, 4, 50, 100);
    world_report(&w, a, "RUNNING");
    const char *b = world_node(&w, "n2", 1024, 1000);
    set_status(&w, "n1", "DRAINING");
    assert_int_equal(tasks_on(&w, "n2"), 2);
    world_report(&w, a, "RUNNING");
    assert_int_equal(number(&w, "n1", "runningTasksCount"), 2);
    world_report(&w, b, "RUNNING");
    world_report(&w, a, "RUNNING");
    assert_int_equal(tasks_on(&w, "n1"), 0);
    world_report(&w, b, "RUNNING");
    assert_int_equal(number(&w, "n2", "runningTasksCount"), 4);
    world_fini(&w);
}

GT_TEST(keeps_what_cannot_be_replaced)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    start(&w, 2, 100, 200);
    world_report(&w, a, "RUNNING");
    set_status(&w, "n1", "DRAINING"); /* there is no other */
    assert_int_equal(number(&w, "n1", "runningTasksCount"), 2);
    world_has(world_call(&w, "DescribeServices", "{'services': ['s']}"), "is not active.");
    const char *b = world_node(&w, "n2", 150, 1000); /* room for one */
    world_report(&w, b, "RUNNING");
    world_report(&w, a, "RUNNING");
    assert_int_equal(running(&w), 2);
    assert_int_equal(tasks_on(&w, "n2"), 1);
    /* It may stay after all: nothing is started in vain, one is enough on either. */
    set_status(&w, "n1", "ACTIVE");
    world_report(&w, a, "RUNNING");
    assert_int_equal(running(&w), 2);
    assert_int_equal(tasks_on(&w, "n1") + tasks_on(&w, "n2"), 2);
    world_check(&w);
    world_fini(&w);
}

GT_TEST(says_when_it_is_stuck)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    start(&w, 1, 50, 100); /* half of one is one */
    world_report(&w, a, "RUNNING");
    world_node(&w, "n2", 1024, 1000);
    set_status(&w, "n1", "DRAINING");
    world_has(world_call(&w, "DescribeServices", "{'services': ['s']}"),
              "was unable to stop or start tasks during a deployment");
    assert_int_equal(running(&w), 1);
    world_fini(&w);
}

GT_TEST(leaves_other_tasks_alone)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    world_call(&w, "RegisterTaskDefinition", web);
    world_do(&w, "RunTask", "{'taskDefinition': 'web'}");
    world_report(&w, a, "RUNNING");
    set_status(&w, "n1", "DRAINING");
    world_run(&w, 100000);
    assert_int_equal(number(&w, "n1", "runningTasksCount"), 1);
    world_has(world_do(&w, "RunTask", "{'taskDefinition': 'web'}"), "\"reason\":\"INACTIVE\"");
    world_fini(&w);
}

GT_TEST(pending_ones_go_at_once)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    start(&w, 2, 100, 200);
    world_node(&w, "n2", 1024, 1000);
    set_status(&w, "n1", "DRAINING");
    world_report(&w, a, "RUNNING");
    assert_int_equal(tasks_on(&w, "n1"), 0);
    assert_int_equal(tasks_on(&w, "n2"), 2);
    world_fini(&w);
}

static const char *deregister(struct world *w, const char *node, const char *more)
{
    return world_do(w, "DeregisterContainerInstance", "{'containerInstance': '%s'%s}", node, more);
}

GT_TEST(leaves_the_cluster)
{
    struct world w;
    world_init(&w);
    const char *a = world_node(&w, "n1", 1024, 1000);
    world_has(deregister(&w, "n1", ""), "\"status\":\"INACTIVE\"");
    world_has(world_call(&w, "ListContainerInstances", "{}"), "\"containerInstanceArns\":[]");
    world_has(world_call(&w, "DescribeContainerInstances", "{'containerInstances': ['n1']}"),
              "\"status\":\"INACTIVE\",\"agentConnected\":false");
    world_has(world_call(&w, "DescribeClusters", "{}"), "\"registeredContainerInstancesCount\":0");
    world_has(world_call(&w, "Heartbeat", "{'session': '%s'}", a), "UnknownNodeException");
    world_has(
        world_call(&w, "RegisterNode", "{'name': 'x', 'nodeId': 'n1', 'cpu': 1, 'memory': 1}"),
        "InactiveNodeException: node 'n1' was deregistered");
    world_has(set_status(&w, "n1", "ACTIVE"), "\"reason\":\"INACTIVE\"");
    world_has(deregister(&w, "n1", ""), "InvalidParameterException: The referenced container "
                                        "instance is inactive.");
    world_has(deregister(&w, "n7", ""), "InvalidParameterException: The referenced container "
                                        "instance was not found.");
    world_run(&w, 3601000);
    world_has(world_call(&w, "DescribeContainerInstances", "{'containerInstances': ['n1']}"),
              "\"reason\":\"MISSING\"");
    world_fini(&w);
}

GT_TEST(orphans_its_tasks_by_force)
{
    struct world w;
    world_init_tight(&w, 40); /* two or three tasks a step */
    const char *a = world_node(&w, "n1", 1024, 1000);
    start(&w, 4, 100, 200);
    world_report(&w, a, "RUNNING");
    const char *b = world_node(&w, "n2", 1024, 1000);
    world_has(deregister(&w, "n1", ""), "Found running tasks on the instance.");
    world_has(deregister(&w, "n1", ", 'force': true"), "\"status\":\"INACTIVE\"");
    const char *stopped = world_call(&w, "ListTasks", "{'desiredStatus': 'STOPPED'}");
    const char *id = strstr(stopped, "task/default/") + 13;
    world_has(world_call(&w, "DescribeTasks", "{'tasks': ['%.32s']}", id),
              "\"stoppedReason\":\"Container instance deregistration forced by user\"");
    world_report(&w, b, "RUNNING");
    assert_int_equal(number(&w, "n2", "runningTasksCount"), 4);
    assert_int_equal(running(&w), 4);
    world_check(&w);
    world_run(&w, 7300000); /* nothing of it is kept for good */
    world_has(world_call(&w, "ListTasks", "{'desiredStatus': 'STOPPED'}"), "\"taskArns\":[]");
    world_check(&w);
    world_fini(&w);
}

static const char *put(struct world *w, const char *more)
{
    return world_do(w, "PutAttributes", "{'attributes': [%s]}", more);
}

GT_TEST(has_attributes)
{
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1024, 1000);
    world_node(&w, "n2", 1024, 1000);
    world_has(
        put(&w, "{'name': 'stack', 'value': 'prod', 'targetId': 'n1'}, {'name': 'ssd', "
                "'targetId': 'n1', 'targetType': 'container-instance'}"),
        "{\"attributes\":[{\"name\":\"stack\",\"value\":\"prod\",\"targetId\":\"arn:aws:ecs:us-"
        "east-1:000000000000:container-instance/default/n1\"},{\"name\":\"ssd\",\"targetId\":");
    world_node(&w, "n1", 1024, 1000); /* survive a registration */
    world_has(world_call(&w, "ListContainerInstances", "{'filter': 'attribute:stack == prod'}"),
              "[\"arn:aws:ecs:us-east-1:000000000000:container-instance/default/n1\"]");
    static const char list[] = "{'targetType': 'container-instance', %s}";
    world_has(world_call(&w, "ListAttributes", list, "'attributeName': 'stack'"), "\"prod\"");
    world_has(world_call(&w, "ListAttributes", list,
                         "'attributeName': 'stack', 'attributeValue': 'test'"),
              "\"attributes\":[]");
    put(&w, "{'name': 'stack', 'value': 'test', 'targetId': 'n1'}");
    world_has(world_call(&w, "ListAttributes", list, "'attributeName': 'stack'"), "\"test\"");
    world_has(
        world_do(&w, "DeleteAttributes", "{'attributes': [{'name': 'stack', 'targetId': 'n1'}]}"),
        "\"name\":\"stack\"");
    world_node(&w, "n1", 1024, 1000);
    world_has(world_call(&w, "ListAttributes", list, "'attributeName': 'stack'"),
              "\"attributes\":[]");
    world_fini(&w);
}

GT_TEST(lists_attributes_in_pages)
{
    struct world w;
    world_init(&w);
    for (int i = 0; i < 5; i++) {
        world_node(&w, gt_arena_printf(&w.arena, "n%d", i), 1024, 1000);
        put(&w, gt_arena_printf(&w.arena,
                                "{'name': 'a/x', 'targetId': 'n%d'}, {'name': 'b', 'targetId': "
                                "'n%d'}",
                                i, i));
    }
    int found = 0, pages = 0;
    const char *page = "", *token = "";
    do {
        page = world_call(&w, "ListAttributes",
                          "{'targetType': 'container-instance', 'maxResults': 3%s%s%s}",
                          *token ? ", 'nextToken': '" : "", token, *token ? "'" : "");
        while (*world_get(&w, page, "name", found % 3)) {
            found++;
            if (found % 3 == 0) {
                break;
            }
        }
        pages++;
        token = world_get(&w, page, "nextToken", 0);
    } while (*token && pages < 100);
    assert_int_equal(found, 5 * 4); /* architecture and zone, too */
    assert_int_equal(pages, 7);
    world_has(
        world_call(&w, "ListAttributes", "{'targetType': 'container-instance', 'nextToken': 'x'}"),
        "Invalid token");
    world_fini(&w);
}

GT_TEST(refuses_attributes)
{
    struct world w;
    world_init(&w);
    world_node(&w, "n1", 1024, 1000);
    static const struct {
        const char *attribute, *why;
    } cases[] = {
        {"{'name': 'a', 'targetId': 'n9'}", "TargetNotFoundException"},
        {"{'name': 'a'}", "InvalidParameterException: targetId"},
        {"{'name': 'a b', 'targetId': 'n1'}", "InvalidParameterException: Attribute name"},
        {"{'name': '', 'targetId': 'n1'}", "InvalidParameterException: Attribute name"},
        {"{'name': 'ecs.os-type', 'value': 'w', 'targetId': 'n1'}", "set by the container"},
        {"{'name': 'a', 'value': ' b', 'targetId': 'n1'}", "Attribute value"},
        {"{'name': 'a', 'value': 'b;c', 'targetId': 'n1'}", "Attribute value"},
        {"", "attributes cannot be empty"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        world_has(put(&w, cases[i].attribute), cases[i].why);
    }
    for (int i = 0; i < 10; i++) {
        world_has(put(&w, gt_arena_printf(&w.arena, "{'name': 'a%d', 'targetId': 'n1'}", i)),
                  "\"attributes\":[{");
    }
    world_has(put(&w, "{'name': 'b', 'targetId': 'n1'}"), "AttributeLimitExceededException");
    world_has(world_call(&w, "DeleteAttributes",
                         "{'attributes': [{'name': 'a1', 'value': 'x', 'targetId': 'n1'}]}"),
              "Attribute value must not be specified.");
    world_fini(&w);
}

/* ---- the plan, with anything happening between its steps ---- */

struct fleet {
    struct plan_in in;
    struct gt_prng rng;
};

static int64_t below(struct fleet *f, int64_t n)
{
    return n > 0 ? (int64_t)gt_prng_below(&f->rng, (uint64_t)n) : 0;
}

static void move(int64_t *from, int64_t *to, int64_t n)
{
    *from -= n;
    *to += n;
}

/* Stops n, those that do not run first. */
static void drop(int64_t *on, int64_t *pending, int64_t n)
{
    int64_t first = GT_MIN(*pending, n);
    *pending -= first;
    *on -= n - first;
}

/* What a step does with the plan, up to a bound of its own; and what must hold then. */
static void act(struct fleet *f, const struct plan *p, int64_t bound)
{
    struct plan_in *in = &f->in, was = *in;
    int64_t least = (in->desired * in->min_percent + 99) / 100;
    int64_t most = in->desired * in->max_percent / 100;
    drop(&in->new_running, &in->new_pending, GT_MIN(p->stop_new, bound));
    drop(&in->old_running, &in->old_pending, GT_MIN(p->stop_old, bound));
    assert_true(in->new_running >= 0 && in->old_running >= 0);
    int64_t on = in->new_running + in->old_running, before = was.new_running + was.old_running;
    assert_true(on == before || on >= least);
    in->new_pending += GT_MIN(p->start, bound);
    int64_t all = on + in->new_pending + in->old_pending;
    assert_true(!p->start || all <= GT_MAX(most, in->desired));
    assert_true(!p->start || !was.old_running || all <= most);
}

static void happen(struct fleet *f)
{
    struct plan_in *in = &f->in;
    switch (below(f, 7)) {
    case 0: /* a node drains */
        move(&in->new_running, &in->old_running, below(f, in->new_running + 1));
        move(&in->new_pending, &in->old_pending, below(f, in->new_pending + 1));
        break;
    case 1: /* and does not */
        move(&in->old_running, &in->new_running, below(f, in->old_running + 1));
        break;
    case 2: /* some die */
        in->new_running -= below(f, in->new_running + 1);
        in->old_running -= below(f, in->old_running + 1);
        break;
    case 3:
        in->desired = below(f, 12);
        break;
    default:
        move(&in->new_pending, &in->new_running, below(f, in->new_pending + 1));
        move(&in->old_pending, &in->old_running, below(f, in->old_pending + 1));
    }
}

/* Nothing happens any more but that what was started comes up. */
static void settle(struct fleet *f)
{
    struct plan_in *in = &f->in;
    struct plan p = {0};
    for (int i = 0; i < 200; i++) {
        p = service_plan(in);
        if (p.stuck) {
            int64_t most = in->desired * in->max_percent / 100;
            assert_true((in->desired * in->min_percent + 99) / 100 >= most ||
                        in->new_running + in->old_running < most);
            return;
        }
        act(f, &p, 1 + below(f, 5));
        move(&in->new_pending, &in->new_running, in->new_pending);
    }
    assert_true(in->new_running == in->desired && !in->new_pending);
    assert_int_equal(in->old_running + in->old_pending, 0);
}

GT_TEST(the_percentages_hold)
{
    static const int64_t mins[] = {0, 33, 50, 75, 100}, maxs[] = {100, 101, 125, 150, 200};
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        struct fleet f = {.rng = {seed}};
        f.in.min_percent = mins[below(&f, 5)];
        f.in.max_percent = maxs[below(&f, 5)];
        f.in.desired = below(&f, 12);
        for (int i = 0; i < 60; i++) {
            struct plan p = service_plan(&f.in);
            act(&f, &p, 1 + below(&f, 5));
            happen(&f);
        }
        settle(&f);
    }
}

GT_RUN(GT_CASE(sets_the_state), GT_CASE(starts_first_when_it_may),
       GT_CASE(stops_first_when_it_must), GT_CASE(keeps_what_cannot_be_replaced),
       GT_CASE(says_when_it_is_stuck), GT_CASE(leaves_other_tasks_alone),
       GT_CASE(pending_ones_go_at_once), GT_CASE(leaves_the_cluster),
       GT_CASE(orphans_its_tasks_by_force), GT_CASE(has_attributes),
       GT_CASE(lists_attributes_in_pages), GT_CASE(refuses_attributes),
       GT_CASE(the_percentages_hold))
