#include "control/server/server_priv.h"

#include <poll.h>

static bool enter(struct server *s)
{
    atomic_fetch_add(&s->inside, 1);
    if (atomic_load(&s->closed)) {
        atomic_fetch_sub(&s->inside, 1);
        return false;
    }
    return true;
}

enum core_submitted server_core_submit(struct server *s, struct core_request *rq)
{
    if (!enter(s)) {
        return CORE_THROTTLED;
    }
    enum core_submitted r = core_thread_submit(s->core, rq);
    atomic_fetch_sub(&s->inside, 1);
    return r;
}

bool server_core_run(struct server *s, struct core_request *rq)
{
    if (!enter(s)) {
        return false;
    }
    bool ok = core_thread_run(s->core, rq);
    atomic_fetch_sub(&s->inside, 1);
    return ok;
}

void server_core_shut(struct server *s)
{
    atomic_store(&s->closed, true);
    while (atomic_load(&s->inside) > 0) {
        poll(NULL, 0, 1);
    }
}
