/*
 * ListHistory and DescribeRevision. A history is found by walking over the kept entries: nothing is
 * kept for it, so that a commit pays nothing. What a change was from is known from the walk itself.
 */
#include "control/services/admin/admin.h"
#include "control/services/admin/history.h"
#include "control/services/ecs/task_state.h"
#include "control/services/gen/admin_handlers.h"
#include "lib/base/limits.h"
#include "lib/base/table.h"
#include "store/record/gen/rec_core.h"

#include <errno.h>
#include <stdio.h>

enum {
    USUAL_PAGE = 100,
    KEYS_MAX = 10000,             /* that one name may mean */
    PAGE_BYTES = 8 * 1024 * 1024, /* an answer ends here, whatever it was asked for */
};

struct walk {
    struct gt_arena *arena; /* of the answer */
    const char *pattern;
    uint64_t after; /* what the page before ended with */
    size_t most;
    struct admin_list_history_out *out;
    size_t cap;
    struct gt_table values; /* key -> struct gt_buf: as the walk has come to know it */
    struct gt_arena scratch;
};

static struct gt_str value_of(struct walk *w, struct gt_str key)
{
    const struct gt_buf *b = gt_table_get(&w->values, key);
    return b ? gt_buf_view(b) : (struct gt_str){0};
}

static int set_value(struct walk *w, struct gt_str key, struct gt_str value, struct gt_err *err)
{
    struct gt_buf *b = gt_table_get(&w->values, key);
    if (!b && w->values.count == KEYS_MAX) {
        return gt_err_set(err, GT_ERR_INVALID, "the name means more than %d keys", KEYS_MAX);
    }
    if (!b) {
        b = gt_new(struct gt_buf);
        *b = GT_BUF_INIT(GT_LIMIT_RECORD);
        gt_table_put(&w->values, key, b);
    }
    gt_buf_reset(b);
    gt_buf_str(b, value);
    return 0;
}

/* --- one change */

struct fields {
    struct gt_arena *arena;
    struct admin_changed_field_list *list;
    size_t cap;
};

static struct gt_str keep(struct gt_arena *a, struct gt_str s)
{
    return gt_str_n(gt_arena_str(a, s), s.n);
}

static bool ends_in(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && gt_streq(s + n - m, end);
}

/* Numbers that have names. */
static struct gt_str named(struct gt_arena *a, const char *field, struct gt_str value)
{
    if (value.n && (ends_in(field, "last_status") || ends_in(field, "desired_status"))) {
        const char *name = task_state_name(strtoll(gt_arena_str(a, value), NULL, 10));
        return gt_str(gt_arena_printf(a, "\"%s\"", name));
    }
    return keep(a, value);
}

static void on_field(void *arg, const char *field, struct gt_str from, struct gt_str to)
{
    struct fields *f = arg;
    if (f->list->n == f->cap) {
        f->cap = f->cap ? f->cap * 2 : 8;
        struct admin_changed_field *v =
            gt_arena_array(f->arena, struct admin_changed_field, f->cap);
        if (f->list->n) {
            memcpy(v, f->list->v, f->list->n * sizeof *v);
        }
        f->list->v = v;
    }
    f->list->v[f->list->n++] =
        (struct admin_changed_field){.name = gt_str(gt_arena_strdup(f->arena, field)),
                                     .from = named(f->arena, field, from),
                                     .to = named(f->arena, field, to)};
}

static void *decode(struct walk *w, const struct rec_desc *desc, struct gt_str value)
{
    void *rec = NULL;
    return value.n && rec_decode(desc, value, &w->scratch, &rec, NULL) == 0 ? rec : NULL;
}

static void compare(struct walk *w, struct gt_str before, struct gt_str after,
                    struct admin_change *to)
{
    const struct rec_desc *desc = rec_desc_by_id(rec_id(after.n ? after : before));
    struct fields f = {.arena = w->arena, .list = &to->fields};
    to->fields.has = true;
    if (desc && after.n) { /* of one that is deleted, what it was the change before says */
        rec_diff(desc, decode(w, desc, before), decode(w, desc, after), on_field, &f);
    }
}

static struct gt_str who(struct walk *w, struct gt_str principal)
{
    const struct rec_core_principal *p = decode(w, &rec_core_principal_desc, principal);
    return p ? keep(w->arena, p->arn.n ? p->arn : p->name) : gt_str(NULL);
}

