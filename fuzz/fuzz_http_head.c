/* The head of a request to the metadata endpoint. */
#include "node/link/http_head.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head h;
    int r = http_head_parse((const char *)data, size, &h);
    if (r > (int)size || (r > 0 && (h.path.n == 0 || h.path.p[0] != '/'))) {
        abort();
    }
    return 0;
}
