#include "node/agent/logs_priv.h"

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/size.h"
#include "lib/wire/gen/logs.h"
#include "node/agent/task.h"
#include "node/shim/shim_proto.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BLOCK = 1024 * 1024, /* bytes of frames in one call */
    IDLE_MS = 50,        /* how soon new output is looked for */
    RETRY_MS = 1000,
    GONE_MS = 5000,       /* how soon a group that is not there is looked for again */
    EMPTY_MS = 1000,      /* when the stream of a container that says nothing is made */
    GROUP_TTL_MS = 60000, /* a group that was there is taken to be there so long */
};

/* --- what a definition says */

static struct gt_str option(const struct container *c, const char *name)
{
    const struct ecs_log_configuration *lc = c->def->log_configuration;
    for (size_t i = 0; lc && i < lc->options.n; i++) {
        if (gt_str_is(lc->options.v[i].key, name)) {
            return lc->options.v[i].value;
        }
    }
    return (struct gt_str){0};
}

void log_stream_name(const struct container *c, char *to, unsigned n)
{
    struct gt_str prefix = option(c, "awslogs-stream-prefix");
    if (prefix.n) {
        snprintf(to, n, GT_STR_FMT "/%s/%s", GT_STR_ARG(prefix), c->name, c->task->id);
    } else {
        snprintf(to, n, "%s", c->runtime_id);
    }
}

static char *url_escape(const char *s)
{
    gt_auto_buf struct gt_buf to = GT_BUF_INIT(8192);
    for (; *s; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || strchr("-_.~", *s);
        if (plain) {
            gt_buf_putc(&to, *s);
        } else {
            gt_buf_printf(&to, "%%%02X", (unsigned char)*s);
        }
    }
    return gt_buf_steal(&to);
}

/* --- opening */

static int ensure_group(struct log_shipper *s, const char *region, const char *group, bool create,
                        struct gt_err *err)
{
    gt_auto_free char *key = gt_asprintf("%s/%s", region, group);
    pthread_mutex_lock(&s->lock);
    int64_t seen = (int64_t)(intptr_t)gt_table_get(&s->groups, gt_str(key));
    pthread_mutex_unlock(&s->lock);
    if (seen && gt_clock_mono_ms() - seen < GROUP_TTL_MS) {
        return 0;
    }
    gt_auto(api_client) struct api_client *client = NULL;
    struct gt_arena a;
    int r = node_client_new(s->n, region, 0, NULL, &client, err);
    if (r < 0) {
        return r;
    }
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    if (create) {
        struct logs_create_log_group_in in = {.log_group_name = gt_str(group)};
        r = api_call(client, &logs_op_create_log_group, &in, &a, NULL, err);
        if (r < 0 && gt_streq(api_client_exception(client), "ResourceAlreadyExistsException")) {
            r = 0;
        }
    } else {
        struct logs_describe_log_groups_in in = {.log_group_name_prefix = gt_str(group)};
        struct logs_describe_log_groups_out out;
        r = api_call(client, &logs_op_describe_log_groups, &in, &a, &out, err);
        bool found = false;
        for (size_t i = 0; r == 0 && i < out.log_groups.n; i++) {
            found |= gt_str_is(out.log_groups.v[i].log_group_name, group);
        }
        if (r == 0 && !found) {
            r = gt_err_set(err, GT_ERR_NOT_FOUND,
                           "ResourceNotFoundException: The specified log group does not exist: %s",
                           group);
        }
    }
    gt_arena_fini(&a);
    if (r == 0) {
        pthread_mutex_lock(&s->lock);
        gt_table_put(&s->groups, gt_str(key), (void *)(intptr_t)gt_clock_mono_ms());
        pthread_mutex_unlock(&s->lock);
    }
    return r;
}

struct log_stream *log_stream_new(struct log_shipper *s)
{
    struct log_stream *l = gt_new(struct log_stream);
    l->shipper = s;
    l->fd = -1;
    l->tail = GT_BUF_INIT(2 * LOG_TAIL);
    l->tell_every = 8 * (uint64_t)BLOCK;
    l->opened_ms = gt_clock_mono_ms();
    atomic_store(&l->end, UINT64_MAX);
    return l;
}

void log_stream_start(struct log_stream *l)
{
    pthread_mutex_lock(&l->shipper->lock);
    gt_list_push_back(&l->shipper->streams, &l->link);
    pthread_cond_signal(&l->shipper->poked);
    pthread_mutex_unlock(&l->shipper->lock);
}

void log_stream_free(struct log_stream *l)
{
    gt_closep(&l->fd);
    gt_buf_fini(&l->tail);
    free(l->path);
    free(l->region);
    free(l->name);
    free(l->group);
    free(l->stream);
    free(l->task_id);
    free(l->runtime_id);
    free(l);
}

