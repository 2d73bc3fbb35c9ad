#include "control/simulate/grid.h"

#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

static void put(struct grid *g, char *text)
{
    if (g->at == g->cap) {
        g->cap = g->cap ? 2 * g->cap : 64;
        g->cells = gt_realloc(g->cells, g->cap * sizeof *g->cells);
    }
    g->cells[g->at++] = text;
}

void grid_init(struct grid *g, const char *const *headings)
{
    *g = (struct grid){0};
    for (; headings[g->columns]; g->columns++) {
        const char *h = headings[g->columns];
        GT_ASSERT(g->columns < GRID_COLUMNS);
        g->left[g->columns] = *h == '<';
        put(g, gt_strdup(*h == '<' ? h + 1 : h));
    }
}

void grid_fini(struct grid *g)
{
    for (size_t i = 0; i < g->at; i++) {
        free(g->cells[i]);
    }
    free(g->cells);
}

void grid_cell(struct grid *g, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    put(g, gt_strdup(text));
}

static void print_cell(const struct grid *g, size_t i, int width, struct gt_buf *to)
{
    if (g->left[i % g->columns]) {
        gt_buf_printf(to, "%-*s", width, g->cells[i]);
    } else {
        gt_buf_printf(to, "%*s", width, g->cells[i]);
    }
}

void grid_print(const struct grid *g, struct gt_buf *to)
{
    int width[GRID_COLUMNS] = {0};
    GT_ASSERT(g->at % g->columns == 0);
    for (size_t i = 0; i < g->at; i++) {
        int n = (int)strlen(g->cells[i]);
        width[i % g->columns] = GT_MAX(width[i % g->columns], n);
    }
    for (size_t row = 0; row < g->at; row += g->columns) {
        size_t used = g->columns; /* nothing behind the last that says something */
        while (used && !g->cells[row + used - 1][0]) {
            used--;
        }
        for (size_t c = 0; c < used; c++) {
            bool last = c + 1 == used;
            gt_buf_puts(to, c ? "  " : "");
            print_cell(g, row + c, last && g->left[c] ? 0 : width[c], to);
        }
        gt_buf_putc(to, '\n');
    }
}
