/*
 * ECR and the registry behind it: the operations of the ECR API, and the OCI distribution API under
 * /v2/ that docker, podman, buildah and skopeo speak.
 *
 * Repositories are records of the core (<account>/<region>/ecr/repository/<name>). Their blobs,
 * manifests and tags are in store/registry under the name ecr_repo.store, which holds the id of
 * the record: a repository that is deleted and made again has nothing of the old one.
 *
 * There is one registry for each account and region. The distribution API has no way to name a
 * region; there the token decides, which is bound to the account, the region and the key that
 * asked for it.
 */
#ifndef GT_CONTROL_SERVICES_ECR_ECR_H
#define GT_CONTROL_SERVICES_ECR_ECR_H

#include "control/core/service.h"
#include "control/server/route.h"

const struct service *ecr_control(void);
extern const struct server_route ecr_routes[];
extern const size_t n_ecr_routes;

/* What data_store() gives to this service. */
struct ecr_store;
struct ecr_store_options {
    const char *dir;  /* of the server's state: registry.db and blobs/ are made there */
    const char *host; /* "127.0.0.1:4566": where the server listens; on a wildcard, clients
                         are told the name under which they reached it */
    bool tls;         /* they reach it by https */
    const unsigned char *secret; /* 32 bytes, the same that route_secret() gives */
};
/* Starts a thread that collects, now and every hour, blobs that nobody refers to and uploads that
 * nobody goes on with. */
int ecr_store_open(const struct ecr_store_options *o, struct ecr_store **ret, struct gt_err *err);
void ecr_store_close(struct ecr_store *s); /* NULL is allowed */

#endif