int log_stream_open(struct log_shipper *s, struct container *c, struct log_stream **ret,
                    struct gt_err *err)
{
    const struct ecs_log_configuration *lc = c->def->log_configuration;
    char group[600], name[1100], region[64];
    if (!lc || !gt_str_is(lc->log_driver, "awslogs")) {
        return 0;
    }
    snprintf(group, sizeof group, GT_STR_FMT, GT_STR_ARG(option(c, "awslogs-group")));
    struct gt_str said = option(c, "awslogs-region");
    snprintf(region, sizeof region, GT_STR_FMT,
             GT_STR_ARG(said.n ? said : gt_str(c->task->node->o.region)));
    /* An adopted container's group was checked when it started. */
    if (!c->task->adopted) {
        int r = ensure_group(s, region, group, gt_str_is(option(c, "awslogs-create-group"), "true"),
                             err);
        if (r < 0) {
            return gt_err_wrap(err, "failed to initialize logging driver");
        }
    }
    log_stream_name(c, name, sizeof name);
    gt_auto_free char *spool = task_dir(c->task, "spool");
    struct log_stream *l = log_stream_new(s);
    uint64_t spool_max = GT_LIMIT_LOG_SPOOL;
    gt_size_parse(option(c, "max-buffer-size"), &spool_max);
    l->tell_every = GT_MIN(spool_max / 4, 8 * (uint64_t)BLOCK);
    l->region = gt_strdup(region);
    l->group = url_escape(group);
    l->stream = url_escape(name);
    l->path = gt_asprintf("%s/%s.log", spool, c->runtime_id);
    l->name = gt_strdup(name);
    l->task_id = gt_strdup(c->task->id);
    l->runtime_id = gt_strdup(c->runtime_id);
    l->offset = l->told = c->spool_from;
    l->over = c->task->shim_dead;
    log_stream_start(l);
    *ret = l;
    return 0;
}

void log_stream_poke(struct log_stream *l, uint64_t end)
{
    if (!l) {
        return;
    }
    if (end != UINT64_MAX) {
        atomic_store(&l->end, end);
    }
    pthread_mutex_lock(&l->shipper->lock);
    pthread_cond_signal(&l->shipper->poked);
    pthread_mutex_unlock(&l->shipper->lock);
}

void log_stream_over(struct log_stream *l)
{
    if (l) {
        atomic_store(&l->over, true);
        log_stream_poke(l, UINT64_MAX);
    }
}

bool log_stream_drained(const struct log_stream *l)
{
    return !l || atomic_load(&l->broken) ||
           (atomic_load(&l->known) && atomic_load(&l->offset) >= atomic_load(&l->end));
}

void log_stream_drop(struct log_stream *l)
{
    if (l) {
        struct log_shipper *s = l->shipper;
        pthread_mutex_lock(&s->lock);
        atomic_store(&l->dropped, true); /* the shipper's thread may free it at once */
        pthread_cond_signal(&s->poked);
        pthread_mutex_unlock(&s->lock);
    }
}

/* --- shipping */

struct acked {
    char *task_id, *runtime_id;
    uint64_t offset;
};

static void on_acked(struct node *n, void *arg)
{
    struct acked *a = arg;
    struct task *t = gt_table_get(&n->tasks, gt_str(a->task_id));
    if (t) {
        if (t->shim && !t->shim_dead) {
            shim_send_spool_ack(t->shim, a->runtime_id, a->offset, NULL);
        }
        task_step(t);
    }
    free(a->task_id);
    free(a->runtime_id);
    free(a);
}

static void tell(struct log_stream *l)
{
    struct acked *a = gt_new(struct acked);
    *a = (struct acked){gt_strdup(l->task_id), gt_strdup(l->runtime_id), l->offset};
    l->told = l->offset;
    node_post(l->shipper->n, on_acked, a);
}

