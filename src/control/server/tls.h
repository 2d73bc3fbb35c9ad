/*
 * What the server proves itself with: the operator's certificate, or one of an authority of its
 * own. That authority is made at the first start and stays (ten years): <state>/ca.pem, for
 * everybody to read, and <state>/server/ca.key. The server's certificate, <state>/server/tls.pem
 * and tls.key, is made for the names that it is reached by, and anew when these change, when a
 * third of its time is left, and when it is damaged.
 */
#ifndef GT_CONTROL_SERVER_TLS_H
#define GT_CONTROL_SERVER_TLS_H

#include "control/server/server.h"
#include "lib/crypto/certificate.h"

struct tls {
    struct gt_certificate certificate; /* pem.n == 0: plain HTTP */
    struct gt_buf authority;           /* our own, PEM; n == 0: the operator's certificate */
    char hash[GT_SHA256_HEX];          /* of the authority's certificate; "": there is none */
};

/* Whether the server speaks TLS at all. */
bool tls_wanted(const struct server_options *o);
int tls_load(const struct server_options *o, int64_t now, struct tls *ret, struct gt_err *err);
void tls_fini(struct tls *t);

#endif
