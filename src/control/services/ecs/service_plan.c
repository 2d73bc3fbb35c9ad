/* The arithmetic of deployments. */
#include "control/services/ecs/service.h"
#include "lib/base/mem.h"

#define BACKOFF_MAX_MS (15 * 60 * 1000LL)

struct plan service_plan(const struct plan_in *in)
{
    struct plan p = {0};
    int64_t least = (in->desired * in->min_percent + 99) / 100; /* up */
    int64_t most = in->desired * in->max_percent / 100;         /* down */
    int64_t new_all = in->new_running + in->new_pending;
    int64_t old_all = in->old_running + in->old_pending;
    if (new_all > in->desired) {
        p.stop_new = new_all - in->desired;
    } else {
        int64_t room = GT_MAX(most, old_all ? 0 : in->desired) - new_all - old_all;
        p.start = GT_MIN(in->desired - new_all, GT_MAX(room, 0));
    }
    if (old_all) {
        int64_t spare = in->new_running + in->old_running - least;
        int64_t running = GT_MIN(in->old_running, GT_MAX(spare, 0));
        /* What does not run yet keeps nothing healthy. */
        p.stop_old = in->old_pending + running;
    }
    p.stuck = old_all && !in->old_pending && !in->new_pending && !p.start && !p.stop_old &&
              !p.stop_new && new_all < in->desired;
    return p;
}

int64_t service_backoff(int64_t failures)
{
    if (failures < 2) {
        return 0; /* one may be bad luck */
    }
    int64_t ms = failures > 12 ? BACKOFF_MAX_MS : 1000LL << (failures - 2);
    return GT_MIN(ms, BACKOFF_MAX_MS);
}
