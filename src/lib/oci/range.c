#include "lib/oci/range.h"

#include <errno.h>

/* Digits at the front of s, which is moved behind them. -1 when there are none, or too many. */
static int64_t number(struct gt_str *s)
{
    int64_t v = 0;
    size_t i = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        if (v > (INT64_MAX / 2 - 9) / 10) {
            return -1;
        }
        v = v * 10 + (s->p[i] - '0');
    }
    if (i == 0) {
        return -1;
    }
    *s = gt_str_n(s->p + i, s->n - i);
    return v;
}

static bool take(struct gt_str *s, char c)
{
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    *s = gt_str_n(s->p + 1, s->n - 1);
    return true;
}

/* "-n": the last n bytes. */
static enum oci_range suffix(struct gt_str s, int64_t total, int64_t *ret_offset, int64_t *ret_size)
{
    int64_t n = number(&s);
    if (n < 0 || s.n) {
        return OCI_RANGE_NONE;
    }
    if (n == 0 || total == 0) {
        return OCI_RANGE_UNSATISFIABLE;
    }
    *ret_size = n < total ? n : total;
    *ret_offset = total - *ret_size;
    return OCI_RANGE_ONE;
}

enum oci_range oci_range_parse(struct gt_str header, int64_t total, int64_t *ret_offset,
                               int64_t *ret_size)
{
    struct gt_str s = header;
    if (!gt_str_starts(s, GT_STR_LIT("bytes="))) {
        return OCI_RANGE_NONE;
    }
    s = gt_str_n(s.p + 6, s.n - 6);
    if (take(&s, '-')) {
        return suffix(s, total, ret_offset, ret_size);
    }
    int64_t first = number(&s);
    if (first < 0 || !take(&s, '-')) {
        return OCI_RANGE_NONE;
    }
    int64_t last = total - 1;
    if (s.n) {
        last = number(&s);
        if (last < 0 || s.n) {
            return OCI_RANGE_NONE;
        }
    }
    if (first >= total || last < first) {
        return OCI_RANGE_UNSATISFIABLE;
    }
    if (last >= total) {
        last = total - 1;
    }
    *ret_offset = first;
    *ret_size = last - first + 1;
    return OCI_RANGE_ONE;
}

int oci_content_range_parse(struct gt_str header, int64_t *ret_first, int64_t *ret_last)
{
    struct gt_str s = header;
    if (gt_str_starts(s, GT_STR_LIT("bytes ")) || gt_str_starts(s, GT_STR_LIT("bytes="))) {
        s = gt_str_n(s.p + 6, s.n - 6);
    }
    int64_t first = number(&s);
    if (first < 0 || !take(&s, '-')) {
        return -EINVAL;
    }
    int64_t last = number(&s);
    if (last < first) {
        return -EINVAL;
    }
    if (take(&s, '/') && !take(&s, '*') && number(&s) < 0) {
        return -EINVAL;
    }
    if (s.n) {
        return -EINVAL;
    }
    *ret_first = first;
    *ret_last = last;
    return 0;
}
