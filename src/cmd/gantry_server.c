/* gantry-server: the control plane. */
#include "cmd/options.h"
#include "control/server/server.h"
#include "lib/base/descriptors.h"
#include "lib/base/log.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

/* *ret stays as it is without a text. */
static bool number_fits(const char *option, const char *text, long min, long max, long unit,
                        int64_t *ret)
{
    char *rest = NULL;
    long n = text ? strtol(text, &rest, 10) : 0;
    if (!text) {
        return true;
    }
    if (rest == text || *rest || n < min || n > max) {
        fprintf(stderr, "gantry-server: --%s '%s' is no number from %ld to %ld\n", option, text,
                min, max);
        return false;
    }
    *ret = (int64_t)n * unit;
    return true;
}

int main(int argc, char **argv)
{
    const char *run = NULL, *name = NULL;
    const char *lost_after = NULL, *brake_percent = NULL, *brake_window = NULL;
    struct server_options o = {.listen = "127.0.0.1:4566",
                               .state_dir = "/var/lib/gantry",
                               .nodes = DETECTOR_OPTIONS_DEFAULT};
    const struct option_def defs[] = {
        {"listen", "ADDRESS", "where to answer (127.0.0.1:4566)", &o.listen, NULL},
        {"state", "DIR", "state folder (/var/lib/gantry)", &o.state_dir, NULL},
        {"account", "ID", "account, 12 digits (000000000000)", &o.account, NULL},
        {"region", "NAME", "region of registry and nodes (us-east-1)", &o.region, NULL},
        {"tls-cert", "FILE", "certificate chain, PEM", &o.tls_cert_file, NULL},
        {"tls-key", "FILE", "its private key, PEM", &o.tls_key_file, NULL},
        {"lost-after", "SECONDS", "a node that is not heard for so long is lost (10)", &lost_after,
         NULL},
        {"brake-percent", "N", "replace nothing when more of the nodes vanish together (50)",
         &brake_percent, NULL},
        {"brake-window", "SECONDS", "together: within this time (600)", &brake_window, NULL},
        {"run", "DIR", "shown in process lists, to tell instances apart", &run, NULL},
        {"name", "NAME", "likewise", &name, NULL},
        {0},
    };
    int r = options_parse(defs, "gantry-server", "The control plane: AWS APIs, registry, logs.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (!names_fit(&o) ||
        !number_fits("lost-after", lost_after, 5, 86400, 1000, &o.nodes.lost_after_ms) ||
        !number_fits("brake-percent", brake_percent, 0, 100, 1, &o.nodes.brake_percent) ||
        !number_fits("brake-window", brake_window, 1, 86400, 1000, &o.nodes.brake_window_ms)) {
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
