#include "control/server/server.h"

#include "control/server/housekeeping.h"
#include "control/server/liveness.h"
#include "control/server/past.h"
#include "control/server/server_priv.h"
#include "control/services/admin/admin.h"
#include "control/services/agent/agent.h"
#include "control/services/ecr/ecr.h"
#include "control/services/ecs/ecs.h"
#include "control/services/iam/iam.h"
#include "control/services/logs/logs.h"
#include "control/services/ssm/ssm.h"
#include "control/services/sts/sts.h"
#include "lib/base/build.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/wire/gen/admin.h"
#include "lib/wire/gen/agent.h"
#include "lib/wire/gen/ecr.h"
#include "lib/wire/gen/ecs.h"
#include "lib/wire/gen/iam.h"
#include "lib/wire/gen/logs.h"
#include "lib/wire/gen/ssm.h"
#include "lib/wire/gen/sts.h"
#include "lib/wire/json.h"

#include <fcntl.h>
#include <stdio.h>

enum {
    BULK_THREADS = 4,
    BULK_WAITING = 512,
    DRAIN_MS = 5000,
};

struct mounted *server_mounted(struct server *s, const char *service)
{
    for (size_t i = 0; i < s->n_mounted; i++) {
        if (gt_streq(s->mounted[i].model->name, service)) {
            return &s->mounted[i];
        }
    }
    return NULL;
}

static void mount(struct server *s, const struct wire_service *model, const struct service *service,
                  const struct server_route *routes, size_t n_routes, void *store)
{
    GT_ASSERT(s->n_mounted < SERVER_MAX_SERVICES);
    s->models[s->n_mounted] = model;
    s->services[s->n_mounted] = service;
    s->mounted[s->n_mounted++] = (struct mounted){model, service, routes, n_routes, store};
}

void server_hear(struct server *s, const struct principal *p)
{
    if (p->kind == PRINCIPAL_NODE && s->liveness) {
        liveness_heard(s->liveness, p->name);
    }
}

static void health(struct http_req *rq)
{
    struct http_answer a = HTTP_ANSWER_INIT(200);
    gt_buf_puts(&a.body, "ok\n");
    a.content_type = "text/plain";
    http_req_answer(rq, &a);
}

/* For a machine that wants to join: it may trust this only when it knows the authority's hash. */
static void introduce(struct server *s, struct http_req *rq)
{
    struct http_answer a = HTTP_ANSWER_INIT(200);
    gt_buf_puts(&a.body, "{\"region\":");
    wire_json_string(&a.body, gt_str(s->region));
    gt_buf_puts(&a.body, ",\"authority\":");
    wire_json_string(&a.body, gt_buf_view(&s->tls.authority));
    gt_buf_puts(&a.body, "}\n");
    a.content_type = "application/json";
    http_req_answer(rq, &a);
}

static void handle(struct http_req *rq, void *arg)
{
    struct server *s = arg;
    struct gt_str path = http_req_path(rq);
    if (gt_str_is(path, "/_gantry/health")) {
        health(rq);
    } else if (gt_str_is(path, "/_gantry/introduction")) {
        introduce(s, rq);
    } else if (!server_route(s, rq)) {
        server_api(s, rq);
    }
}

static int open_core(struct server *s, const struct server_options *o, const char *dir,
                     struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/core.db", dir);
    struct sqlite_journal_options jo = {0};
    int r = sqlite_journal_open(path, &jo, &s->journal, err);
    if (r < 0) {
        return r;
    }
    s->admin.journal = s->journal;
    struct core_options co = {.authorize = server_authorize};
    gt_rand_bytes(&co.seed, sizeof co.seed);
    struct core_thread_options to = {.build = gt_build(), .retention = o->history};
    return core_thread_start(s->journal, s->services, &co, &to, &s->core, err);
}

static int open_stores(struct server *s, const char *dir, const char *listen, bool tls,
                       struct gt_err *err)
{
    struct ecr_store_options eo = {
        .dir = dir, .host = listen, .tls = tls, .secret = s->keys.secret};
    int r = ecr_store_open(&eo, &s->ecr, err);
    if (r < 0) {
        return r;
    }
    gt_auto_free char *logs = gt_asprintf("%s/logs", dir);
    r = log_store_open(logs, &s->logs, err);
    if (r < 0) {
        return r;
    }
    return 0;
}

