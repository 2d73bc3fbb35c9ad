/*
 * From RunTask calls to all RUNNING: the production core with its thread, controllers, scheduler
 * and the sqlite journal on the disk of DIR, and nodes that are played. Every call is answered when
 * it is durable, as a server's are.
 *
 *     cluster-rate run DIR [tasks [nodes [threads]]]
 *     cluster-rate recover DIR
 *
 * run: prints the seconds that registering took, the seconds from the first RunTask until the last
 * task is RUNNING, the bytes of resident memory that a task has added, those that it has in the
 * journal, the state's keys and the journal's commits. Threads call RunTask for ten tasks each;
 * after each, the nodes of those tasks poll and report them RUNNING, as agents do.
 * recover: prints the seconds until the first call is answered, and the bytes of resident memory.
 */
#include "control/core/thread.h"
#include "control/services/agent/agent.h"
#include "control/services/ecs/ecs.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/wire/gen/agent.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/json.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { A_CALL = 10, FAMILIES = 20, MAX_THREADS = 256 };

struct node {
    pthread_mutex_t lock;
    char id[24], session[80];
    int64_t revision;
};

static struct {
    struct core_thread *core;
    struct node *nodes;
    size_t n_nodes;
    atomic_size_t called, running; /* RunTask calls; tasks reported RUNNING */
    size_t calls;
} bench;

/* One caller: its memory is used again for each call. */
struct caller {
    struct gt_arena arena;
    const char *as; /* a node's id; NULL: the account's owner */
};

__attribute__((format(printf, 2, 3), noreturn)) static void fail(const char *what, const char *fmt,
                                                                 ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "cluster-rate: %s: ", what);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

/* The answer, which lives until the caller's next call. */
static const void *call(struct caller *c, const struct service *s, const struct wire_op *op,
                        struct gt_str body)
{
    struct gt_err err = GT_ERR_INIT;
    void *in = gt_arena_alloc(&c->arena, op->in->size);
    void *out = gt_arena_alloc(&c->arena, op->out->size);
    if (wire_json_decode(op->in, body, &c->arena, in, &err) < 0) {
        fail(op->name, "%s", err.msg);
    }
    struct core_request rq = {
        .call = {.op = &s->ops[op->index],
                 .in = in,
                 .out = out,
                 .principal = {.kind = c->as ? PRINCIPAL_NODE : PRINCIPAL_ROOT,
                               .account = GT_STR_LIT("000000000000"),
                               .name = gt_str(c->as),
                               .arn = GT_STR_LIT("arn:aws:iam::000000000000:root")},
                 .region = GT_STR_LIT("us-east-1"),
                 .arena = &c->arena,
                 .label = gt_str(op->name),
                 .input = body},
        .class = c->as ? CORE_AGENT : CORE_API,
    };
    if (!core_thread_run(bench.core, &rq)) {
        fail(op->name, "throttled");
    }
    if (rq.call.result < 0) {
        fail(op->name, "%s", rq.call.err.msg);
    }
    return out;
}

#define body(c, ...) gt_str(gt_arena_printf(&(c)->arena, __VA_ARGS__))

static void start(const char *dir, struct journal **ret)
{
    static const struct service *services[3];
    services[0] = ecs_control();
    services[1] = agent_control();
    gt_auto_free char *path = gt_asprintf("%s/core.db", dir);
    struct gt_err err = GT_ERR_INIT;
    if (sqlite_journal_open(path, NULL, ret, &err) < 0 ||
        core_thread_start(*ret, services, &(struct core_options){.seed = 1}, NULL, &bench.core,
                          &err) < 0) {
        fail(path, "%s", err.msg);
    }
}

static void stop(struct journal *j)
{
    core_thread_stop(bench.core);
    journal_close(j);
}

