/* In JSON that a test writes, ' stands for ". */
#ifndef GT_TEST_POLICY_JSON_H
#define GT_TEST_POLICY_JSON_H

#include "lib/policy/policy.h"

static inline struct gt_str quoted(struct gt_arena *a, const char *text)
{
    char *copy = gt_arena_strdup(a, text);
    for (char *c = copy; *c; c++) {
        *c = (char)(*c == '\'' ? '"' : *c);
    }
    return gt_str(copy);
}

#endif
