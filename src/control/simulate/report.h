/*
 * Outcomes of one scenario as a table for people, as JSON for programs, and one of them as a plot.
 * All of them are plain functions of the outcomes: the same outcomes give the same bytes.
 *
 * With several outcomes (seeds) the table and the JSON's summary give the median and, where they
 * differ, the least and the greatest.
 */
#ifndef GT_CONTROL_SIMULATE_REPORT_H
#define GT_CONTROL_SIMULATE_REPORT_H

#include "control/simulate/outcome.h"
#include "lib/base/buf.h"

/* What a report may grow to. */
#define REPORT_MAX (512UL << 20)

void report_table(const struct outcome *const *o, size_t n, struct gt_buf *to);
void report_json(const struct outcome *const *o, size_t n, struct gt_buf *to);
/* An SVG document without scripts, for light and dark backgrounds. */
void report_svg(const struct outcome *o, struct gt_buf *to);

/* "250ms", "48.3s", "5m12s", "1h02m". */
void report_time(int64_t ms, struct gt_buf *to);

/* The least, the middle one and the greatest of the outcomes. */
struct spread {
    double min, median, max;
};
struct spread report_spread(const struct outcome *const *o, size_t n,
                            double (*value)(const struct outcome *o, size_t i), size_t i);

#endif
