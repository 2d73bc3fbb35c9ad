/* What the reports share. */
#include "control/simulate/report.h"

#include "lib/base/mem.h"

void report_time(int64_t ms, struct gt_buf *to)
{
    long long s = (ms + 500) / 1000;
    if (ms == 0) {
        gt_buf_puts(to, "0s");
    } else if (ms < 1000) {
        gt_buf_printf(to, "%lldms", (long long)ms);
    } else if (ms < 60000) {
        gt_buf_printf(to, "%.1fs", (double)ms / 1000);
    } else if (s < 3600) {
        gt_buf_printf(to, s % 60 ? "%lldm%02llds" : "%lldm", s / 60, s % 60);
    } else {
        long long m = s / 60;
        gt_buf_printf(to, m % 60 ? "%lldh%02lldm" : "%lldh", m / 60, m % 60);
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct spread report_spread(const struct outcome *const *o, size_t n,
                            double (*value)(const struct outcome *o, size_t i), size_t i)
{
    double v[SCENARIO_REPEAT_MAX];
    GT_ASSERT(n > 0 && n <= GT_ARRAY_LEN(v));
    for (size_t k = 0; k < n; k++) {
        v[k] = value(o[k], i);
    }
    qsort(v, n, sizeof *v, by_value);
    return (struct spread){.min = v[0], .median = v[(n - 1) / 2], .max = v[n - 1]};
}