static void add_change(struct walk *w, const struct journal_entry *e,
                       const struct journal_write *write, struct gt_str before)
{
    struct admin_change_list *l = &w->out->changes;
    if (l->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 16;
        struct admin_change *v = gt_arena_array(w->arena, struct admin_change, w->cap);
        if (l->n) {
            memcpy(v, l->v, l->n * sizeof *v);
        }
        l->v = v;
    }
    struct admin_change *to = &l->v[l->n++];
    *to = (struct admin_change){.key = keep(w->arena, write->key),
                                .who = who(w, e->principal),
                                .call = keep(w->arena, e->label),
                                .action = gt_str(write->deleted ? ADMIN_CHANGE_ACTION_DELETED
                                                 : before.n     ? ADMIN_CHANGE_ACTION_CHANGED
                                                                : ADMIN_CHANGE_ACTION_CREATED)};
    WIRE_SET(to, revision, (int64_t)e->revision);
    WIRE_SET(to, time, e->time);
    compare(w, before, write->deleted ? (struct gt_str){0} : write->value, to);
}

/* --- the walk */

static int on_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    return 0;
}

static int on_item(void *arg, const struct journal_item *item, struct gt_err *err)
{
    struct walk *w = arg;
    return history_match(w->pattern, item->key) ? set_value(w, item->key, item->value, err) : 0;
}

static int on_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    struct walk *w = arg;
    int r = 0;
    struct admin_change_list *l = &w->out->changes;
    bool full = l->n && (l->n >= w->most || w->arena->used > PAGE_BYTES);
    for (size_t i = 0; r == 0 && i < e->n_writes; i++) {
        const struct journal_write *write = &e->writes[i];
        if (!history_match(w->pattern, write->key)) {
            continue;
        }
        if (full) {
            w->out->next_token = gt_str(
                gt_arena_printf(w->arena, "%llu", (unsigned long long)l->v[l->n - 1].revision));
            return -ECANCELED;
        }
        if (e->revision > w->after) {
            add_change(w, e, write, value_of(w, write->key));
        }
        r = set_value(w, write->key, write->deleted ? (struct gt_str){0} : write->value, err);
    }
    gt_arena_reset(&w->scratch);
    return r;
}

static int run(struct walk *w, struct journal *j, struct gt_err *err)
{
    struct journal_span *span = gt_new(struct journal_span);
    struct journal_reader reader = {on_start, on_item, on_entry, w};
    int r = journal_span(j, span, err);
    uint64_t from = journal_span_begin(span);
    free(span);
    WIRE_SET(w->out, first_revision, (int64_t)from + 1);
    w->out->changes.has = true;
    if (r == 0 && from) { /* what stands there before the first kept change */
        r = journal_state_at(j, from, &reader, err);
    }
    r = r < 0 ? r : journal_read(j, from, on_entry, w, err);
    return r == -ECANCELED ? 0 : r;
}

static bool position(struct gt_str token, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < token.n; i++) {
        if (token.p[i] < '0' || token.p[i] > '9' || i > 18) {
            return false;
        }
        *ret = *ret * 10 + (uint64_t)(token.p[i] - '0');
    }
    return true;
}

int admin_list_history(struct data_req *rq, const struct admin_list_history_in *in,
                       struct admin_list_history_out *out, struct gt_err *err)
{
    struct admin_host *host = data_store(rq);
    struct walk w = {.arena = data_arena(rq),
                     .most = in->has_max_results ? (size_t)in->max_results : USUAL_PAGE,
                     .out = out};
    if (!position(in->next_token, &w.after)) {
        return gt_err_set(err, GT_ERR_INVALID, "nextToken is none of this server's");
    }
    w.pattern = history_pattern(in->key, data_account(rq), data_region(rq), w.arena, err);
    if (!w.pattern) {
        return gt_err_code(err);
    }
    if (atomic_exchange(&host->walking, true)) { /* a worker each would leave none for the rest */
        return gt_err_set(err, GT_ERR_THROTTLED, "another walk over the journal is under way");
    }
    gt_table_init(&w.values);
    gt_arena_init(&w.scratch, GT_LIMIT_API_ARENA);
    int r = run(&w, host->journal, err);
    atomic_store(&host->walking, false);
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&w.values, &it));) {
        gt_buf_fini(e->value);
        free(e->value);
    }
    gt_table_fini(&w.values);
    gt_arena_fini(&w.scratch);
    return r;
}

int admin_describe_revision(struct data_req *rq, const struct admin_describe_revision_in *in,
                            struct admin_describe_revision_out *out, struct gt_err *err)
{
    struct admin_host *host = data_store(rq);
    struct journal_mark m = {0};
    if (in->has_revision == in->has_time) {
        return gt_err_set(err, GT_ERR_INVALID, "a revision or a time, please");
    }
    int r = in->has_time ? journal_find_time(host->journal, in->time, &m, err)
                         : journal_entry_mark(host->journal, (uint64_t)in->revision, &m, err);
    WIRE_SET(out, revision, (int64_t)m.revision);
    WIRE_SET(out, time, m.time);
    return r;
}
