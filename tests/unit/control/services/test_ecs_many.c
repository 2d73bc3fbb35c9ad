/* Thousands of tasks on one node: what is told of them and done with them comes in pieces. */
#include "gt_test.h"
#include "world.h"

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "lib/base/table.h"

static void define(struct world *w, const char *family, size_t size)
{
    gt_auto_free char *text = gt_calloc(1, size + 1);
    memset(text, 'x', size);
    const char *a = world_call(w, "RegisterTaskDefinition",
                               "{'family': '%s', 'containerDefinitions': [{'name': 'c', 'image': "
                               "'i', 'memory': 8, 'environment': [{'name': 'e', 'value': '%s'}]}]}",
                               family, text);
    world_has(a, "taskDefinitionArn");
}

static void start(struct world *w, const char *family, int n)
{
    for (int i = 0; i < n; i += 10) {
        struct gt_arena_mark mark = gt_arena_mark(&w->arena);
        world_has(world_call(w, "RunTask", "{'taskDefinition': '%s', 'count': 10}", family),
                  "\"failures\":[]");
        gt_arena_release(&w->arena, mark);
    }
}

/* A node as it hears of its tasks. */
struct mirror {
    struct world *w;
    const char *session;
    char revision[24], more[128];
    struct gt_table tasks; /* id -> "RUNNING" or "STOPPED", as it is wanted */
    struct gt_table told;  /* in this walk */
    int pages;             /* since it was set to 0 */
    size_t largest;        /* answer */
};

static void mirror_init(struct mirror *m, struct world *w, const char *session)
{
    *m = (struct mirror){.w = w, .session = session, .revision = "0"};
    gt_table_init(&m->tasks);
    gt_table_init(&m->told);
}

static void mirror_fini(struct mirror *m)
{
    gt_table_fini(&m->tasks);
    gt_table_fini(&m->told);
}

static void take_tasks(struct mirror *m, const char *answer)
{
    static char running[] = "RUNNING", stopped[] = "STOPPED";
    for (const char *at = answer; (at = strstr(at, "\"id\":\"")); at++) {
        struct gt_str id = gt_str_n(at + 6, 32);
        const char *wanted = strstr(at, "\"desiredStatus\":\"") + 17;
        gt_table_put(&m->tasks, id, *wanted == 'S' ? stopped : running);
        assert_null(gt_table_put(&m->told, id, running)); /* once in a walk */
    }
}

static void drop_untold(struct mirror *m)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&m->tasks, &it));) {
        if (!gt_table_get(&m->told, gt_str(e->key))) {
            gt_table_del(&m->tasks, gt_str(e->key));
        }
    }
}

/* One answer. False: nothing is new. */
static bool poll(struct mirror *m)
{
    struct gt_arena_mark mark = gt_arena_mark(&m->w->arena);
    const char *a = world_call(
        m->w, "Poll", "{'session': '%s', 'revision': %s, 'waitMs': 1000%s%s%s}", m->session,
        m->revision, *m->more ? ", 'more': '" : "", m->more, *m->more ? "'" : "");
    bool news = !m->w->waits;
    if (news) {
        const char *more = strstr(a, "\"more\":\"");
        m->pages++;
        m->largest = GT_MAX(m->largest, strlen(a));
        take_tasks(m, a);
        if (strstr(a, "\"full\":true")) {
            assert_null(more);
            drop_untold(m);
        }
        const char *revision = world_get(m->w, a, "revision", 0);
        assert_true(!more || gt_streq(revision, m->revision));
        snprintf(m->revision, sizeof m->revision, "%s", revision);
        snprintf(m->more, sizeof m->more, "%s", more ? world_get(m->w, more, "more", 0) : "");
        if (!more) {
            gt_table_fini(&m->told);
            gt_table_init(&m->told);
        }
    }
    gt_arena_release(&m->w->arena, mark);
    return news;
}

