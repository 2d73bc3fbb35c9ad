#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>
#include <string.h>

/* libnftables keeps its parser's state in the context; one for each call, and one call at a time.
 */
static pthread_mutex_t nft_lock = PTHREAD_MUTEX_INITIALIZER;

static void first_line(const char *text, char *to, size_t cap)
{
    size_t n = strcspn(text, "\n");
    snprintf(to, cap, "%.*s", (int)GT_MIN(n, cap - 1), text);
}

int net_nft_run(const char *text, struct gt_buf *output, struct gt_err *err)
{
    pthread_mutex_lock(&nft_lock);
    struct nft_ctx *ctx = nft_ctx_new(NFT_CTX_DEFAULT);
    int r = -ENOMEM;
    char why[300] = "";
    if (ctx) {
        nft_ctx_buffer_output(ctx);
        nft_ctx_buffer_error(ctx);
        nft_ctx_output_set_flags(ctx, NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_NUMERIC_PRIO |
                                          NFT_CTX_OUTPUT_STATELESS);
        r = nft_run_cmd_from_buffer(ctx, text);
        if (r == 0 && output) {
            gt_buf_puts(output, nft_ctx_get_output_buffer(ctx));
        }
        if (r != 0) {
            first_line(nft_ctx_get_error_buffer(ctx), why, sizeof why);
        }
        nft_ctx_free(ctx);
    }
    pthread_mutex_unlock(&nft_lock);
    return r == 0 ? 0 : gt_err_set(err, GT_ERR_IO, "nftables: %s", why[0] ? why : "no context");
}

int net_nft_remove(const struct net_names *names, struct gt_err *err)
{
    /* The first of each pair makes the second succeed when there was none. */
    static const char *const families[] = {"inet", "bridge"};
    int result = 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(families); i++) {
        char text[256];
        snprintf(text, sizeof text, "table %s %s\ndelete table %s %s\n", families[i], names->table,
                 families[i], names->table);
        bool optional = i == 1; /* a kernel without it has nothing to remove */
        int r = net_nft_run(text, NULL, optional ? NULL : err);
        result = r < 0 && !optional ? r : result;
    }
    return result;
}
