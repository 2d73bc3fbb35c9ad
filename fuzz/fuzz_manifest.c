/* Manifests, indexes and image configurations: never more memory than the arena's cap, never a
 * descriptor out of bounds. The first byte chooses the parser. */
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/oci/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void manifest(struct gt_str text, struct gt_str type, struct gt_arena *a)
{
    struct oci_manifest m;
    struct gt_err err = GT_ERR_INIT;
    if (oci_manifest_parse(text, type, a, &m, &err) < 0) {
        GT_ASSERT(err.kind != GT_ERR_NONE);
        return;
    }
    GT_ASSERT(m.media_type.n > 0);
    GT_ASSERT(!m.is_index || m.layers.n == 0);
    for (size_t i = 0; i < m.layers.n; i++) {
        GT_ASSERT(m.layers.v[i].size >= 0 && (uint64_t)m.layers.v[i].size <= GT_LIMIT_BLOB);
    }
    (void)oci_index_pick(&m, "linux", oci_host_architecture(), "");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0) {
        return 0;
    }
    struct gt_str text = gt_str_n((const char *)p + 1, n - 1);
    struct gt_arena a;
    gt_arena_init(&a, 4 * GT_MIB);
    if (p[0] == 'c') {
        struct oci_image_config c;
        struct gt_err err = GT_ERR_INIT;
        if (oci_image_config_parse(text, &a, &c, &err) < 0) {
            GT_ASSERT(err.kind != GT_ERR_NONE);
        }
    } else {
        manifest(text, p[0] == 'i' ? GT_STR_LIT(OCI_MEDIA_INDEX) : (struct gt_str){0}, &a);
    }
    gt_arena_fini(&a);
    return 0;
}