static void mount_all(struct server *s)
{
    mount(s, &iam_service_model, iam_control(), NULL, 0, NULL);
    mount(s, &sts_service_model, sts_control(), NULL, 0, &s->sealer);
    mount(s, &ecs_service_model, ecs_control(), NULL, 0, NULL);
    mount(s, &ecr_service_model, ecr_control(), ecr_routes, n_ecr_routes, s->ecr);
    mount(s, &logs_service_model, logs_control(), logs_routes, n_logs_routes, s->logs);
    mount(s, &agent_service_model, agent_control(), NULL, 0, NULL);
    mount(s, &ssm_service_model, ssm_control(), NULL, 0, NULL);
    mount(s, &admin_service_model, admin_control(), NULL, 0, &s->admin);
}

const struct service *const *server_services(void)
{
    static struct server all;
    if (all.n_mounted == 0) {
        mount_all(&all);
    }
    return all.services;
}

static int open_http(struct server *s, const struct server_options *o, struct gt_err *err)
{
    const struct gt_certificate *c = &s->tls.certificate;
    struct http_server_options ho = {.listen = o->listen,
                                     .tls_cert = c->pem.n ? c->pem.p : NULL,
                                     .tls_key = c->pem.n ? c->key.p : NULL,
                                     .handler = handle,
                                     .arg = s};
    return http_server_start(&ho, &s->http, err);
}

static int start(struct server *s, const struct server_options *o, struct gt_err *err)
{
    if (!strchr(o->listen, ':')) {
        return gt_err_set(err, GT_ERR_INVALID, "--listen '%s' is not HOST:PORT", o->listen);
    }
    gt_auto_free char *dir = gt_asprintf("%s/server", o->state_dir);
    int r = gt_mkdirs(dir, 0700, err);
    if (r == 0) {
        r = keys_load(&s->keys, o->state_dir, o->account ? o->account : "000000000000", err);
    }
    if (r == 0) {
        sts_sealer_init(&s->sealer, s->keys.secret);
        r = tls_load(o, gt_clock_real_ms(), &s->tls, err);
    }
    if (r == 0) {
        r = open_stores(s, dir, o->listen, s->tls.certificate.pem.n > 0, err);
    }
    if (r == 0) {
        mount_all(s);
        r = open_core(s, o, dir, err);
    }
    if (r < 0) {
        return r;
    }
    s->past = past_new(s->journal, s->services, server_authorize);
    s->bulk = bulk_new(BULK_THREADS, BULK_WAITING);
    s->liveness = liveness_start(s, &o->nodes);
    s->admin.detector = liveness_detector(s->liveness);
    s->housekeeping = housekeeping_start(s);
    return open_http(s, o, err);
}

int server_start(const struct server_options *o, struct server **ret, struct gt_err *err)
{
    struct server *s = gt_new(struct server);
    snprintf(s->region, sizeof s->region, "%s", o->region ? o->region : "us-east-1");
    s->signing_keys = sigv4_keys_new();
    int r = start(s, o, err);
    if (r < 0) {
        server_stop(s);
        return r;
    }
    *ret = s;
    return 0;
}

uint16_t server_port(const struct server *s)
{
    return http_server_port(s->http);
}

bool server_tls(const struct server *s)
{
    return s->tls.certificate.pem.n > 0;
}

/* Requests that the core has parked are in flight, but not for long. */
static void finish_requests(struct server *s)
{
    http_server_quiesce(s->http);
    int64_t until = gt_clock_mono_ms() + DRAIN_MS;
    for (;;) {
        struct core_thread_stats stats;
        core_thread_stats(s->core, &stats);
        if (http_server_drain(s->http, 5) <= stats.parked || gt_clock_mono_ms() > until) {
            return;
        }
    }
}

void server_stop(struct server *s)
{
    struct gt_err err = GT_ERR_INIT;
    if (s->http) {
        finish_requests(s);
    }
    liveness_stop(s->liveness);
    housekeeping_stop(s->housekeeping);
    if (s->core) {
        server_core_shut(s);
        core_thread_stop(s->core); /* answers long polls, too */
    }
    if (s->http) {
        http_server_drain(s->http, DRAIN_MS);
        if (http_server_halt(s->http, &err) < 0) {
            gt_warn("stop: %s: given up", err.msg);
            return; /* the process ends; all that was acknowledged is durable */
        }
    }
    past_free(s->past);
    bulk_free(s->bulk); /* after what the network threads gave it last */
    if (s->http) {
        http_server_free(s->http);
    }
    journal_close(s->journal);
    ecr_store_close(s->ecr);
    log_store_close(s->logs);
    sigv4_keys_free(s->signing_keys);
    tls_fini(&s->tls);
    free(s);
}
