/* A front end for tests: what the server gives a service, without threads and sockets. The core is
 * real, on a memory journal. Define a request, run it, look at the answer. */
#ifndef GT_TESTS_FAKE_FRONT_H
#define GT_TESTS_FAKE_FRONT_H

#include "control/core/data.h"
#include "control/server/route.h"

struct fake_front;
struct fake_front *fake_front_new(void *store, const unsigned char *secret);
void fake_front_free(struct fake_front *f);

struct fake_answer {
    int status;
    char body[65536]; /* or the file's part; NUL after it */
    size_t n;
    uint64_t length;
    char content_type[128];
    char headers[4096]; /* "Name: value\n" each */
};

struct fake_request {
    const char *method, *path, *query; /* query may be NULL */
    const char *headers[12];           /* name in lower case, value, ... NULL */
    const void *body;
    size_t n;
    size_t piece; /* bytes of each body() call; 0: all at once */
    bool cut;     /* the client goes away before the end */
};
/* Runs the whole of a request through a route. */
void fake_route(struct fake_front *f, const struct server_route *route,
                const struct fake_request *rq, struct fake_answer *ret);

/* A data request of account 000000000000 in us-east-1, for calling operations. Its arena lives
 * until fake_data_done. */
struct data_req *fake_data(struct fake_front *f);
void fake_data_done(struct data_req *rq);

#endif
