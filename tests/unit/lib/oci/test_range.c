#include "lib/oci/range.h"

#include "gt_test.h"
#include "lib/base/mem.h"

GT_TEST(ranges_of_downloads)
{
    static const struct {
        const char *header;
        int64_t total;
        enum oci_range want;
        int64_t offset, size;
    } rows[] = {
        {"bytes=0-0", 10, OCI_RANGE_ONE, 0, 1},
        {"bytes=2-5", 10, OCI_RANGE_ONE, 2, 4},
        {"bytes=2-", 10, OCI_RANGE_ONE, 2, 8},
        {"bytes=2-99", 10, OCI_RANGE_ONE, 2, 8},
        {"bytes=-3", 10, OCI_RANGE_ONE, 7, 3},
        {"bytes=-30", 10, OCI_RANGE_ONE, 0, 10},
        {"bytes=10-", 10, OCI_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=-0", 10, OCI_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-", 0, OCI_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=5-2", 10, OCI_RANGE_UNSATISFIABLE, 0, 0},
        {"bytes=0-1,3-4", 10, OCI_RANGE_NONE, 0, 0},
        {"bytes=", 10, OCI_RANGE_NONE, 0, 0},
        {"bytes=-", 10, OCI_RANGE_NONE, 0, 0},
        {"items=0-1", 10, OCI_RANGE_NONE, 0, 0},
        {"bytes=99999999999999999999-", 10, OCI_RANGE_NONE, 0, 0},
        {"", 10, OCI_RANGE_NONE, 0, 0},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(rows); i++) {
        int64_t offset = 0, size = 0;
        assert_int_equal(oci_range_parse(gt_str(rows[i].header), rows[i].total, &offset, &size),
                         rows[i].want);
        assert_int_equal(offset, rows[i].offset);
        assert_int_equal(size, rows[i].size);
    }
}

GT_TEST(ranges_of_chunks)
{
    static const struct {
        const char *header;
        int want;
        int64_t first, last;
    } rows[] = {
        {"0-4", 0, 0, 4},         {"bytes 5-9/10", 0, 5, 9},
        {"5-9/*", 0, 5, 9},       {"7-7", 0, 7, 7},
        {"4-3", -EINVAL, 0, 0},   {"", -EINVAL, 0, 0},
        {"-4", -EINVAL, 0, 0},    {"4-", -EINVAL, 0, 0},
        {"0--1", -EINVAL, 0, 0},  {"0-4x", -EINVAL, 0, 0},
        {"0-4/x", -EINVAL, 0, 0}, {"0-9223372036854775808", -EINVAL, 0, 0},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(rows); i++) {
        int64_t first = 0, last = 0;
        assert_int_equal(oci_content_range_parse(gt_str(rows[i].header), &first, &last),
                         rows[i].want);
        assert_int_equal(first, rows[i].first);
        assert_int_equal(last, rows[i].last);
    }
}

GT_RUN(GT_CASE(ranges_of_downloads), GT_CASE(ranges_of_chunks))
