/* For services/ecr alone. */
#ifndef GT_CONTROL_SERVICES_ECR_STORE_H
#define GT_CONTROL_SERVICES_ECR_STORE_H

#include "control/services/ecr/ecr.h"
#include "store/registry/registry.h"

#include <pthread.h>
#include <stdatomic.h>

/* Longer than any push takes from its first blob to its manifest. */
#define ECR_GRACE_MS (3600 * (int64_t)1000)

struct ecr_store {
    struct registry *registry;
    char *host;
    bool tls;
    unsigned char secret[32];
    atomic_flag orphans_dropped;

    pthread_t collector;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool closing; /* under lock */
};

/* Drops what the registry still has of repositories that the core does not know any more: a crash
 * between the two halves of a deletion left it. Does so once in the life of a process, at its first
 * caller. Only logs what goes wrong. */
void ecr_drop_orphans(struct data_req *rq);

#endif
