/* Names of images, and digests. What is taken is put together again and must be the same text. */
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct gt_str text = gt_str_n((const char *)p, n);
    struct oci_reference r;
    struct gt_err err = GT_ERR_INIT;
    if (oci_reference_parse(text, &r, &err) < 0) {
        GT_ASSERT(err.kind != GT_ERR_NONE);
        return 0;
    }
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    if (r.host.n) {
        gt_buf_str(&b, r.host);
        gt_buf_putc(&b, '/');
    }
    gt_buf_str(&b, r.repository);
    if (r.tag.n) {
        gt_buf_putc(&b, ':');
        gt_buf_str(&b, r.tag);
    }
    if (r.has_digest) {
        char digest[OCI_DIGEST_TEXT + 1];
        gt_buf_putc(&b, '@');
        gt_buf_puts(&b, oci_digest_text(&r.digest, digest));
    }
    GT_ASSERT(gt_str_eq(gt_buf_view(&b), text));
    GT_ASSERT(memmem(r.repository.p, r.repository.n, "..", 2) == NULL);
    return 0;
}
