#include "control/services/agent/astray.h"

#include "control/services/ecs/names.h"
#include "control/services/ecs/task_state.h"

#include <inttypes.h>

/* The tasks of one node that are listed: far more than one can run. */
enum { LISTED_MAX = 10000 };

void astray_forget(struct tx *tx, struct gt_str node)
{
    struct tx_cursor c = tx_scan(tx, key_astray(tx, node, gt_str("")), NULL);
    for (const char *key; (key = tx_next(&c));) {
        tx_delete(tx, key);
    }
}

static bool accepted(const struct rec_ecs_node *n, const struct agent_register_node_in *in)
{
    return n->adopted && in->epoch == n->known_epoch && in->revision <= n->known_revision;
}

bool astray_stranger(const struct tx *tx, const struct agent_register_node_in *in)
{
    bool says = in->has_epoch && in->has_revision; /* the release before does not */
    return says && !tx_knows(tx, in->epoch, (uint64_t)in->revision);
}

bool astray_check(struct tx *tx, const struct agent_register_node_in *in, struct rec_ecs_node *n)
{
    if (!astray_stranger(tx, in)) {
        if (n->astray || n->adopted) {
            astray_forget(tx, n->id);
        }
        n->astray = n->adopted = false;
        n->known_epoch = n->known_revision = 0;
        return false;
    }
    n->astray = true; /* of an adopted one, too, until its walk is over */
    if (accepted(n, in)) {
        return false;
    }
    astray_forget(tx, n->id); /* it will say anew */
    n->adopted = false;
    n->known_epoch = in->epoch;
    n->known_revision = in->revision;
    return true;
}

void astray_note(struct tx *tx, struct gt_str node, const struct agent_task_report *in, bool known)
{
    char *key = key_astray(tx, node, in->id);
    enum task_state state = task_state_parse(in->last_status);
    if (state == TASK_STOPPED) {
        tx_delete(tx, key);
        return;
    }
    if (!tx_exists(tx, key) && tx_count(tx, key_astray(tx, node, gt_str(""))) >= LISTED_MAX) {
        return;
    }
    struct rec_ecs_astray a = {.id = in->id,
                               .known = known,
                               .status = state,
                               .family = in->family,
                               .group = in->group,
                               .started_at = in->started_at};
    tx_put(tx, key, &rec_ecs_astray_desc, &a);
}

void astray_over(struct tx *tx, struct rec_ecs_session *s)
{
    char *key = key_node(tx, s->cluster, s->node);
    struct rec_ecs_node *n = tx_get(tx, key, &rec_ecs_node_desc);
    s->adopted = false;
    tx_put(tx, key_session(tx, s->node), &rec_ecs_session_desc, s);
    astray_forget(tx, s->node);
    if (n) {
        n->astray = false;
        n->version++;
        tx_put(tx, key, &rec_ecs_node_desc, n);
    }
}

bool astray_adopt(struct tx *tx, struct rec_ecs_node *n)
{
    if (!n->astray || n->adopted) {
        return false;
    }
    n->adopted = true;
    n->version++;
    tx_put(tx, key_node(tx, n->cluster, n->id), &rec_ecs_node_desc, n);
    struct rec_ecs_session *s = tx_get(tx, key_session(tx, n->id), &rec_ecs_session_desc);
    if (s) { /* makes it register once more */
        s->token = gt_str(
            gt_arena_printf(tx_arena(tx), GT_STR_FMT ".%s", GT_STR_ARG(n->id), tx_hex_id(tx, 32)));
        tx_put(tx, key_session(tx, n->id), &rec_ecs_session_desc, s);
    }
    return true;
}
