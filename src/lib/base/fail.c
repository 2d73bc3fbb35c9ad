#include "lib/base/fail.h"

#include "lib/base/log.h"

atomic_long gt_fail_countdown;
static atomic_bool fired;

void gt_fail_nth(long n)
{
    fired = false;
    gt_fail_countdown = n;
}

bool gt_fail_fired(void)
{
    return fired;
}

bool gt_fail_check(const char *where)
{
    long n = gt_fail_countdown;
    while (n != 0 && !atomic_compare_exchange_weak(&gt_fail_countdown, &n, n - 1)) {
    }
    if (n != 1) {
        return false;
    }
    fired = true;
    gt_debug("injected a failure at %s", where);
    return true;
}
