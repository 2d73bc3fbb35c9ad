/* A task's state file as gantry-link reads it; what decodes must encode and decode again. */
#include "node/link/link_state.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link_task t, again;
    if (link_state_decode(gt_str_n((const char *)data, size), &t, NULL) == 0) {
        gt_auto_buf struct gt_buf b = GT_BUF_INIT(LINK_STATE_MAX);
        link_state_encode(&t, &b);
        if (gt_buf_ok(&b) && link_state_decode(gt_buf_view(&b), &again, NULL) < 0) {
            abort();
        }
    }
    return 0;
}
