/*
 * Patterns of =~: PCRE2 with limits that count steps and not time, so that the answer is always
 * the same. What is compiled is in the arena of the query and goes with it.
 */
#include "control/scheduler/query_priv.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MATCH_LIMIT = 10000, DEPTH_LIMIT = 250, HEAP_KIB = 256 };

struct query_pattern {
    pcre2_code *code;
    pcre2_match_context *context;
};

static void *allocate(size_t n, void *arena)
{
    return gt_arena_try_alloc(arena, n);
}

static void leave(void *p, void *arena)
{
}

const struct query_pattern *query_pattern_compile(struct gt_str text, struct gt_arena *a)
{
    const uint32_t options = PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY |
                             PCRE2_NEVER_UTF | PCRE2_NEVER_BACKSLASH_C;
    int code;
    PCRE2_SIZE at;
    struct query_pattern *p = gt_arena_new(a, struct query_pattern);
    pcre2_general_context *general = pcre2_general_context_create(allocate, leave, a);
    pcre2_compile_context *how = general ? pcre2_compile_context_create(general) : NULL;
    if (!how) {
        return NULL;
    }
    p->code = pcre2_compile((PCRE2_SPTR)text.p, text.n, options, &code, &at, how);
    p->context = pcre2_match_context_create(general);
    if (!p->code || !p->context) {
        return NULL;
    }
    pcre2_set_match_limit(p->context, MATCH_LIMIT);
    pcre2_set_depth_limit(p->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(p->context, HEAP_KIB);
    return p;
}

bool query_pattern_matches(const struct query_pattern *p, struct gt_str value)
{
    PCRE2_SPTR text = (PCRE2_SPTR)(value.p ? value.p : "");
    /* Not in the arena: it grows with each match. */
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    int r = pcre2_match(p->code, text, value.n, 0, 0, data, p->context);
    pcre2_match_data_free(data);
    return r >= 0;
}