GT_TEST(a_node_is_told_of_all_its_tasks)
{
    static const struct {
        int tasks;
        size_t definition;
    } cases[] = {{5000, 4000}, {500, 64000}};
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct world w;
        struct mirror m;
        world_init(&w);
        const char *session = world_node(&w, "n1", 100000000, 100000000);
        define(&w, "f", cases[i].definition);
        start(&w, "f", cases[i].tasks);
        mirror_init(&m, &w, session);
        do {
            assert_true(poll(&m));
        } while (*m.more);
        assert_int_equal(m.tasks.count, cases[i].tasks);
        assert_true(m.largest < 2 * GT_LIMIT_POLL_PAGE);
        assert_true(m.pages > 20);
        assert_false(poll(&m));
        /* as many news at once */
        start(&w, "f", cases[i].tasks);
        m.pages = 0;
        do {
            assert_true(poll(&m));
        } while (*m.more);
        assert_int_equal(m.tasks.count, 2 * cases[i].tasks);
        assert_true(m.pages > 20);
        assert_false(poll(&m));
        mirror_fini(&m);
        world_fini(&w);
    }
}

static struct gt_table_entry *any(struct mirror *m, struct gt_prng *rng)
{
    struct gt_table_iter it = {0};
    struct gt_table_entry *e = NULL;
    uint64_t n = m->tasks.count ? 1 + gt_prng_below(rng, m->tasks.count) : 0;
    while (n-- > 0) {
        e = gt_table_next(&m->tasks, &it);
    }
    return e;
}

/* Somebody starts or stops tasks; the node says that one is gone, and forgets it. */
static void disturb(struct mirror *m, struct gt_prng *rng)
{
    struct gt_table_entry *e = any(m, rng);
    switch (gt_prng_below(rng, 4)) {
    case 0:
        world_call(m->w, "RunTask", "{'taskDefinition': 'f', 'count': 2}");
        break;
    case 1:
        if (e) {
            world_call(m->w, "StopTask", "{'task': '%s'}", e->key);
        }
        break;
    case 2:
        if (e) {
            world_has(world_report_task(m->w, m->session, e->key, 1, "STOPPED", ""),
                      "\"refused\":[");
            gt_table_del(&m->tasks, gt_str(e->key));
        }
        break;
    default:
        break;
    }
}

static void compare(struct mirror *m)
{
    struct mirror fresh;
    mirror_init(&fresh, m->w, m->session);
    do {
        assert_true(poll(&fresh));
    } while (*fresh.more);
    assert_int_equal(fresh.tasks.count, m->tasks.count);
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&fresh.tasks, &it));) {
        const char *mine = gt_table_get(&m->tasks, gt_str(e->key));
        assert_non_null(mine);
        assert_string_equal(mine, e->value);
    }
    mirror_fini(&fresh);
}

/* Pages of one task, and of a few; after each of them the world may be another. */
GT_TEST(nothing_is_skipped_when_an_answer_is_cut)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct gt_prng rng = {seed};
        struct world w;
        struct mirror m;
        world_init_tight(&w, seed % 2 ? 100000 : 300);
        const char *session = world_node(&w, "n1", 100000000, 100000000);
        define(&w, "f", 10);
        start(&w, "f", 10 * (int)gt_prng_below(&rng, 4));
        mirror_init(&m, &w, session);
        for (int i = 0; i < 150; i++) {
            if (gt_prng_below(&rng, 50) == 0) { /* the agent starts anew, in the middle of a walk */
                m.session = world_node(&w, "n1", 100000000, 100000000);
                snprintf(m.revision, sizeof m.revision, "0");
                m.more[0] = '\0';
                gt_table_fini(&m.told);
                gt_table_init(&m.told);
            }
            poll(&m);
            disturb(&m, &rng);
        }
        while (poll(&m)) {
        }
        compare(&m);
        mirror_fini(&m);
        world_fini(&w);
    }
}

GT_TEST(a_position_is_one_of_ours)
{
    static const char *const bad[] = {
        "abc", "1x/ab", "/ab", "12/", "1/a/b", "999/ab", "99999999999999999999999/ab"};
    struct world w;
    world_init(&w);
    const char *session = world_node(&w, "n1", 1000, 1000);
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        world_has(world_call(&w, "Poll", "{'session': '%s', 'more': '%s'}", session, bad[i]),
                  "InvalidParameterException");
    }
    world_has(world_call(&w, "Poll", "{'session': '%s', 'more': '1/ab'}", session),
              "\"full\":true");
    world_fini(&w);
}

/* ---- a node is lost ---- */

