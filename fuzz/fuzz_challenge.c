/* WWW-Authenticate headers of registries. */
#include "node/image/remote_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gt_auto_free char *header = gt_strndup((const char *)data, size);
    struct remote_challenge ch;
    remote_challenge_parse(header, &ch);
    GT_ASSERT(ch.scheme != CHALLENGE_BEARER || ch.realm[0]);
    GT_ASSERT(memchr(ch.realm, '\0', sizeof(ch.realm)) &&
              memchr(ch.service, '\0', sizeof(ch.service)) &&
              memchr(ch.scope, '\0', sizeof(ch.scope)));
    return 0;
}
