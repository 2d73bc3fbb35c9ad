/* A table of text: columns as wide as their widest cell, numbers to the right. */
#ifndef GT_CONTROL_SIMULATE_GRID_H
#define GT_CONTROL_SIMULATE_GRID_H

#include "lib/base/buf.h"

enum { GRID_COLUMNS = 32 };

struct grid {
    size_t columns, cap;
    bool left[GRID_COLUMNS]; /* else to the right */
    char **cells;            /* row by row */
    size_t at;               /* the next cell */
};

/* A column: its heading, '<' before one that is to stand to the left. NULL ends them. */
void grid_init(struct grid *g, const char *const *headings);
void grid_fini(struct grid *g);
/* The next cell, row by row. */
void grid_cell(struct grid *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void grid_print(const struct grid *g, struct gt_buf *to);

#endif
