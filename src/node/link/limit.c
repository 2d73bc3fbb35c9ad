#include "node/link/link_priv.h"

/* Two addresses that fall together share a bucket by turns: the newcomer starts full. A task cannot
 * choose its address, so that is not a way around. */
bool limit_take(struct limit *l, uint32_t address, int64_t now)
{
    struct limit_bucket *b = &l->v[address >> 24]; /* the last part of the address */
    if (b->address != address || b->at == 0) {
        *b = (struct limit_bucket){.address = address, .tokens = LINK_BURST * 1000L, .at = now};
    }
    b->tokens += (now - b->at) * LINK_RATE;
    b->tokens = b->tokens > LINK_BURST * 1000L ? LINK_BURST * 1000L : b->tokens;
    b->at = now;
    if (b->tokens < 1000) {
        return false;
    }
    b->tokens -= 1000;
    return true;
}
