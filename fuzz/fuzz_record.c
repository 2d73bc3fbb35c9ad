/* Records from bytes: the first two choose the descriptor (the type id in the header does). What
 * decodes must encode again, and that must decode to the same bytes. */
#include "lib/base/mem.h"
#include "store/record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct gt_str bytes = gt_str_n((const char *)p, n);
    const struct rec_desc *desc = rec_desc_by_id(rec_id(bytes));
    if (!desc) {
        return 0;
    }
    struct gt_arena arena;
    gt_arena_init(&arena, 1 << 20);
    void *rec;
    if (rec_decode(desc, bytes, &arena, &rec, NULL) == 0) {
        gt_auto_buf struct gt_buf once = GT_BUF_INIT(1 << 20), twice = GT_BUF_INIT(1 << 20);
        gt_auto_buf struct gt_buf shown = GT_BUF_INIT(1 << 22);
        rec_encode(desc, rec, &once);
        rec_show(desc, rec, &shown);
        if (gt_buf_ok(&once)) {
            void *again;
            struct gt_arena other;
            gt_arena_init(&other, 1 << 22);
            GT_ASSERT(rec_decode(desc, gt_buf_view(&once), &other, &again, NULL) == 0);
            rec_encode(desc, again, &twice);
            GT_ASSERT(gt_str_eq(gt_buf_view(&once), gt_buf_view(&twice)));
            gt_arena_fini(&other);
        }
    }
    gt_arena_fini(&arena);
    return 0;
}