static size_t keys(struct world *w, const char *rest)
{
    gt_auto_free char *prefix = gt_asprintf("000000000000/us-east-1/ecs/%s/", rest);
    const char *key = NULL;
    struct gt_str value;
    size_t n = 0;
    while (core_next_key(w->core, prefix, key, &key, &value)) {
        n++;
    }
    return n;
}

static const char *inside(struct world *w, const char *op, const char *node)
{
    w->as = PRINCIPAL_INTERNAL;
    const char *a = world_call(w, op, "{'nodeId': '%s'}", node);
    w->as = PRINCIPAL_ROOT;
    return a;
}

GT_TEST(a_node_with_thousands_of_tasks_is_lost)
{
    enum { MANY = 5000 };
    struct world w;
    struct mirror m;
    world_init(&w);
    const char *session = world_node(&w, "n1", 100000000, 100000000);
    define(&w, "f", 10);
    start(&w, "f", MANY);
    assert_int_equal(keys(&w, "live"), MANY);
    uint64_t before = core_revision(w.core);
    assert_string_equal(inside(&w, "NodeLost", "n1"), "{}");
    world_run(&w, 1);
    assert_int_equal(keys(&w, "live"), 0);
    assert_int_equal(keys(&w, "dead"), MANY);
    assert_int_equal(keys(&w, "group"), 0);
    assert_int_equal(keys(&w, "assign"), MANY); /* until it has let go */
    assert_int_equal(keys(&w, "lost"), 0);
    assert_in_range(core_revision(w.core) - before, 20, MANY); /* in steps, none of them tiny */
    session = world_node(&w, "n1", 100000000, 100000000);
    mirror_init(&m, &w, session);
    do {
        assert_true(poll(&m));
    } while (*m.more);
    assert_int_equal(m.tasks.count, MANY);
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&m.tasks, &it));) {
        assert_string_equal(e->value, "STOPPED");
    }
    mirror_fini(&m);
    world_fini(&w);
}

/* What was not stopped yet goes on; what was, stays so, and its node is told. */
GT_TEST(a_node_comes_back_while_its_tasks_are_being_stopped)
{
    enum { ALL = 30, STOPPED = 7 };
    for (int by_register = 0; by_register < 2; by_register++) {
        struct world w;
        struct mirror m;
        world_init_tight(&w, 100000); /* one task a step */
        const char *session = world_node(&w, "n1", 100000000, 100000000);
        define(&w, "f", 10);
        start(&w, "f", ALL);
        world_report(&w, session, "RUNNING");
        inside(&w, "NodeLost", "n1");
        assert_int_equal(keys(&w, "live"), ALL);
        while (keys(&w, "live") > ALL - STOPPED) {
            assert_int_equal(core_step_controllers(w.core, w.now, 1), 1);
        }
        world_check(&w);
        world_has(world_call(&w, "DescribeContainerInstances", "{'containerInstances': ['n1']}"),
                  "\"agentConnected\":false");
        world_has(world_call(&w, "RunTask", "{'taskDefinition': 'f'}"), "\"reason\":\"AGENT\"");
        if (by_register) {
            session = world_node(&w, "n1", 100000000, 100000000);
        } else {
            inside(&w, "NodeBack", "n1");
        }
        world_run(&w, 60000);
        assert_int_equal(keys(&w, "lost"), 0);
        assert_int_equal(keys(&w, "live"), ALL - STOPPED);
        assert_int_equal(world_report(&w, session, "RUNNING"), ALL);
        assert_int_equal(keys(&w, "assign"), ALL - STOPPED);
        world_has(world_call(&w, "DescribeContainerInstances", "{'containerInstances': ['n1']}"),
                  "\"runningTasksCount\":23");
        inside(&w, "NodeLost", "n1"); /* and from the start again */
        world_run(&w, 1);
        assert_int_equal(keys(&w, "live"), 0);
        mirror_init(&m, &w, session);
        while (poll(&m)) {
        }
        assert_int_equal(m.tasks.count, ALL - STOPPED);
        mirror_fini(&m);
        world_fini(&w);
    }
}

/* ---- a service is deleted ---- */

