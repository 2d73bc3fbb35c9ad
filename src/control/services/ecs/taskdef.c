#include "control/services/ecs/taskdef.h"

#include "control/services/ecs/names.h"

static bool parse_revision(struct gt_str s, int64_t *ret)
{
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > 999999999) {
            return false;
        }
        v = v * 10 + (s.p[i] - '0');
    }
    *ret = v;
    return v > 0;
}

/* Downwards from the newest: revisions that are there are few between two active ones. */
static struct rec_ecs_taskdef *newest_active(struct tx *tx, struct gt_str family)
{
    struct rec_ecs_family *f = tx_get(tx, key_family(tx, family), &rec_ecs_family_desc);
    for (int64_t r = f ? f->last_revision : 0; r > 0; r--) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        struct rec_ecs_taskdef *d = tx_get(tx, key_taskdef(tx, family, r), &rec_ecs_taskdef_desc);
        if (d && gt_str_is(d->status, "ACTIVE")) {
            return d;
        }
        gt_arena_release(tx_arena(tx), mark);
    }
    return NULL;
}

bool taskdef_has_active(struct tx *tx, struct gt_str family)
{
    struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
    bool has = newest_active(tx, family) != NULL;
    gt_arena_release(tx_arena(tx), mark);
    return has;
}

struct rec_ecs_taskdef *taskdef_find(struct tx *tx, struct gt_str said)
{
    struct gt_str name = name_of_arn(tx, said, "task-definition");
    const char *colon = name.n ? memchr(name.p, ':', name.n) : NULL;
    struct gt_str family = colon ? gt_str_n(name.p, (size_t)(colon - name.p)) : name;
    int64_t revision;
    if (!name_valid(family, "", 255)) {
        return NULL;
    }
    if (!colon) {
        return newest_active(tx, family);
    }
    if (!parse_revision(gt_str_n(colon + 1, name.n - family.n - 1), &revision)) {
        return NULL;
    }
    return tx_get(tx, key_taskdef(tx, family, revision), &rec_ecs_taskdef_desc);
}
