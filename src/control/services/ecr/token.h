/*
 * The password of `docker login`: who it is for and until when, and a MAC over that under the
 * server's secret. Nothing is stored. It dies with its time, and with the key that asked for it:
 * who checks one also asks whether the key still exists.
 */
#ifndef GT_CONTROL_SERVICES_ECR_TOKEN_H
#define GT_CONTROL_SERVICES_ECR_TOKEN_H

#include "control/services/sts/session.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"

#include <stdint.h>

#define ECR_TOKEN_SECRET 32
#define ECR_TOKEN_LIFE_MS (12 * 3600 * (int64_t)1000)

struct ecr_token {
    int64_t expires_ms;
    char key_id[129], account[13], region[65];
    char session[STS_LIMIT_TOKEN + 1]; /* the session token of a session's key; "": another key */
};

/* Appends the password. `session` may be empty. -EINVAL when a part does not fit. */
int ecr_token_make(const unsigned char secret[static ECR_TOKEN_SECRET], struct gt_str key_id,
                   struct gt_str account, struct gt_str region, struct gt_str session,
                   int64_t expires_ms, struct gt_buf *to);
/* GT_ERR_UNAUTHENTICATED when it is not ours or its time is over. Does not block. */
int ecr_token_check(const unsigned char secret[static ECR_TOKEN_SECRET], struct gt_str password,
                    int64_t now_ms, struct ecr_token *ret, struct gt_err *err);
/* The same for the value of an Authorization header: "Basic " and base64 of "AWS:" + password. */
int ecr_token_check_basic(const unsigned char secret[static ECR_TOKEN_SECRET],
                          struct gt_str authorization, int64_t now_ms, struct ecr_token *ret,
                          struct gt_err *err);

#endif
