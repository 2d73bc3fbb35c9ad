/* Nodes of a server that came back with an older state. */
#include "gt_test.h"
#include "world.h"

#include "control/services/admin/admin.h"
#include "lib/base/mem.h"

static const char web[] = "{'family': 'web', 'containerDefinitions': [{'name': 'c', 'image': "
                          "'busybox', 'cpu': 100, 'memory': 64}]}";

static const char *run_one(struct world *w)
{
    const char *answer = world_do(w, "RunTask", "{'taskDefinition': 'web'}");
    const char *arn = world_get(w, answer, "taskArn", 0);
    const char *id = strrchr(arn, '/');
    assert_non_null(id);
    return id + 1;
}

struct memory {
    const char *session;
    long long epoch, revision;
};

/* What the node knows after a walk over all that is its. */
static struct memory walk(struct world *w, const char *session)
{
    const char *p = world_call(w, "Poll", "{'session': '%s', 'revision': 0}", session);
    return (struct memory){session, atoll(world_get(w, p, "epoch", 0)),
                           atoll(world_get(w, p, "revision", 0))};
}

static const char *come_back(struct world *w, struct memory m)
{
    return world_do(w, "RegisterNode",
                    "{'name': 'n1', 'nodeId': 'n1', 'cpu': 1024, 'memory': 1000, "
                    "'epoch': %lld, 'revision': %lld}",
                    m.epoch, m.revision);
}

static const char *report(struct world *w, const char *session, const char *id)
{
    return world_call(w, "Report",
                      "{'session': '%s', 'tasks': [{'id': '%s', 'generation': 1, 'sequence': 50, "
                      "'lastStatus': 'RUNNING', 'family': 'web'}]}",
                      session, id);
}

/* Before the backup: one that stays and one that ends afterwards; then one that comes. */
struct story {
    struct world w;
    const char *stays, *ends, *later;
    struct memory memory;
};

static void begin(struct story *s)
{
    world_third = admin_control();
    world_init(&s->w);
    core_begin_epoch(s->w.core, "test", s->w.now);
    world_call(&s->w, "RegisterTaskDefinition", web);
    const char *session = world_node(&s->w, "n1", 1024, 1000);
    s->stays = run_one(&s->w);
    s->ends = run_one(&s->w);
    world_report(&s->w, session, "RUNNING");
    uint64_t backup = core_revision(s->w.core);
    world_do(&s->w, "StopTask", "{'task': '%s'}", s->ends);
    world_report(&s->w, session, "RUNNING");
    s->later = run_one(&s->w);
    world_report(&s->w, session, "RUNNING");
    s->memory = walk(&s->w, session);
    assert_true(s->memory.epoch != 0 && s->memory.revision > (long long)backup);
    world_restore(&s->w, backup);
}

