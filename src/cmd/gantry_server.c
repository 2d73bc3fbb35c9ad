/* gantry-server: the control plane. */
#include "cmd/options.h"
#include "control/server/server.h"
#include "lib/base/descriptors.h"
#include "lib/base/log.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Both become parts of ARNs and keys. */
static bool names_fit(const struct server_options *o)
{
    if (o->account && (strlen(o->account) != 12 || o->account[strspn(o->account, "0123456789")])) {
        fprintf(stderr, "gantry-server: --account '%s' is not 12 digits\n", o->account);
        return false;
    }
    if (o->region && !region_name_fits(o->region)) {
        fprintf(stderr, "gantry-server: --region '%s' is not like us-east-1\n", o->region);
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *run = NULL, *name = NULL;
    struct server_options o = {.listen = "127.0.0.1:4566", .state_dir = "/var/lib/gantry"};
    const struct option_def defs[] = {
        {"listen", "ADDRESS", "where to answer (127.0.0.1:4566)", &o.listen, NULL},
        {"state", "DIR", "state folder (/var/lib/gantry)", &o.state_dir, NULL},
        {"account", "ID", "account, 12 digits (000000000000)", &o.account, NULL},
        {"region", "NAME", "region of registry and nodes (us-east-1)", &o.region, NULL},
        {"tls-cert", "FILE", "certificate chain, PEM", &o.tls_cert_file, NULL},
        {"tls-key", "FILE", "its private key, PEM", &o.tls_key_file, NULL},
        {"run", "DIR", "shown in process lists, to tell instances apart", &run, NULL},
        {"name", "NAME", "likewise", &name, NULL},
        {0},
    };
    int r = options_parse(defs, "gantry-server", "The control plane: AWS APIs, registry, logs.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (!names_fit(&o)) {
        return 2;
    }
    gt_log_init("server");
    gt_descriptors_raise(); /* a connection takes one */
    /* Buffers of requests go back to the system when they are freed: idle memory stays small. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL); /* before threads start: they inherit it */
    signal(SIGPIPE, SIG_IGN);
    struct gt_err err = GT_ERR_INIT;
    struct server *s = NULL;
    if (server_start(&o, &s, &err) < 0) {
        gt_error("%s", err.msg);
        return 1;
    }
    gt_info("answering on %s", o.listen);
    int number = 0;
    sigwait(&stop, &number);
    gt_info("stopping");
    server_stop(s);
    return 0;
}