static void register_nodes(struct caller *c)
{
    static const char *const zones[] = {"us-east-1a", "us-east-1b", "us-east-1c"};
    for (size_t i = 0; i < bench.n_nodes; i++) {
        struct node *n = &bench.nodes[i];
        snprintf(n->id, sizeof n->id, "node-%05zu", i);
        pthread_mutex_init(&n->lock, NULL);
        c->as = n->id;
        const struct agent_register_node_out *out =
            call(c, agent_control(), &agent_op_register_node,
                 body(c,
                      "{\"nodeId\":\"%s\",\"name\":\"%s\",\"cpu\":65536,\"memory\":262144,"
                      "\"version\":\"0.1.0\",\"subnet\":\"10.%zu.%zu.0/24\",\"attributes\":[{"
                      "\"name\":\"ecs.availability-zone\",\"value\":\"%s\"},{\"name\":"
                      "\"ecs.cpu-architecture\",\"value\":\"x86_64\"}]}",
                      n->id, n->id, i / 256, i % 256, zones[i % 3]));
        snprintf(n->session, sizeof n->session, GT_STR_FMT, GT_STR_ARG(out->session));
        gt_arena_reset(&c->arena);
    }
    c->as = NULL;
    for (int i = 0; i < FAMILIES; i++) {
        call(c, ecs_control(), &ecs_op_register_task_definition,
             body(c,
                  "{\"family\":\"web-%d\",\"containerDefinitions\":[{\"name\":\"app\",\"image\":"
                  "\"registry.example/app:1.%d\",\"cpu\":64,\"memory\":128,\"command\":[\"serve\","
                  "\"--port\",\"8080\"],\"environment\":[{\"name\":\"STAGE\",\"value\":\"prod\"}]}]"
                  "}",
                  i, i));
        gt_arena_reset(&c->arena);
    }
}

static void report(struct caller *c, struct node *n, const struct agent_task *t)
{
    int64_t now = gt_clock_real_ms();
    const struct agent_report_out *out =
        call(c, agent_control(), &agent_op_report,
             body(c,
                  "{\"session\":\"%s\",\"tasks\":[{\"id\":\"" GT_STR_FMT
                  "\",\"generation\":%lld,\"sequence\":1,\"lastStatus\":\"RUNNING\","
                  "\"pullStartedAt\":%lld,\"pullStoppedAt\":%lld,\"startedAt\":%lld,"
                  "\"containers\":[{\"name\":\"app\",\"lastStatus\":\"RUNNING\",\"runtimeId\":"
                  "\"" GT_STR_FMT "-0001\",\"imageDigest\":\"sha256:%064llx\"}]}]}",
                  n->session, GT_STR_ARG(t->id), (long long)t->generation, (long long)now,
                  (long long)now, (long long)now, GT_STR_ARG(t->id), 0x1234567ULL));
    if (out->refused.n) {
        fail("Report", GT_STR_FMT, GT_STR_ARG(out->refused.v[0].reason));
    }
    atomic_fetch_add(&bench.running, 1);
}

/* What a node has to do, if another caller has not seen to it. */
static void play(struct caller *c, struct node *n)
{
    pthread_mutex_lock(&n->lock);
    c->as = n->id;
    const struct agent_poll_out *out =
        call(c, agent_control(), &agent_op_poll,
             body(c, "{\"session\":\"%s\",\"revision\":%lld}", n->session, (long long)n->revision));
    n->revision = out->revision;
    for (size_t i = 0; i < out->tasks.n; i++) {
        if (gt_str_is(out->tasks.v[i].last_status, "PENDING")) {
            report(c, n, &out->tasks.v[i]);
        }
    }
    pthread_mutex_unlock(&n->lock);
    c->as = NULL;
}

