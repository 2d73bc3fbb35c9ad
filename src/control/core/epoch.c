/*
 * Epochs. The record "~/epochs" lists the lives of the servers that wrote this history, each with
 * the revision that it began with. Whoever remembers (epoch, revision) can so be told apart from a
 * visitor from another history: one that was cut off when a backup was restored, or an old state
 * folder copied back.
 */
#include "control/core/core_priv.h"

#include "lib/base/limits.h"
#include "store/record/gen/rec_core.h"

#include <stdio.h>

#define EPOCHS_KEY "~/epochs"

/* Who remembers an older one is taken for a stranger. */
enum { EPOCHS_KEPT = 256 };

int core_write_epoch(struct tx *tx, struct gt_str build)
{
    struct rec_core_epochs *e = tx_get(tx, EPOCHS_KEY, &rec_core_epochs_desc);
    size_t n = e ? e->epochs.n : 0;
    size_t drop = n >= EPOCHS_KEPT ? n - EPOCHS_KEPT + 1 : 0;
    struct rec_core_epochs now = {0};
    now.epochs.v = gt_arena_array(tx->arena, struct rec_core_epoch, n - drop + 1);
    for (size_t i = drop; i < n; i++) {
        now.epochs.v[now.epochs.n++] = e->epochs.v[i];
    }
    now.epochs.v[now.epochs.n++] = (struct rec_core_epoch){.id = (int64_t)(tx_random(tx) >> 2) | 1,
                                                           .revision = (int64_t)tx_revision(tx),
                                                           .at = tx->now,
                                                           .build = build};
    tx_put(tx, EPOCHS_KEY, &rec_core_epochs_desc, &now);
    return 0;
}

static int write_epoch(struct tx *tx, void *arg, struct gt_err *err)
{
    return core_write_epoch(tx, gt_str(arg));
}

void core_begin_epoch(struct core *core, const char *build, int64_t now)
{
    struct gt_arena arena;
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    struct core_call call = {.fn = write_epoch,
                             .arg = (void *)build,
                             .principal = {.kind = PRINCIPAL_INTERNAL, .name = GT_STR_LIT("core")},
                             .arena = &arena,
                             .label = GT_STR_LIT(CORE_EPOCH_LABEL),
                             .input = gt_str(build)};
    core_apply(core, &call, now);
    GT_ASSERT(call.result == 0);
    gt_arena_fini(&arena);
}

void epoch_track(struct core *core, struct gt_str key, struct gt_str value)
{
    void *rec;
    if (!gt_str_is(key, EPOCHS_KEY)) {
        return;
    }
    core->n_epochs = 0;
    if (rec_decode(&rec_core_epochs_desc, value, &core->arena, &rec, NULL) < 0) {
        return;
    }
    const struct rec_core_epoch_list *l = &((struct rec_core_epochs *)rec)->epochs;
    core->epochs = gt_realloc(core->epochs, l->n * sizeof *core->epochs);
    for (size_t i = 0; i < l->n; i++) {
        core->epochs[i] = (struct core_epoch){l->v[i].id, (uint64_t)l->v[i].revision};
        snprintf(core->build, sizeof core->build, GT_STR_FMT, GT_STR_ARG(l->v[i].build));
    }
    core->n_epochs = l->n;
}

int64_t tx_epoch(const struct tx *tx)
{
    const struct core *core = tx->core;
    return core->n_epochs ? core->epochs[core->n_epochs - 1].id : 0;
}

bool tx_knows(const struct tx *tx, int64_t epoch, uint64_t revision)
{
    const struct core *core = tx->core;
    for (size_t i = core->n_epochs; i > 0; i--) {
        if (core->epochs[i - 1].id == epoch) {
            uint64_t end = i < core->n_epochs ? core->epochs[i].revision : core->revision + 1;
            return revision < end;
        }
    }
    return core->n_epochs == 0 && revision <= core->revision;
}
