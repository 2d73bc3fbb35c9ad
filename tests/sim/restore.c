/*
 * A server that comes back with an older state: from a backup, or because an old copy of its folder
 * was put back. Either way it begins an epoch at its start, which is all that its nodes need.
 */
#include "control/services/admin/admin.h"
#include "lib/wire/gen/admin.h"
#include "trial_priv.h"

void restore_drop(struct trial *t)
{
    journal_close(t->backup.journal);
    t->backup = (struct backup){0};
}

/* Not before there is an installation that nodes belong to: they would be refused ever after. */
void server_back_up(struct trial *t, unsigned node)
{
    if (t->death.dead || !state_has(t, SIM_PLACE "ecs/identity")) {
        return;
    }
    restore_drop(t);
    uint64_t revision = t->w.durable;
    t->backup.journal = memory_journal_copy(t->w.journal, revision);
    t->backup.revision = revision;
    t->backup.hash = t->hashes[revision];
    memcpy(t->backup.services, t->services, sizeof t->services);
    trace(t, "a backup of revision %llu", (unsigned long long)revision);
}

void server_restore(struct trial *t, unsigned node)
{
    if (!t->backup.journal || t->death.dead) {
        return;
    }
    trace(t, "the server goes back to revision %llu", (unsigned long long)t->backup.revision);
    t->death.dead = t->death.restored = true;
}

struct journal *restore_take(struct trial *t)
{
    struct journal *journal = t->backup.journal;
    watch_go_back(t);
    callers_go_back(t, t->backup.revision, t->backup.services);
    t->hashes[t->backup.revision] = t->backup.hash;
    t->w.durable = t->backup.revision;
    t->backup.journal = NULL;
    t->restored = true;
    return journal;
}

void server_adopt(struct trial *t, unsigned node)
{
    if (!t->restored || t->death.dead) {
        return;
    }
    void *out;
    struct core_call c =
        sim_world_ask(&t->w, admin_control(), &admin_op_adopt, GT_STR_LIT("{}"), &out);
    size_t n = ((struct admin_adopt_out *)out)->nodes.n;
    if (c.result < 0 || n) {
        trace(t, "Adopt: %s, %zu nodes", c.result < 0 ? c.err.msg : "ok", n);
    }
}

void restore_adopt(void *arg, uint64_t a, uint64_t b)
{
    enum { AGAIN_MS = 5000 };
    struct trial *t = arg;
    if (!t->over) {
        server_adopt(t, 0);
        sim_at(&t->w, AGAIN_MS, restore_adopt, t, 0, 0);
    }
}