GT_TEST(nothing_is_said_until_it_is_adopted)
{
    struct story s;
    begin(&s);
    struct world *w = &s.w;
    /* A session that goes on from before does not help. */
    world_has(world_call(w, "Poll", "{'session': '%s', 'epoch': %lld, 'revision': %lld}",
                         s.memory.session, s.memory.epoch, s.memory.revision),
              "StaleSessionException");
    const char *back = come_back(w, s.memory);
    world_has(back, "\"astray\":true");
    const char *session = world_get(w, back, "session", 0);
    const char *p = world_call(w, "Poll", "{'session': '%s', 'revision': 0}", session);
    world_has(p, "\"tasks\":[]");
    world_has(p, "\"full\":false");
    report(w, session, s.stays);
    world_has(report(w, session, s.later), "not assigned to this node");
    world_has(world_do(w, "RunTask", "{'taskDefinition': 'web'}"), "\"failures\":[{");

    const char *dry = world_call(w, "Adopt", "{'dryRun': true}");
    world_has(dry, "\"goOn\":1,\"end\":1,\"gone\":1");
    world_has(world_call(w, "Adopt", "{'nodeIds': ['n2']}"), "is not astray");
    world_has(world_do(w, "Adopt", "{}"), "\"goOn\":1,\"end\":1,\"gone\":1");
    world_has(world_call(w, "Poll", "{'session': '%s', 'revision': 0}", session),
              "StaleSessionException");

    back = come_back(w, s.memory); /* it remembers what it did before */
    world_has(back, "\"astray\":false");
    world_has(back, "\"adopted\":true");
    session = world_get(w, back, "session", 0);
    struct memory now = walk(w, session);
    p = world_call(w, "Poll", "{'session': '%s', 'revision': 0}", session);
    world_has(p, s.stays);
    world_has(p, s.ends);
    world_has(p, "\"full\":true");
    world_has(world_do(w, "RunTask", "{'taskDefinition': 'web'}"), "\"failures\":[{"); /* not yet */
    world_do(w, "Poll", "{'session': '%s', 'epoch': %lld, 'revision': %lld, 'waitMs': 1}", session,
             now.epoch, now.revision);
    run_one(w);
    world_has(world_call(w, "Adopt", "{'dryRun': true}"), "\"nodes\":[]");
    /* With what it knows now it is no stranger. */
    now = walk(w, session);
    world_has(come_back(w, now), "\"astray\":false");
    world_check(w);
    world_fini(w);
}

GT_TEST(also_when_the_server_has_come_further)
{
    struct story s;
    begin(&s);
    while ((long long)core_revision(s.w.core) < s.memory.revision + 5) {
        world_do(&s.w, "CreateCluster", "{'clusterName': 'c%llu'}",
                 (unsigned long long)core_revision(s.w.core));
    }
    world_has(come_back(&s.w, s.memory), "\"astray\":true");
    world_fini(&s.w);
}

GT_TEST(who_knows_no_more_than_the_server_is_not)
{
    struct story s;
    begin(&s);
    struct memory m = s.memory;
    m.revision = (long long)core_revision(s.w.core) - 1; /* the epoch's own revision came since */
    world_has(come_back(&s.w, m), "\"astray\":false");
    world_has(world_call(&s.w, "Adopt", "{}"), "\"nodes\":[]");
    world_fini(&s.w);
}

/* The server had started anew, so that the node walks once more from the beginning; then it came
 * back from before that. The session is older than the backup, and still good. */
GT_TEST(who_walks_anew_is_asked_what_it_knows)
{
    struct story s;
    begin(&s);
    const char *session = world_node(&s.w, "n2", 1024, 1000);
    uint64_t backup = core_revision(s.w.core);
    core_begin_epoch(s.w.core, "test", s.w.now + 1000);
    struct memory m = walk(&s.w, session);
    world_restore(&s.w, backup);
    world_has(world_call(&s.w, "Poll", "{'session': '%s', 'revision': 0, 'epoch': %lld}", session,
                         m.epoch),
              "StaleSessionException");
    world_has(world_call(&s.w, "Poll", "{'session': '%s', 'revision': 0}", session), "\"full\"");
    world_fini(&s.w);
}

GT_TEST(a_deregistered_one_leaves_nothing)
{
    struct story s;
    begin(&s);
    const char *session = world_get(&s.w, come_back(&s.w, s.memory), "session", 0);
    report(&s.w, session, s.later);
    const char *key = NULL, *prefix = "000000000000/us-east-1/ecs/astray/";
    struct gt_str value;
    assert_true(core_next_key(s.w.core, prefix, NULL, &key, &value));
    world_do(&s.w, "DeregisterContainerInstance", "{'containerInstance': 'n1', 'force': true}");
    assert_false(core_next_key(s.w.core, prefix, NULL, &key, &value));
    world_fini(&s.w);
}

GT_RUN(GT_CASE(nothing_is_said_until_it_is_adopted), GT_CASE(also_when_the_server_has_come_further),
       GT_CASE(who_knows_no_more_than_the_server_is_not),
       GT_CASE(who_walks_anew_is_asked_what_it_knows), GT_CASE(a_deregistered_one_leaves_nothing))
