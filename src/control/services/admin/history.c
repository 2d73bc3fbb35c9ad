#include "control/services/admin/history.h"

#include "lib/base/mem.h"

#include <ctype.h>

static struct gt_str cut(struct gt_str s, char at, struct gt_str *ret_rest)
{
    const char *p = s.n ? memchr(s.p, at, s.n) : NULL;
    *ret_rest = p ? gt_str_n(p + 1, s.n - (size_t)(p + 1 - s.p)) : (struct gt_str){0};
    return p ? gt_str_n(s.p, (size_t)(p - s.p)) : s;
}

static bool all_digits(struct gt_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit((unsigned char)s.p[i])) {
            return false;
        }
    }
    return s.n > 0;
}

/* After account and region; NULL: none of the short forms. */
static char *short_form(struct gt_str said, struct gt_arena *a)
{
    struct gt_str rest, last, kind = cut(said, '/', &rest);
    struct gt_str first = cut(rest, '/', &last);
    if (!rest.n) {
        return NULL;
    }
    if (gt_str_is(kind, "task") || gt_str_is(kind, "node")) {
        return gt_arena_printf(a, "ecs/" GT_STR_FMT "/%s" GT_STR_FMT, GT_STR_ARG(kind),
                               last.n ? "" : "*/", GT_STR_ARG(rest));
    }
    if ((gt_str_is(kind, "service") && last.n) || gt_str_is(kind, "cluster")) {
        return gt_arena_printf(a, "ecs/" GT_STR_FMT, GT_STR_ARG(said));
    }
    struct gt_str revision, family = cut(first, ':', &revision);
    if (gt_str_is(kind, "taskdef") && all_digits(revision) && revision.n <= 10) {
        return gt_arena_printf(a, "ecs/taskdef/" GT_STR_FMT "/%.*s" GT_STR_FMT, GT_STR_ARG(family),
                               (int)(10 - revision.n), "0000000000", GT_STR_ARG(revision));
    }
    return NULL;
}

char *history_pattern(struct gt_str said, struct gt_str account, struct gt_str region,
                      struct gt_arena *a, struct gt_err *err)
{
    struct gt_str rest, first = cut(said, '/', &rest);
    if (rest.n && (gt_str_is(first, "~") || (first.n == 12 && all_digits(first)))) {
        return gt_arena_str(a, said);
    }
    const char *form = short_form(said, a);
    if (!form && gt_str_is(first, "service")) {
        gt_err_set(err, GT_ERR_INVALID, "which cluster? A service is service/CLUSTER/NAME");
        return NULL;
    }
    if (!form && !rest.n) {
        gt_err_set(err, GT_ERR_INVALID,
                   "'" GT_STR_FMT "' is no key: task/ID, service/CLUSTER/NAME, node/ID, "
                   "cluster/NAME, taskdef/FAMILY:REVISION, or one of the journal's",
                   GT_STR_ARG(said));
        return NULL;
    }
    return gt_arena_printf(a, GT_STR_FMT "/" GT_STR_FMT "/%s%.*s", GT_STR_ARG(account),
                           GT_STR_ARG(region), form ? form : "", form ? 0 : (int)said.n, said.p);
}

bool history_match(const char *pattern, struct gt_str key)
{
    size_t i = 0;
    for (; *pattern; pattern++) {
        if (*pattern == '*') {
            while (i < key.n && key.p[i] != '/') {
                i++;
            }
        } else if (i == key.n || key.p[i++] != *pattern) {
            return false;
        }
    }
    return i == key.n;
}
