/* The whole server in this process: network threads, core, journal and workers under calls from
 * several clients, and stopped in the middle of them. */
#include "gt_test.h"

#include "control/server/keys.h"
#include "control/server/server.h"
#include "control/services/sts/session.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/http/api_client.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/gen/logs.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { CLIENTS = 4, CALLS = 50, CALLS_AT_MOST = 100000 };

static char dir[64];
static struct keys keys;

static struct server *start(void)
{
    struct server *s = NULL;
    struct gt_err err;
    struct server_options o = {.listen = "127.0.0.1:0", .state_dir = dir};
    gt_assert_ok(server_start(&o, &s, &err), err);
    gt_assert_ok(keys_load(&keys, dir, "000000000000", &err), err);
    return s;
}

struct client {
    pthread_t thread;
    struct api_client *api;
    char name[16];
    int calls;
    int64_t acknowledged; /* the last revision that was answered */
    struct gt_err err;    /* why it ended early */
};

static void connect_to(struct client *c, struct server *s, int id)
{
    gt_auto_free char *endpoint = gt_asprintf("http://127.0.0.1:%d", server_port(s));
    struct api_client_options o = {.endpoint = endpoint,
                                   .region = "us-east-1",
                                   .access_key = keys.root_id,
                                   .secret_key = keys.root_secret};
    c->err = GT_ERR_INIT;
    snprintf(c->name, sizeof c->name, "c%d", id);
    gt_assert_ok(api_client_new(&o, &c->api, &c->err), c->err);
}

/* A write of the core. Returns the new revision. */
static int64_t define(struct client *c, struct gt_arena *a)
{
    struct ecs_container_definition container = {.name = GT_STR_LIT("main"),
                                                 .image = GT_STR_LIT("busybox")};
    WIRE_SET(&container, memory, 64);
    struct ecs_register_task_definition_in in = {.family = gt_str(c->name),
                                                 .container_definitions = {&container, 1}};
    struct ecs_register_task_definition_out out;
    int r = api_call(c->api, &ecs_op_register_task_definition, &in, a, &out, &c->err);
    return r < 0 ? r : out.task_definition->revision;
}

/* A read of the core. */
static int64_t newest(struct client *c, struct gt_arena *a)
{
    struct ecs_describe_task_definition_in in = {.task_definition = gt_str(c->name)};
    struct ecs_describe_task_definition_out out;
    int r = api_call(c->api, &ecs_op_describe_task_definition, &in, a, &out, &c->err);
    return r < 0 ? r : out.task_definition->revision;
}

static int make_stream(struct client *c, struct gt_arena *a)
{
    struct logs_create_log_group_in group = {.log_group_name = gt_str(c->name)};
    struct logs_create_log_stream_in stream = {.log_group_name = gt_str(c->name),
                                               .log_stream_name = GT_STR_LIT("s")};
    int r = api_call(c->api, &logs_op_create_log_group, &group, a, NULL, &c->err);
    return r < 0 ? r : api_call(c->api, &logs_op_create_log_stream, &stream, a, NULL, &c->err);
}

/* On the workers: an event, and all there are. Returns how many. */
static int64_t log_one(struct client *c, struct gt_arena *a)
{
    struct logs_input_log_event event = {.message = GT_STR_LIT("hello")};
    WIRE_SET(&event, timestamp, gt_clock_real_ms());
    struct logs_put_log_events_in put = {.log_group_name = gt_str(c->name),
                                         .log_stream_name = GT_STR_LIT("s"),
                                         .log_events = {&event, 1}};
    struct logs_get_log_events_in get = {.log_group_name = gt_str(c->name),
                                         .log_stream_name = GT_STR_LIT("s")};
    struct logs_get_log_events_out out;
    int r = api_call(c->api, &logs_op_put_log_events, &put, a, NULL, &c->err);
    r = r < 0 ? r : api_call(c->api, &logs_op_get_log_events, &get, a, &out, &c->err);
    return r < 0 ? r : (int64_t)out.events.n;
}

static void *call_much(void *arg)
{
    struct client *c = arg;
    for (int i = 0; i < c->calls && c->err.kind == GT_ERR_NONE; i++) {
        struct gt_arena a;
        gt_arena_init(&a, 1 << 20);
        int64_t r = define(c, &a);
        if (r > 0) {
            assert_int_equal(r, c->acknowledged + 1);
            c->acknowledged = r;
            r = newest(c, &a);
            assert_true(r < 0 || r == c->acknowledged);
        }
        if (i < CALLS && r > 0 && (i > 0 || make_stream(c, &a) == 0)) {
            r = log_one(c, &a);
            assert_true(r < 0 || r == i + 1);
        }
        gt_arena_fini(&a);
    }
    return NULL;
}

