#include "cmd/gantry/cli.h"

#include <stdio.h>
#include <string.h>

void cli_columns(const char *const *cells, size_t rows, size_t columns)
{
    gt_auto_free size_t *width = gt_calloc(columns, sizeof(size_t));
    for (size_t i = 0; i < rows * columns; i++) {
        width[i % columns] = GT_MAX(width[i % columns], strlen(cells[i]));
    }
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k + 1 < columns; k++) {
            printf("%-*s  ", (int)width[k], cells[i * columns + k]);
        }
        puts(cells[(i + 1) * columns - 1]);
    }
}

char *cli_duration(struct gt_arena *a, int64_t ms)
{
    int64_t s = GT_MAX(ms / 1000, (int64_t)0);
    return s < 120         ? gt_arena_printf(a, "%llds", (long long)s)
           : s < 7200      ? gt_arena_printf(a, "%lldm", (long long)s / 60)
           : s < 48 * 3600 ? gt_arena_printf(a, "%lldh", (long long)s / 3600)
                           : gt_arena_printf(a, "%lldd", (long long)s / 86400);
}
