/* What a server that nobody has vouched for says to a machine that joins, and the certificate in
 * it. */
#include "lib/base/mem.h"
#include "lib/crypto/certificate.h"
#include "lib/http/introduction.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct introduction in;
    char hash[GT_SHA256_HEX];
    if (introduction_parse(gt_str_n((const char *)p, n), &in, NULL) == 0) {
        GT_ASSERT(in.region[0]);
        if (gt_certificate_hash(gt_buf_view(&in.authority), hash, NULL) == 0) {
            GT_ASSERT(strlen(hash) == GT_SHA256_HEX - 1);
        }
    }
    gt_buf_fini(&in.authority);
    return 0;
}