static size_t read_block(struct log_stream *l)
{
    if (l->fd < 0) {
        pthread_mutex_lock(&l->shipper->lock);
        l->fd = open(l->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        pthread_mutex_unlock(&l->shipper->lock);
        if (l->fd < 0) {
            return 0;
        }
    }
    return log_spool_read(l->fd, l->offset, server_clock_ahead(&l->shipper->n->clock),
                          l->shipper->block, BLOCK);
}

static uint64_t next_offset(struct gt_str answer, uint64_t otherwise)
{
    json_t *root = json_loadb(answer.p, answer.n, 0, NULL);
    const json_t *o = json_object_get(root, "nextOffset");
    uint64_t v = json_is_integer(o) ? (uint64_t)json_integer_value(o) : otherwise;
    json_decref(root);
    return v;
}

/* What the frames of a block say, kept before the spool is freed. */
static void remember(struct log_stream *l, const char *block, size_t n)
{
    pthread_mutex_lock(&l->shipper->lock);
    for (size_t at = 0; at < n;) {
        struct shim_frame f;
        memcpy(&f, block + at, sizeof f);
        log_tail_add(&l->tail, block + at + sizeof f, f.n);
        at += sizeof f + f.n;
    }
    pthread_mutex_unlock(&l->shipper->lock);
}

void log_stream_tail(struct log_stream *l, char *to, unsigned n)
{
    pthread_mutex_lock(&l->shipper->lock);
    log_tail_copy(&l->tail, to, n);
    pthread_mutex_unlock(&l->shipper->lock);
}

static void refused(struct log_stream *l, const struct gt_err *err)
{
    bool gone = err->kind == GT_ERR_NOT_FOUND;
    if (gone && !atomic_exchange(&l->broken, true)) {
        gt_warn("logs of %s are not kept until its group is back: %s", l->name, err->msg);
        tell(l);
    } else {
        gt_debug("logs of %s: %s", l->name, err->msg);
    }
    l->retry_ms = gt_clock_mono_ms() + (gone ? GONE_MS : RETRY_MS);
    if (l->left && (gone || err->kind == GT_ERR_INVALID)) {
        gt_warn("what %s wrote last is lost: %s", l->name, err->msg);
        atomic_store(&l->end, 0);
    }
}

/* Sends n bytes of the block (0: only makes the stream, and asks what the server has). Returns
 * whether there may be more at once. */
static bool send_block(struct log_stream *l, struct api_client *client, size_t n)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    struct gt_str answer;
    uint64_t offset = l->offset, next = offset;
    gt_arena_init(&a, GT_MIB);
    gt_auto_free char *path = gt_asprintf("/_gantry/logs?group=%s&offset=%llu&stream=%s", l->group,
                                          (unsigned long long)offset, l->stream);
    api_client_set_region(client, l->region);
    int r = api_post(client, path, l->shipper->block, n, &a, &answer, &err);
    if (r == 0) {
        next = next_offset(answer, offset + n);
    }
    gt_arena_fini(&a);
    if (r < 0) {
        refused(l, &err);
        return false;
    }
    bool first = !atomic_exchange(&l->known, true);
    atomic_store(&l->broken, false);
    if (next == offset + n) {
        remember(l, l->shipper->block, n);
    }
    atomic_store(&l->offset, next);
    if (next - l->told >= l->tell_every || (first && n == 0)) {
        tell(l); /* so that the shim frees the disk of a chatty container in time */
    }
    return next != offset || first;
}

/* Sends one block, if it is time and there is one. Returns whether there may be more at once. */
static bool ship(struct log_stream *l, struct api_client *client)
{
    int64_t now = gt_clock_mono_ms();
    if (now < l->retry_ms) {
        return false;
    }
    size_t n = read_block(l);
    bool over = l->over || l->end != UINT64_MAX;
    if (n > 0 || (!l->known && (over || now >= l->opened_ms + EMPTY_MS))) {
        return send_block(l, client, n);
    }
    if (l->over && l->known && (l->left || l->end == UINT64_MAX)) {
        atomic_store(&l->end, l->offset); /* that was the last whole frame */
        tell(l);
    }
    return false;
}

/* Takes out what is done with. Under the lock. */
static bool reap(struct log_stream *l)
{
    bool done = l->left && l->offset >= l->end;
    if (done) {
        log_left_remove(l);
    }
    if (done || l->dropped) {
        gt_list_remove(&l->link);
        log_stream_free(l);
        return true;
    }
    return false;
}

static void *ship_all(void *arg)
{
    struct log_shipper *s = arg;
    struct api_client *client = NULL;
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        bool more = false;
        struct gt_list *at = s->streams.next;
        while (at != &s->streams && !s->stop) {
            struct log_stream *l = gt_list_entry(at, struct log_stream, link);
            struct gt_list *next = at->next;
            if (reap(l)) {
                at = next;
                continue;
            }
            /* Only this thread removes streams, so `l` stays while the lock is away. */
            pthread_mutex_unlock(&s->lock);
            if (!client) {
                node_client_new(s->n, l->region, 0, NULL, &client, NULL);
            }
            bool again = client && ship(l, client);
            if (!again && l->told != l->offset) {
                tell(l);
            }
            more |= again;
            pthread_mutex_lock(&s->lock);
            at = l->link.next;
        }
        if (!more && !s->stop) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            bool idle = gt_list_empty(&s->streams);
            until.tv_nsec += (long)IDLE_MS * 1000000;
            until.tv_sec += until.tv_nsec / 1000000000 + (idle ? 3600 : 0);
            until.tv_nsec %= 1000000000;
            pthread_cond_timedwait(&s->poked, &s->lock, &until);
        }
    }
    pthread_mutex_unlock(&s->lock);
    api_client_free(client);
    return NULL;
}

struct log_shipper *log_shipper_new(struct node *n)
{
    struct log_shipper *s = gt_new(struct log_shipper);
    s->n = n;
    s->block = gt_malloc(BLOCK);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->poked, NULL);
    gt_list_init(&s->streams);
    gt_table_init(&s->groups);
    log_left_load(s);
    GT_ASSERT(pthread_create(&s->thread, NULL, ship_all, s) == 0);
    return s;
}

void log_shipper_free(struct log_shipper *s)
{
    if (!s) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->poked);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    gt_list_for_each (it, tmp, &s->streams) {
        log_stream_free(gt_list_entry(it, struct log_stream, link));
    }
    gt_table_fini(&s->groups);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->poked);
    free(s->block);
    free(s);
}
