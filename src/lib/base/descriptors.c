#include "lib/base/descriptors.h"

#include "lib/base/mem.h"

#include <sys/resource.h>

void gt_descriptors_set(uint64_t soft)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = GT_MIN((rlim_t)soft, l.rlim_max);
        (void)setrlimit(RLIMIT_NOFILE, &l); /* below the hard one: nothing can be wrong with it */
    }
}

uint64_t gt_descriptors_raise(void)
{
    struct rlimit l = {0};
    getrlimit(RLIMIT_NOFILE, &l);
    gt_descriptors_set(GT_MAX((uint64_t)l.rlim_cur, (uint64_t)GT_DESCRIPTORS_MAX));
    return l.rlim_cur;
}
