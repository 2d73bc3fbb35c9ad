#include "control/server/past.h"

#include "lib/base/limits.h"

enum { STATES = 4, WAITING = 64 };

struct past {
    struct journal *journal;
    const struct service *const *services;
    struct core_options options;
    struct bulk *thread;
    struct core *states[STATES]; /* the thread's own; the one used last first */
    size_t n;
};

struct past *past_new(struct journal *journal, const struct service *const *services,
                      core_authorize_fn *authorize)
{
    struct past *p = gt_new(struct past);
    p->journal = journal;
    p->services = services;
    p->options = (struct core_options){.authorize = authorize, .max_bytes = GT_LIMIT_PAST};
    p->thread = bulk_new(1, WAITING);
    return p;
}

void past_free(struct past *p)
{
    if (!p) {
        return;
    }
    bulk_free(p->thread);
    for (size_t i = 0; i < p->n; i++) {
        core_free(p->states[i]);
    }
    free(p);
}

bool past_submit(struct past *p, struct bulk_job *job)
{
    return bulk_submit(p->thread, job, /* urgent= */ false);
}

static void to_front(struct past *p, size_t i)
{
    struct core *core = p->states[i];
    memmove(p->states + 1, p->states, i * sizeof *p->states);
    p->states[0] = core;
}

/* Lets go of what was not used for longest, until `more` bytes have room beside the rest. */
static void make_room(struct past *p, uint64_t more)
{
    uint64_t bytes = more;
    for (size_t i = 0; i < p->n; i++) {
        bytes += core_bytes(p->states[i]);
    }
    while (p->n && (p->n == STATES || bytes > GT_LIMIT_PAST)) {
        bytes -= core_bytes(p->states[p->n - 1]);
        core_free(p->states[--p->n]);
    }
}

static int find(struct past *p, uint64_t revision, struct core **ret, struct gt_err *err)
{
    for (size_t i = 0; i < p->n; i++) {
        if (core_revision(p->states[i]) == revision) {
            to_front(p, i);
            *ret = p->states[0];
            return 0;
        }
    }
    struct core *core = NULL;
    int r = core_open_at(p->journal, p->services, &p->options, revision, &core, err);
    if (r < 0) {
        return r;
    }
    make_room(p, core_bytes(core));
    p->states[p->n++] = core;
    to_front(p, p->n - 1);
    *ret = core;
    return 0;
}

void past_apply(struct past *p, uint64_t revision, struct core_call *call)
{
    struct core *core;
    call->err = GT_ERR_INIT;
    call->result = find(p, revision, &core, &call->err);
    if (call->result == 0) {
        core_apply(core, call, core_time(core));
    }
}

int past_path(struct gt_str *path, uint64_t *ret_revision, struct gt_err *err)
{
    struct gt_str prefix = GT_STR_LIT(PAST_PREFIX);
    *ret_revision = 0;
    if (!gt_str_starts(*path, prefix)) {
        return 0;
    }
    uint64_t n = 0;
    size_t i = prefix.n;
    for (; i < path->n && i < prefix.n + 18 && path->p[i] >= '0' && path->p[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(path->p[i] - '0');
    }
    if (n == 0 || (i < path->n && path->p[i] != '/')) {
        return gt_err_set(err, GT_ERR_VALIDATION, "'" GT_STR_FMT "' names no revision",
                          GT_STR_ARG(*path));
    }
    *path = i < path->n ? gt_str_n(path->p + i, path->n - i) : GT_STR_LIT("/");
    *ret_revision = n;
    return 0;
}
