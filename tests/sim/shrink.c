#include "shrink.h"

#include "lib/base/mem.h"

#include <string.h>

struct shrink {
    uint64_t seed;
    const char *violated;
    unsigned runs;
    unsigned *trying; /* room for all */
};

/* Whether it still fails without keep[from .. from + n - 1]. */
static bool fails_without(struct shrink *s, const unsigned *keep, size_t n_keep, size_t from,
                          size_t n)
{
    memcpy(s->trying, keep, from * sizeof *keep);
    memcpy(s->trying + from, keep + from + n, (n_keep - from - n) * sizeof *keep);
    struct trial_options o = {.seed = s->seed, .keep = s->trying, .n_keep = n_keep - n};
    struct trial_result r;
    struct gt_err err;
    s->runs--;
    return trial_run(&o, &r, &err) < 0 && r.violated && strcmp(r.violated, s->violated) == 0;
}

void shrink(uint64_t seed, const struct trial_result *first, unsigned runs, unsigned *keep,
            size_t *ret_n)
{
    struct shrink s = {.seed = seed, .violated = first->violated, .runs = runs};
    size_t n = first->acts;
    s.trying = gt_new_array(unsigned, n + 1);
    for (size_t i = 0; i < n; i++) {
        keep[i] = (unsigned)i;
    }
    for (size_t piece = (n + 1) / 2; piece && s.runs;) {
        bool dropped = false;
        for (size_t at = 0; at < n && s.runs;) {
            size_t len = GT_MIN(piece, n - at);
            if (fails_without(&s, keep, n, at, len)) {
                memmove(keep + at, keep + at + len, (n - at - len) * sizeof *keep);
                n -= len;
                dropped = true;
            } else {
                at += len;
            }
        }
        piece = piece > 1 ? (piece + 1) / 2 : dropped ? 1 : 0;
    }
    free(s.trying);
    *ret_n = n;
}
