/*
 * Sessions of roles. Nothing about one is stored: the session token is the session, sealed with
 * AES-256-GCM under a key that is derived from the server's secret. The secret access key is
 * derived from the access key id. So a session costs the core nothing, any server with the same
 * secret knows it, and it ends by its time, with its role (a new role of that name has another id),
 * or by a Deny with DateLessThan aws:TokenIssueTime in the role's policy.
 *
 * Immutable after init; any thread.
 */
#ifndef GT_CONTROL_SERVICES_STS_SESSION_H
#define GT_CONTROL_SERVICES_STS_SESSION_H

#include "control/core/tx.h"
#include "lib/base/err.h"

enum {
    STS_LIMIT_SESSION = 8192, /* bytes of what is sealed; PackedPolicySize counts against it */
    STS_LIMIT_TOKEN = 12288,  /* characters of a token */
    STS_KEY_ID = 21,          /* with the NUL */
    STS_KEY_SECRET = 41,
};
#define STS_KEY_PREFIX "ASIA"

struct sts_sealer {
    unsigned char seal[32], secrets[32];
};
void sts_sealer_init(struct sts_sealer *s, const unsigned char secret[static 32]);

struct sts_keys {
    char key_id[STS_KEY_ID], secret[STS_KEY_SECRET];
    struct gt_str token;
    int64_t expires_at; /* ms since 1970 */
    int packed_percent; /* of what a session may carry */
};

/* A new session of a role; `session->token` is made here, not read. PackedPolicyTooLarge when it
 * carries too much. */
int sts_session_make(const struct sts_sealer *s, struct gt_str account, struct gt_str role,
                     const struct principal_session *session, struct gt_arena *arena,
                     struct sts_keys *ret, struct gt_err *err);

/* Whose token it is, at whatever time; checks neither the signature of a call nor the time.
 * `secret` is the key's. -EBADMSG: not ours, or not of this key. */
int sts_session_open(const struct sts_sealer *s, struct gt_str key_id, struct gt_str token,
                     struct gt_arena *arena, char secret[static STS_KEY_SECRET],
                     struct principal *ret);

#endif
