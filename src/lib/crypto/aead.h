/* AES-256-GCM: text that only the holder of a key can read, and nobody can change. */
#ifndef GT_LIB_CRYPTO_AEAD_H
#define GT_LIB_CRYPTO_AEAD_H

#include "lib/base/str.h"

#include <stdbool.h>

enum { GT_AEAD_KEY = 32, GT_AEAD_NONCE = 12, GT_AEAD_TAG = 16 };

/* `to` takes as many bytes as `text` has. A nonce is never used twice under one key, unless for the
 * same text. `bound` is authenticated with it and not kept. */
void gt_aead_seal(const unsigned char key[static GT_AEAD_KEY],
                  const unsigned char nonce[static GT_AEAD_NONCE], struct gt_str bound,
                  struct gt_str text, unsigned char *to, unsigned char tag[static GT_AEAD_TAG]);

/* False: it was not sealed with this key, nonce and `bound`. */
bool gt_aead_open(const unsigned char key[static GT_AEAD_KEY],
                  const unsigned char nonce[static GT_AEAD_NONCE], struct gt_str bound,
                  struct gt_str sealed, const unsigned char tag[static GT_AEAD_TAG],
                  unsigned char *to);

#endif
