/* Keys of tasks' roles: fetched from the server, handed to gantry-link, renewed in time. */
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/wire/json.h"
#include "lib/wire/timestamp.h"
#include "node/agent/session.h"
#include "node/agent/task.h"
#include "node/link/link_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    TRIES = 5,        /* of a start: the server answered a moment ago */
    PAUSE_MS = 500,   /* between them */
    RENEWALS = 8,     /* at a time: after a restart of the agent all are due at once */
    AGAIN_MS = 60000, /* a renewal that came to nothing */
};

bool task_has_role(const struct task *t)
{
    bool named = t->def.task_role_arn.n > 0 || t->over.task_role_arn.n > 0;
    return named && t->network != NETWORK_NONE;
}

void task_keys_name(struct task *t)
{
    uint64_t a = gt_rand_u64(), b = gt_rand_u64();
    if (task_has_role(t) && !t->keys.id[0]) { /* a random UUID, version 4 */
        snprintf(t->keys.id, sizeof t->keys.id,
                 "%08" PRIx64 "-%04" PRIx64 "-4%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64, a >> 32,
                 (a >> 16) & 0xffff, a & 0xfff, 0x8000 | (b >> 48 & 0x3fff), b & 0xffffffffffff);
    }
}

static void put(struct gt_buf *to, const char *name, struct gt_str value)
{
    gt_buf_printf(to, "%c\"%s\":", to->n ? ',' : '{', name);
    wire_json_string(to, value);
}

/* As the ECS agent serves them. */
static char *document(const struct agent_task_credentials_out *out)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(64 * GT_KIB), time = GT_BUF_INIT(64);
    wire_time_put_iso(out->expires_at, &time);
    put(&b, "RoleArn", out->role_arn);
    put(&b, "AccessKeyId", out->access_key_id);
    put(&b, "SecretAccessKey", out->secret_access_key);
    put(&b, "Token", out->session_token);
    put(&b, "Expiration", gt_buf_view(&time));
    gt_buf_puts(&b, "}");
    return gt_strndup(b.p, b.n);
}

/* What the server says of a role is for people: without the exception's name. */
static void plain_words(const struct api_client *c, struct gt_err *err)
{
    size_t name = strlen(api_client_exception(c));
    if (name && strncmp(err->msg, api_client_exception(c), name) == 0 &&
        strncmp(err->msg + name, ": ", 2) == 0) {
        memmove(err->msg, err->msg + name + 2, strlen(err->msg + name + 2) + 1);
    }
}

static int ask(struct node *n, const char *task, atomic_bool *give_up, char **ret_json,
               int64_t *ret_due_ms, struct gt_err *err)
{
    gt_auto(api_client) struct api_client *client = NULL;
    char session[SESSION_ID_MAX];
    struct gt_arena a;
    struct agent_task_credentials_out out = {0};
    if (!session_current(n->session, session)) {
        return gt_err_set(err, GT_ERR_UNAVAILABLE, "keys for the task's role: no session");
    }
    gt_arena_init(&a, GT_MIB);
    struct agent_task_credentials_in in = {.session = gt_str(session), .task_id = gt_str(task)};
    int r = node_client_new(n, NULL, 0, give_up, &client, err);
    r = r < 0 ? r : api_call(client, &agent_op_task_credentials, &in, &a, &out, err);
    if (r == 0) {
        *ret_json = document(&out);
        *ret_due_ms = out.issued_at + (out.expires_at - out.issued_at) / 2;
    } else if (client) {
        if (gt_streq(api_client_exception(client), "StaleSessionException")) {
            err->kind = GT_ERR_UNAVAILABLE; /* it has just been replaced: not the last word */
        }
        plain_words(client, err);
    }
    gt_arena_fini(&a);
    return r;
}

int task_keys_fetch(struct task *t, char **ret_json, int64_t *ret_due_ms, struct gt_err *err)
{
    for (int tries = 1;; tries++) {
        *err = GT_ERR_INIT;
        int r = ask(t->node, t->id, &t->give_up, ret_json, ret_due_ms, err);
        if (r == 0 || tries == TRIES || !api_passing(err) || atomic_load(&t->give_up)) {
            return r;
        }
        node_pause(&t->give_up, PAUSE_MS);
    }
}

void task_keys_take(struct task *t, char *json, int64_t due_ms)
{
    free(t->keys.json);
    t->keys.json = json;
    t->keys.due_ms = due_ms;
}

void task_keys_find(struct task *t)
{
    gt_auto_buf struct gt_buf bytes = GT_BUF_INIT(LINK_STATE_MAX);
    gt_auto_free char *first = gt_asprintf("%s.0", t->id);
    struct link_task l;
    if (!task_has_role(t)) {
        return;
    }
    const char *id = t->network == NETWORK_BRIDGE ? first : t->id;
    struct gt_err err = GT_ERR_INIT;
    int r = link_state_read(t->node->o.run_dir, id, &bytes, &l, &err);
    if (r < 0 || l.n_credentials == 0 || l.credentials[0].id.n >= sizeof t->keys.id) {
        gt_warn("task %s: the keys of its role are not found again: %s", t->id,
                r < 0 ? err.msg : "there are none");
        return; /* its containers know an id that nobody knows any more */
    }
    snprintf(t->keys.id, sizeof t->keys.id, GT_STR_FMT, GT_STR_ARG(l.credentials[0].id));
    /* When they end is not known: newer ones are to be had at once. */
    task_keys_take(t, gt_strndup(l.credentials[0].json.p, l.credentials[0].json.n), 0);
}

/* --- renewal: the task may be gone when the answer comes */

struct renewal {
    struct node *n;
    char task[65];
    char *json;
    int64_t due_ms;
    int result;
    struct gt_err err;
};

static void renew(void *arg)
{
    struct renewal *w = arg;
    w->result = ask(w->n, w->task, NULL, &w->json, &w->due_ms, &w->err);
}

static void renewed(struct node *n, void *arg)
{
    struct renewal *w = arg;
    struct task *t = gt_table_get(&n->tasks, gt_str(w->task));
    if (t && w->result == 0) {
        task_keys_take(t, gt_steal_ptr(w->json), w->due_ms);
        if (t->phase < TASK_CLEANING) {
            task_write_metadata(t);
        }
    } else if (t) {
        gt_warn("task %s: the keys of its role are not renewed: %s", t->id, w->err.msg);
        t->keys.again_ms = gt_clock_mono_ms() + AGAIN_MS;
    }
    if (t) {
        t->keys.renewing = false;
    }
    free(w->json);
    free(w);
}

static void start_renewal(struct task *t)
{
    struct renewal *w = gt_new(struct renewal);
    w->n = t->node;
    snprintf(w->task, sizeof w->task, "%s", t->id);
    t->keys.renewing = true;
    node_work_apart(t->node, renew, renewed, w, NULL);
}

void node_keys_tick(struct node *n)
{
    int64_t now = node_now(n), steady = gt_clock_mono_ms();
    char session[SESSION_ID_MAX];
    int room = RENEWALS;
    struct gt_table_iter it = {0}, again = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&n->tasks, &it));) {
        room -= ((struct task *)e->value)->keys.renewing;
    }
    if (!session_current(n->session, session)) {
        return;
    }
    for (struct gt_table_entry *e; room > 0 && (e = gt_table_next(&n->tasks, &again));) {
        struct task *t = e->value;
        if (t->keys.json && !t->keys.renewing && now >= t->keys.due_ms &&
            steady >= t->keys.again_ms && t->phase < TASK_CLEANING) {
            start_renewal(t);
            room--;
        }
    }
}
