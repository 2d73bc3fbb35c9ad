#include "lib/wire/arn.h"

bool arn_is(struct gt_str text)
{
    return gt_str_starts(text, GT_STR_LIT("arn:"));
}

static bool cut(struct gt_str *rest, struct gt_str *ret)
{
    const char *colon = rest->n ? memchr(rest->p, ':', rest->n) : NULL;
    if (!colon) {
        return false;
    }
    *ret = gt_str_n(rest->p, (size_t)(colon - rest->p));
    rest->p += ret->n + 1;
    rest->n -= ret->n + 1;
    return true;
}

bool arn_parse(struct gt_str text, struct arn *ret)
{
    struct gt_str rest = text, head;

    *ret = (struct arn){0};
    if (!cut(&rest, &head) || !gt_str_is(head, "arn") || !cut(&rest, &ret->partition) ||
        !cut(&rest, &ret->service) || !cut(&rest, &ret->region) || !cut(&rest, &ret->account)) {
        return false;
    }
    if (ret->partition.n == 0 || ret->service.n == 0 || rest.n == 0) {
        return false;
    }
    ret->resource = ret->id = rest;
    for (size_t i = 0; i < rest.n; i++) {
        if (rest.p[i] == '/' || rest.p[i] == ':') {
            ret->type = gt_str_n(rest.p, i);
            ret->id = gt_str_n(rest.p + i + 1, rest.n - i - 1);
            break;
        }
    }
    return true;
}

bool arn_ref_parse(struct gt_str text, const char *service, const char *type, struct arn_ref *ret)
{
    struct arn a;

    *ret = (struct arn_ref){.id = text};
    if (arn_is(text)) {
        if (!arn_parse(text, &a) || !gt_str_is(a.service, service) || !gt_str_is(a.type, type)) {
            return false;
        }
        *ret = (struct arn_ref){.id = a.id, .region = a.region, .account = a.account};
    }
    const char *slash = ret->id.n ? memchr(ret->id.p, '/', ret->id.n) : NULL;
    if (slash) {
        size_t n = (size_t)(slash - ret->id.p);
        ret->cluster = gt_str_n(ret->id.p, n);
        ret->id = gt_str_n(slash + 1, ret->id.n - n - 1);
        if (ret->cluster.n == 0 || memchr(ret->id.p, '/', ret->id.n)) {
            return false;
        }
    }
    return ret->id.n > 0;
}