static void start_clients(struct client *all, struct server *s, int calls)
{
    for (int i = 0; i < CLIENTS; i++) {
        all[i].calls = calls;
        connect_to(&all[i], s, i);
        assert_int_equal(pthread_create(&all[i].thread, NULL, call_much, &all[i]), 0);
    }
}

static void join_clients(struct client *all)
{
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(all[i].thread, NULL);
        api_client_free(all[i].api);
    }
}

GT_TEST(many_clients_at_once)
{
    struct client all[CLIENTS] = {0};
    strcpy(dir, "/tmp/gt-server-XXXXXX");
    assert_non_null(mkdtemp(dir));
    struct server *s = start();
    start_clients(all, s, CALLS);
    join_clients(all);
    for (int i = 0; i < CLIENTS; i++) {
        assert_string_equal(all[i].err.msg, "");
        assert_int_equal(all[i].acknowledged, CALLS);
    }
    server_stop(s);
    gt_remove_tree(AT_FDCWD, dir, NULL);
}

GT_TEST(stopped_under_load_it_keeps_what_it_answered)
{
    struct client all[CLIENTS] = {0};
    strcpy(dir, "/tmp/gt-server-XXXXXX");
    assert_non_null(mkdtemp(dir));
    struct server *s = start();
    start_clients(all, s, CALLS_AT_MOST);
    usleep(200000);
    server_stop(s);
    join_clients(all);
    s = start();
    for (int i = 0; i < CLIENTS; i++) {
        struct gt_arena a;
        gt_arena_init(&a, 1 << 20);
        assert_int_not_equal(all[i].err.kind, GT_ERR_NONE);
        connect_to(&all[i], s, i);
        int64_t r = newest(&all[i], &a);
        assert_in_range(r, all[i].acknowledged, all[i].acknowledged + 1);
        api_client_free(all[i].api);
        gt_arena_fini(&a);
    }
    server_stop(s);
    gt_remove_tree(AT_FDCWD, dir, NULL);
}

/* What a call with a session's keys is answered; the session ends in `left_ms`. */
static const char *answer_to(struct server *s, int64_t left_ms, bool with_token)
{
    struct sts_sealer sealer;
    struct sts_keys of;
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    gt_arena_init(&a, 1 << 20);
    sts_sealer_init(&sealer, keys.secret);
    const int64_t now = gt_clock_real_ms();
    struct principal_session session = {.role_id = GT_STR_LIT("AROA"),
                                        .name = GT_STR_LIT("me"),
                                        .issued_at = now - 3600000,
                                        .expires_at = now + left_ms};
    gt_assert_ok(sts_session_make(&sealer, gt_str(keys.account), GT_STR_LIT("gone"), &session, &a,
                                  &of, &err),
                 err);
    gt_auto_free char *endpoint = gt_asprintf("http://127.0.0.1:%d", server_port(s));
    struct api_client_options o = {.endpoint = endpoint,
                                   .region = "us-east-1",
                                   .access_key = of.key_id,
                                   .secret_key = of.secret,
                                   .session_token = with_token ? of.token.p : NULL};
    gt_auto(api_client) struct api_client *client = NULL;
    gt_assert_ok(api_client_new(&o, &client, &err), err);
    struct ecs_list_clusters_in in = {0};
    static char name[64];
    assert_true(api_call(client, &ecs_op_list_clusters, &in, &a, NULL, &err) < 0);
    snprintf(name, sizeof name, "%s", api_client_exception(client));
    gt_arena_fini(&a);
    return name;
}

GT_TEST(a_session_ends)
{
    snprintf(dir, sizeof dir, "/tmp/gt-server-XXXXXX");
    assert_non_null(mkdtemp(dir));
    struct server *s = start();
    assert_string_equal(answer_to(s, -1, true), "ExpiredTokenException");
    assert_string_equal(answer_to(s, 60000, true), "UnrecognizedClientException"); /* no role */
    assert_string_equal(answer_to(s, 60000, false), "UnrecognizedClientException");
    server_stop(s);
    gt_remove_tree(AT_FDCWD, dir, NULL);
}

GT_RUN(GT_CASE(many_clients_at_once), GT_CASE(stopped_under_load_it_keeps_what_it_answered),
       GT_CASE(a_session_ends))
