/* Ranges of downloads and chunks: what is taken lies within what is served. */
#include "lib/base/mem.h"
#include "lib/oci/range.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const int64_t totals[] = {0, 1, 10, 1000000, INT64_MAX};
    struct gt_str text = gt_str_n((const char *)p, n);
    int64_t a = -1, b = -1;
    for (size_t i = 0; i < GT_ARRAY_LEN(totals); i++) {
        if (oci_range_parse(text, totals[i], &a, &b) == OCI_RANGE_ONE) {
            GT_ASSERT(a >= 0 && b > 0 && a < totals[i] && b <= totals[i] - a);
        }
    }
    if (oci_content_range_parse(text, &a, &b) == 0) {
        GT_ASSERT(a >= 0 && b >= a && b < INT64_MAX);
    }
    return 0;
}
