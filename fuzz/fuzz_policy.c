/* Policies: whatever parses can be evaluated, and says the same twice. */
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/policy/policy.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gt_str team[] = {{"web", 3}, {"db", 2}};
    static const struct policy_key keys[] = {{{"aws:PrincipalTag/team", 21}, team, 1},
                                             {{"aws:TagKeys", 11}, team, 2}};
    static const struct policy_principal who = {"AWS", {"arn:aws:iam::000000000000:root", 30}};
    struct policy_request rq = {.action = {"ecs:RunTask", 11},
                                .resource = {"arn:aws:ecs:r:000000000000:task/a/b", 35},
                                .principals = &who,
                                .n_principals = 1,
                                .keys = keys,
                                .n_keys = 2};
    for (int kind = POLICY_IDENTITY; kind <= POLICY_TRUST; kind++) {
        const struct policy *p;
        struct gt_arena a;
        struct gt_err err;
        gt_arena_init(&a, GT_LIMIT_API_ARENA);
        if (policy_parse(gt_str_n((const char *)data, size), (enum policy_kind)kind, &a, &p,
                         &err) == 0) {
            GT_ASSERT(policy_evaluate(p, &rq) == policy_evaluate(p, &rq));
        }
        gt_arena_fini(&a);
    }
    return 0;
}
