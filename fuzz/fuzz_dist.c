/* What a stranger sends the registry before anything else is looked at: the path of a request and
 * the Authorization header. The first byte chooses. */
#include "control/services/ecr/dist_path.h"
#include "control/services/ecr/token.h"
#include "lib/base/base64.h"
#include "lib/base/mem.h"
#include "lib/oci/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void path(struct gt_str text)
{
    struct dist_path d;
    if (dist_path_parse(text, &d) == 0 && d.kind != DIST_BASE && d.kind != DIST_CATALOG) {
        GT_ASSERT(oci_name_valid(d.name));
        GT_ASSERT(d.kind == DIST_UPLOADS || d.reference.n > 0);
        GT_ASSERT(!d.reference.n || !memchr(d.reference.p, '/', d.reference.n));
    }
}

/* A token of ours is taken; whatever was sent is not. */
static void token(struct gt_str text)
{
    static const unsigned char secret[ECR_TOKEN_SECRET] = "not known to who sends a token.";
    struct ecr_token t;
    struct gt_err err = GT_ERR_INIT;
    GT_ASSERT(ecr_token_check(secret, text, 0, &t, &err) < 0);
    GT_ASSERT(ecr_token_check_basic(secret, text, 0, &t, &err) < 0);
    gt_auto_buf struct gt_buf ours = GT_BUF_INIT(4096);
    if (ecr_token_make(secret, text, GT_STR_LIT("000000000000"), GT_STR_LIT("r"), text, 1, &ours) ==
        0) {
        GT_ASSERT(ecr_token_check(secret, gt_buf_view(&ours), 0, &t, &err) == 0);
        GT_ASSERT(gt_str_is(text, t.key_id));
        GT_ASSERT(ecr_token_check(secret, gt_buf_view(&ours), 1, &t, &err) < 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n > 0) {
        struct gt_str text = gt_str_n((const char *)p + 1, n - 1);
        p[0] == 't' ? token(text) : path(text);
    }
    return 0;
}
