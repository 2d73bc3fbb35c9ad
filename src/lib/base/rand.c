#include "lib/base/rand.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <sys/random.h>

void gt_rand_bytes(void *p, size_t n)
{
    char *at = p;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        GT_ASSERT(got > 0);
        at += got;
        n -= (size_t)got;
    }
}

uint64_t gt_rand_u64(void)
{
    uint64_t v;
    gt_rand_bytes(&v, sizeof v);
    return v;
}

uint64_t gt_prng_next(struct gt_prng *g)
{
    uint64_t z = (g->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t gt_prng_below(struct gt_prng *g, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)gt_prng_next(g) * limit) >> 64);
}
