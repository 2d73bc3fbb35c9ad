#include "control/services/ecs/peers.h"

#include "control/services/ecs/names.h"

static void note_change(struct tx *tx)
{
    struct rec_ecs_peers *p = tx_get(tx, key_peers(tx), &rec_ecs_peers_desc);
    struct rec_ecs_peers now = {.changes = p ? p->changes + 1 : 1};
    tx_put(tx, key_peers(tx), &rec_ecs_peers_desc, &now);
}

void peers_put(struct tx *tx, const struct rec_ecs_peer *now)
{
    char *key = key_peer(tx, now->node);
    struct rec_ecs_peer *was = tx_get(tx, key, &rec_ecs_peer_desc);
    if (!was || !gt_str_eq(was->address, now->address) || !gt_str_eq(was->subnet, now->subnet) ||
        !gt_str_eq(was->overlay, now->overlay)) {
        tx_put(tx, key, &rec_ecs_peer_desc, now);
        note_change(tx);
    }
}

void peers_forget(struct tx *tx, struct gt_str node)
{
    char *key = key_peer(tx, node);
    if (tx_exists(tx, key)) {
        tx_delete(tx, key);
        note_change(tx);
    }
}
