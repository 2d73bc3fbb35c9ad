/* gantry-server: the control plane. */
#include "cmd/duration.h"
#include "cmd/options.h"
#include "cmd/server_place.h"
#include "cmd/server_tools.h"
#include "control/server/server.h"
#include "lib/base/descriptors.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/size.h"

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
    int64_t n;
    if (!text) {
        return true;
    }
    if (!number_parse(text, min, max, &n)) {
        fprintf(stderr, "gantry-server: --%s '%s' is no number from %ld to %ld\n", option, text,
                min, max);
        return false;
    }
    *ret = n * unit;
    return true;
}

struct history {
    const char *age, *size, *snapshots;
};

static bool take_history(const struct history *h, struct retention *r)
{
    int64_t seconds, snapshots = r->snapshots;
    if (h->age && (!duration_parse(h->age, &seconds) || seconds < 1)) {
        fprintf(stderr, "gantry-server: --history-age '%s' is not like 30m, 12h or 7d\n", h->age);
        return false;
    }
    if (h->age) {
        r->age_ms = seconds * 1000;
    }
    if (h->size && (!gt_size_parse(gt_str(h->size), &r->bytes) || r->bytes < GT_MIB)) {
        fprintf(stderr, "gantry-server: --history-size '%s' is not like 500m or 2g\n", h->size);
        return false;
    }
    if (!number_fits("history-snapshots", h->snapshots, 1, 50, 1, &snapshots)) {
        return false;
    }
    r->snapshots = (unsigned)snapshots;
    return true;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} tools[] = {
    {"replay", server_replay},
    {"backup", server_backup},
    {"restore", server_restore},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof tools / sizeof tools[0]; i++) {
        if (strcmp(argv[1], tools[i].name) == 0) {
            return tools[i].run(argc - 1, argv + 1);
        }
    }
    const char *run = NULL, *name = NULL;
    struct option_list names = {0};
    const char *lost_after = NULL, *brake_percent = NULL, *brake_window = NULL;
    struct server_options o = {.listen = "127.0.0.1:4566",
                               .state_dir = "/var/lib/gantry",
                               .nodes = DETECTOR_OPTIONS_DEFAULT};
    struct history history = {0};
    const struct option_def defs[] = {
        {"listen", "ADDRESS", "where to answer (127.0.0.1:4566)", &o.listen, NULL},
        {"state", "DIR", "state folder (/var/lib/gantry)", &o.state_dir, NULL},
        {"account", "ID", "account, 12 digits (000000000000)", &o.account, NULL},
        {"region", "NAME", "region of registry and nodes (us-east-1)", &o.region, NULL},
        {"tls-name", "NAME", "name or address that it is reached by (may come again)",
         .list = &names},
        {"tls-cert", "FILE", "certificate chain, PEM (one of the server's own authority)",
         &o.tls_cert_file, NULL},
        {"tls-key", "FILE", "its private key, PEM", &o.tls_key_file, NULL},
        {"lost-after", "SECONDS", "a node that is not heard for so long is lost (10)", &lost_after,
         NULL},
        {"brake-percent", "N", "replace nothing when more of the nodes vanish together (50)",
         &brake_percent, NULL},
        {"brake-window", "SECONDS", "together: within this time (600)", &brake_window, NULL},
        {"history-age", "TIME", "how long the past can be seen: 30m, 12h (7d)", &history.age, NULL},
        {"history-size", "SIZE", "... and how much room it takes at most (1g)", &history.size,
         NULL},
        {"history-snapshots", "N", "older snapshots that stay (4)", &history.snapshots, NULL},
        {"run", "DIR", "shown in process lists, to tell instances apart", &run, NULL},
        {"name", "NAME", "likewise", &name, NULL},
        {0},
    };
    int r = options_parse(defs, "gantry-server", "The control plane: AWS APIs, registry, logs.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (!names_fit(&o) || !take_history(&history, &o.history) ||
        !number_fits("lost-after", lost_after, 5, 86400, 1000, &o.nodes.lost_after_ms) ||
        !number_fits("brake-percent", brake_percent, 0, 100, 1, &o.nodes.brake_percent) ||
        !number_fits("brake-window", brake_window, 1, 86400, 1000, &o.nodes.brake_window_ms)) {
        return 2;
    }
    o.tls_names = names.v;
    o.n_tls_names = names.n;
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
    if (server_place_save(&o, s, &err) < 0) {
        gt_warn("%s", err.msg);
    }
    gt_info("answering on %s://%s", server_tls(s) ? "https" : "http", o.listen);
    int number = 0;
    sigwait(&stop, &number);
    gt_info("stopping");
    server_stop(s);
    return 0;
}