static void run_tasks(struct caller *c, size_t number)
{
    const struct ecs_run_task_out *out =
        call(c, ecs_control(), &ecs_op_run_task,
             body(c, "{\"taskDefinition\":\"web-%zu\",\"count\":%d,\"startedBy\":\"bench\"}",
                  number % FAMILIES, A_CALL));
    if (out->tasks.n != A_CALL) {
        fail("RunTask", "%zu tasks", out->tasks.n);
    }
    struct node *of[A_CALL];
    for (size_t i = 0; i < A_CALL; i++) {
        struct gt_str arn = out->tasks.v[i].container_instance_arn;
        const char *number_of = (const char *)memrchr(arn.p, '-', arn.n) + 1;
        of[i] = &bench.nodes[strtoul(number_of, NULL, 10)];
    }
    for (size_t i = 0; i < A_CALL; i++) {
        gt_arena_reset(&c->arena);
        play(c, of[i]);
    }
    gt_arena_reset(&c->arena);
}

static void *caller_main(void *arg)
{
    struct caller c = {0};
    gt_arena_init(&c.arena, GT_LIMIT_API_ARENA);
    for (size_t i; (i = atomic_fetch_add(&bench.called, 1)) < bench.calls;) {
        run_tasks(&c, i);
    }
    gt_arena_fini(&c.arena);
    return NULL;
}

static size_t resident(void)
{
    size_t total, pages = 0;
    malloc_trim(0);
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%zu %zu", &total, &pages) != 2) {
        fail("/proc/self/statm", "cannot be read");
    }
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static double seconds_since(int64_t ns)
{
    return (double)(gt_clock_mono_ns() - ns) / 1e9;
}

static void run(const char *dir, size_t tasks, size_t nodes, size_t threads)
{
    struct journal *j;
    struct caller c = {0};
    gt_arena_init(&c.arena, GT_LIMIT_API_ARENA);
    bench.nodes = gt_new_array(struct node, nodes);
    bench.n_nodes = nodes;
    bench.calls = tasks / A_CALL;
    start(dir, &j);
    int64_t from = gt_clock_mono_ns();
    register_nodes(&c);
    printf("registered %.1f\n", seconds_since(from));
    fflush(stdout);
    size_t before = resident();
    pthread_t t[MAX_THREADS];
    from = gt_clock_mono_ns();
    for (size_t i = 0; i < threads; i++) {
        pthread_create(&t[i], NULL, caller_main, NULL);
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(t[i], NULL);
    }
    double took = seconds_since(from);
    if (bench.running != bench.calls * A_CALL) {
        fail("run", "%zu tasks are RUNNING", (size_t)bench.running);
    }
    struct core_thread_stats s;
    struct journal_stats js;
    core_thread_stats(bench.core, &s);
    journal_stats(j, &js);
    printf("running %.1f\nmemory %.0f\njournal %.0f\nkeys %zu\ncommits %llu\n", took,
           (double)(resident() - before) / (double)bench.running,
           (double)js.bytes / (double)bench.running, s.keys, (unsigned long long)js.commits);
    stop(j);
    gt_arena_fini(&c.arena);
    free(bench.nodes);
}

static void recover(const char *dir)
{
    struct journal *j;
    struct caller c = {0};
    gt_arena_init(&c.arena, GT_LIMIT_API_ARENA);
    int64_t from = gt_clock_mono_ns();
    start(dir, &j);
    call(&c, ecs_control(), &ecs_op_list_clusters, GT_STR_LIT("{}"));
    double took = seconds_since(from);
    printf("serving %.3f\nresident %zu\n", took, resident());
    fflush(stdout);
    _exit(0); /* as a server that is killed */
}

int main(int argc, char **argv)
{
    size_t number[3] = {1000000, 5000, 32};
    for (int i = 3; i < argc && i < 6; i++) {
        number[i - 3] = strtoul(argv[i], NULL, 10);
    }
    if (argc >= 3 && gt_streq(argv[1], "run") && number[2] <= MAX_THREADS) {
        run(argv[2], number[0], number[1], number[2]);
    } else if (argc == 3 && gt_streq(argv[1], "recover")) {
        recover(argv[2]);
    } else {
        fail("usage", "run DIR [tasks [nodes [threads]]] | recover DIR");
    }
    return 0;
}
