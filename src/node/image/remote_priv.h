#ifndef GT_NODE_IMAGE_REMOTE_PRIV_H
#define GT_NODE_IMAGE_REMOTE_PRIV_H

#include "node/image/remote.h"

#include <curl/curl.h>
#include <pthread.h>

#define REMOTE_URL_MAX 4096
#define REMOTE_TOKEN_MAX 32768

/* A challenge of WWW-Authenticate (RFC 9110, 11.6.1). */
struct remote_challenge {
    enum { CHALLENGE_NONE, CHALLENGE_BASIC, CHALLENGE_BEARER } scheme;
    char realm[1024], service[256], scope[1024];
};

struct remote_grant {
    bool https, scheme_known;
    enum { AUTH_NONE, AUTH_BASIC, AUTH_BEARER } auth;
    struct image_credentials cred; /* for Basic */
    char *token;                   /* for Bearer */
};

struct remote {
    struct remote_options o;
    bool loopback;
    pthread_mutex_t lock; /* of what follows */
    struct remote_grant g;
    unsigned serial; /* grows with every new authorization */
};

/* One HTTP exchange: what to ask, and what came. */
struct remote_call {
    struct remote *remote;
    CURL *curl; /* kept between calls of one thread: the connection stays open */
    const char *url;
    const char *accept; /* may be NULL */
    bool large;         /* worth a large buffer */
    uint64_t from;      /* Range: bytes=from-; 0: none */
    const char *userpwd, *bearer;
    bool plain; /* http:// may be used, also by redirects */
    /* Body of a 2xx. Returns 0 or a negative errno. */
    int (*take)(struct remote_call *c, const void *p, size_t n);
    void *arg;

    int take_result;
    long status;
    curl_off_t length; /* -1: not said */
    char content_type[128];
    long retry_after_s;
    struct remote_challenge challenge;
    char text[256]; /* beginning of the body of another status */
    size_t n_text;
    char curl_text[CURL_ERROR_SIZE];
};

/* remote_http.c. Returns curl's result; status and the rest are in the call. */
CURLcode remote_exchange(struct remote_call *c);
CURL *remote_pool_take(struct remote_pool *p); /* a new one when none is idle */
void remote_pool_give(struct remote_pool *p, CURL *curl);

/* A status that another attempt may change. */
static inline bool remote_passing(long status)
{
    return status == 429 || status == 408 || status / 100 == 5;
}

/* remote_auth.c */
void remote_challenge_parse(const char *header, struct remote_challenge *to);
/* Answers a challenge: fills the remote's authorization. `serial` is the authorization that was
 * refused; another thread may have got a newer one meanwhile. */
int remote_authorize(struct remote *r, const struct remote_challenge *challenge, unsigned serial,
                     struct gt_err *err);

#endif