/* Returns how much memory a report of a thousand took. */
static size_t report_all(struct world *w, const char *session, const char *status)
{
    size_t most = 0;
    struct gt_arena_mark mark = gt_arena_mark(&w->arena);
    struct mirror m;
    mirror_init(&m, w, session);
    do {
        assert_true(poll(&m));
    } while (*m.more);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(GT_LIMIT_API_BODY);
    struct gt_table_iter it = {0};
    struct gt_table_entry *e = gt_table_next(&m.tasks, &it);
    while (e) {
        gt_buf_reset(&b);
        gt_buf_printf(&b, "{'session': '%s', 'tasks': [", session);
        for (int i = 0; i < 1000 && e; i++, e = gt_table_next(&m.tasks, &it)) {
            gt_buf_printf(&b, "%s{'id': '%s', 'generation': 1, 'sequence': 1, 'lastStatus': '%s'}",
                          i ? "," : "", e->key, *(char *)e->value == 'S' ? "STOPPED" : status);
        }
        gt_buf_puts(&b, "]}");
        world_has(world_call(w, "Report", "%s", b.p), "\"refused\":[]");
        most = GT_MAX(most, w->arena.used - mark.used);
        gt_arena_release(&w->arena, mark);
    }
    mirror_fini(&m);
    world_run(w, 1);
    return most;
}

GT_TEST(a_service_with_thousands_of_tasks_is_deleted)
{
    enum { MANY = 5000 };
    struct world w;
    world_init(&w);
    const char *session = world_node(&w, "n1", 100000000, 100000000);
    define(&w, "f", 10);
    world_has(world_call(&w, "CreateService",
                         "{'serviceName': 's', 'taskDefinition': 'f', 'desiredCount': %d}", MANY),
              "\"serviceName\":\"s\"");
    world_run(&w, 1);
    assert_int_equal(keys(&w, "live"), MANY);
    report_all(&w, session, "RUNNING");
    const char *d = world_call(&w, "DescribeServices", "{'services': ['s']}");
    world_has(d, "\"runningCount\":5000");
    world_has(d, "steady state");
    world_has(world_call(&w, "DeleteService", "{'service': 's', 'force': true}"), "DRAINING");
    world_run(&w, 1);
    assert_int_equal(keys(&w, "live"), 0);
    assert_int_equal(keys(&w, "assign"), MANY);
    report_all(&w, session, "RUNNING");
    assert_int_equal(keys(&w, "assign"), 0);
    world_has(world_call(&w, "DescribeServices", "{'services': ['s']}"), "INACTIVE");
    world_fini(&w);
}

/* What a look at a service, or a report, takes does not grow with the size of its tasks. */
GT_TEST(a_service_of_many_large_tasks)
{
    enum { MANY = 3000, TAGS = 48 };
    struct world w;
    world_init(&w);
    const char *session = world_node(&w, "n1", 100000000, 100000000);
    define(&w, "f", 10);
    gt_auto_buf struct gt_buf tags = GT_BUF_INIT(GT_MIB);
    for (int i = 0; i < TAGS; i++) {
        gt_buf_printf(&tags, "%s{'key': 'k%0100d', 'value': '%0250d'}", i ? "," : "", i, i);
    }
    world_has(world_call(&w, "CreateService",
                         "{'serviceName': 's', 'taskDefinition': 'f', 'desiredCount': %d, "
                         "'propagateTags': 'SERVICE', 'tags': [%s]}",
                         MANY, tags.p),
              "\"serviceName\":\"s\"");
    world_run(&w, 1);
    assert_int_equal(keys(&w, "live"), MANY);
    size_t before = w.arena.used;
    world_has(world_call(&w, "DescribeServices", "{'services': ['s']}"), "\"pendingCount\":3000");
    assert_true(w.arena.used - before < 2 * GT_MIB);
    assert_true(report_all(&w, session, "RUNNING") < 4 * GT_MIB);
    world_fini(&w);
}

GT_RUN(GT_CASE(a_node_is_told_of_all_its_tasks), GT_CASE(nothing_is_skipped_when_an_answer_is_cut),
       GT_CASE(a_position_is_one_of_ours), GT_CASE(a_node_with_thousands_of_tasks_is_lost),
       GT_CASE(a_node_comes_back_while_its_tasks_are_being_stopped),
       GT_CASE(a_service_with_thousands_of_tasks_is_deleted),
       GT_CASE(a_service_of_many_large_tasks))
