#include "control/services/ecs/taskdef.h"

#include "lib/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <strings.h>

/* A decimal number with at most three places, times 1000, and where it ends. */
static int parse_milli(struct gt_str s, int64_t *ret, size_t *ret_at)
{
    int64_t v = 0, place = 1000;
    bool dot = false, digits = false;
    size_t i = 0;
    for (; i < s.n && (isdigit((unsigned char)s.p[i]) || (s.p[i] == '.' && !dot)); i++) {
        if (s.p[i] == '.') {
            dot = true;
            continue;
        }
        digits = true;
        if (dot) {
            place /= 10;
            v += (s.p[i] - '0') * place;
        } else {
            v = v * 10 + (s.p[i] - '0') * 1000;
        }
        if (v > (int64_t)1 << 40) {
            return -EINVAL;
        }
    }
    *ret = v;
    *ret_at = i;
    return digits ? 0 : -EINVAL;
}

static int parse_unit(struct gt_str said, const char *unit, int64_t *ret)
{
    int64_t milli;
    size_t at;
    if (parse_milli(said, &milli, &at) < 0) {
        return -EINVAL;
    }
    if (at == said.n) {
        *ret = milli / 1000;
        return milli % 1000 ? -EINVAL : 0;
    }
    while (at < said.n && said.p[at] == ' ') {
        at++;
    }
    size_t n = strlen(unit);
    if (said.n - at != n || strncasecmp(said.p + at, unit, n) != 0) {
        return -EINVAL;
    }
    *ret = milli * 1024 / 1000;
    return 0;
}

int taskdef_cpu(struct gt_str said, int64_t *ret)
{
    return parse_unit(said, "vCPU", ret);
}

int taskdef_memory(struct gt_str said, int64_t *ret)
{
    return parse_unit(said, "GB", ret);
}

int taskdef_fargate_size(int64_t cpu, int64_t memory)
{
    static const struct {
        int64_t cpu, from, to, step;
    } sizes[] = {
        {256, 512, 1024, 512},      {256, 1024, 2048, 1024},      {512, 1024, 4096, 1024},
        {1024, 2048, 8192, 1024},   {2048, 4096, 16384, 1024},    {4096, 8192, 30720, 1024},
        {8192, 16384, 61440, 4096}, {16384, 32768, 122880, 8192},
    };
    bool known = false;
    for (size_t i = 0; i < GT_ARRAY_LEN(sizes); i++) {
        known = known || sizes[i].cpu == cpu;
        if (sizes[i].cpu == cpu && memory >= sizes[i].from && memory <= sizes[i].to &&
            (memory - sizes[i].from) % sizes[i].step == 0) {
            return 0;
        }
    }
    return known ? 2 : 1;
}
