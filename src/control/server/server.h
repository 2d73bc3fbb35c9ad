/*
 * The server: one port for the AWS protocols, the registry and the nodes; the core thread behind
 * it; workers for what blocks.
 *
 *   network threads ──► core thread ──► journal ──► answers
 *     parse, SigV4, decode, validate
 *         └──► bulk workers: data operations and bodies of plain routes, on stores of their own
 *
 * A network thread never blocks: a core operation is submitted and answered when its revision is
 * durable, a data operation goes to a bulk worker. A long poll holds no thread.
 */
#ifndef GT_CONTROL_SERVER_SERVER_H
#define GT_CONTROL_SERVER_SERVER_H

#include "control/core/retention.h"
#include "control/services/agent/detector.h"
#include "lib/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;
struct service;

struct server_options {
    const char *listen;            /* "127.0.0.1:4566"; others than loopback speak TLS */
    const char *state_dir;         /* server/ and root.key are made in it */
    const char *account;           /* 12 digits; NULL: "000000000000" */
    const char *region;            /* where the registry and the nodes are; NULL: "us-east-1" */
    struct detector_options nodes; /* when a node counts as lost */
    const char *tls_cert_file, *tls_key_file; /* PEM; NULL: tls.h */
    const char *const *tls_names; /* by which the server is reached, beside what it finds itself */
    size_t n_tls_names;
    struct retention history; /* how much of the past is kept; 0: defaults */
};

/* Recovers, and answers from when it returns. */
int server_start(const struct server_options *o, struct server **ret, struct gt_err *err);
uint16_t server_port(const struct server *s);
bool server_tls(const struct server *s);
/* Lets what is under way finish (5 s at most), makes everything durable, frees. */
void server_stop(struct server *s);

/* Every service's operations and controllers, NULL-terminated, for what reads a journal without a
 * server. */
const struct service *const *server_services(void);

#endif
