/* Peers: where the other nodes are. */
#include "control/services/agent/agent.h"
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/peers.h"
#include "control/services/gen/agent_handlers.h"
#include "lib/base/mem.h"

#include <stdio.h>

enum { PEERS_PAGE = 1000 }; /* of some 150 bytes */

/* Of one host, in the four numbers that everybody writes the same way. */
static bool is_host_address(struct tx *tx, struct gt_str said)
{
    unsigned a, b, c, d;
    int end = 0;
    const char *s = gt_arena_str(tx_arena(tx), said);
    char again[16];
    if (said.n > 15 || sscanf(s, "%3u.%3u.%3u.%3u%n", &a, &b, &c, &d, &end) != 4 || a == 0 ||
        a == 127 || a > 223 || b > 255 || c > 255 || d > 255) {
        return false;
    }
    snprintf(again, sizeof again, "%u.%u.%u.%u", a, b, c, d);
    return gt_str_is(said, again);
}

int agent_peer_tell(struct tx *tx, const struct agent_register_node_in *in,
                    const struct rec_ecs_node *n, struct gt_err *err)
{
    if (!in->address.n || gt_str_is(in->overlay, "none")) {
        peers_forget(tx, n->id);
        return 0;
    }
    if (!is_host_address(tx, in->address)) {
        return invalid(err, "address '" GT_STR_FMT "' is not the IPv4 address of a host",
                       GT_STR_ARG(in->address));
    }
    struct rec_ecs_peer now = {.node = n->id,
                               .address = in->address,
                               .subnet = n->subnet,
                               .overlay = in->overlay.n ? in->overlay : GT_STR_LIT("auto")};
    peers_put(tx, &now);
    return 0;
}

static void show(struct tx *tx, const struct rec_ecs_peer *p, struct agent_peer *out)
{
    *out = (struct agent_peer){
        .node_id = p->node,
        .address = p->address,
        .subnet = gt_str(gt_arena_printf(tx_arena(tx), GT_STR_FMT ".0/24", GT_STR_ARG(p->subnet))),
        .overlay = p->overlay,
    };
}

int agent_peers(struct tx *tx, const struct agent_peers_in *in, struct agent_peers_out *out,
                struct gt_err *err)
{
    struct rec_ecs_session *s = agent_session(tx, in->session, err);
    struct agent_position at;
    if (!s) {
        return gt_err_code(err);
    }
    if (!agent_position(tx, in->more, &at)) {
        return invalid(err, "'more' is not from an answer of this server");
    }
    uint64_t created, changed = 0;
    tx_revisions(tx, key_peers(tx), &created, &changed);
    bool same = in->has_revision && !in->more.n && (int64_t)changed <= in->revision;
    if (same && in->wait_ms > 0 && !tx_wait_over(tx)) {
        tx_wait(tx, key_peers(tx), tx_now(tx) + in->wait_ms);
        return 0;
    }
    size_t cap = tx_bound(tx, PEERS_PAGE);
    out->peers.v = gt_arena_array(tx_arena(tx), struct agent_peer, cap);
    out->peers.has = true;
    const char *prefix = tx_key(tx, "ecs/peer/");
    struct tx_cursor c = tx_scan(tx, prefix, at.after.n ? key_peer(tx, at.after) : NULL);
    for (const char *key; (key = tx_next(&c));) {
        struct rec_ecs_peer *p = tx_get(tx, key, &rec_ecs_peer_desc);
        if (gt_str_eq(p->node, s->node)) {
            continue;
        }
        if (out->peers.n == cap) {
            out->more = agent_position_text(tx, &at, out->peers.v[cap - 1].node_id);
            break;
        }
        show(tx, p, &out->peers.v[out->peers.n++]);
    }
    WIRE_SET(out, revision, at.until);
    return 0;
}
