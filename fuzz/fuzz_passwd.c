/* A user string, a NUL, a passwd file, a NUL, a group file: all from an image. */
#include "lib/base/mem.h"
#include "node/runtime/user.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *p = (const char *)data;
    const char *first = n ? memchr(p, '\0', n) : NULL;
    if (!first) {
        return 0;
    }
    size_t left = n - (size_t)(first + 1 - p);
    const char *second = left ? memchr(first + 1, '\0', left) : NULL;
    struct gt_str passwd = gt_str_n(first + 1, second ? (size_t)(second - first - 1) : left);
    struct gt_str group =
        second ? gt_str_n(second + 1, n - (size_t)(second + 1 - p)) : gt_str_n(NULL, 0);
    struct gt_arena a;
    struct user u;
    gt_arena_init(&a, 4UL << 20);
    if (user_parse(p, passwd, group, NULL, &a, &u, NULL) == 0) {
        GT_ASSERT(u.uid <= INT32_MAX && u.gid <= INT32_MAX && u.n_groups <= USER_GROUPS_MAX);
    }
    gt_arena_fini(&a);
    return 0;
}
