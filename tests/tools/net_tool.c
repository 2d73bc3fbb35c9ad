/*
 * Drives node/net for tests: net_tool NAME RUN_DIR SUBNET [ADDRESS:PORT denied ...]. Reads one
 * command a line on standard input and answers each with one line of JSON.
 *
 *   open | release | close | destroy | refill | repair
 *   attach ID bridge|awsvpc|none ADDRESS|- [tcp|udp CONTAINER HOST ...]
 *   detach ID | find ID | recover [ID ...] | check
 *   bench N          attach and detach N times from the pool: microseconds, medians
 */
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "node/net/net.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct net *net;
static struct net_options options;

static void answer_result(int r, const struct gt_err *err)
{
    if (r < 0) {
        printf("{\"result\": %d, \"kind\": %d, \"message\": \"", r, (int)err->kind);
        for (const char *p = err->msg; *p; p++) {
            printf(*p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
        }
        printf("\"}\n");
    } else {
        printf("{\"result\": %d}\n", r);
    }
}

static void answer_attached(struct net_attachment *a, const struct net_port *ports, size_t n)
{
    printf("{\"result\": 0, \"netns\": \"%s\", \"address\": \"%s\", \"gateway\": \"%s\", "
           "\"mac\": \"%s\", \"subnet\": \"%s\", \"dns\": \"%s\", \"veth\": \"%s\", \"ports\": [",
           a->netns, a->address, a->gateway, a->mac, a->subnet, a->dns, a->veth);
    for (size_t i = 0; i < n; i++) {
        printf("%s%u", i ? ", " : "", ports[i].host_port);
    }
    printf("]}\n");
    gt_closep(&a->netns_fd);
}

static void do_attach(struct gt_err *err)
{
    struct net_port ports[NET_MAX_PORTS];
    struct net_task t = {.ports = ports};
    t.id = strtok(NULL, " ");
    const char *mode = strtok(NULL, " ");
    t.address = strtok(NULL, " ");
    if (!t.id || !mode || !t.address) {
        printf("{\"result\": -22, \"message\": \"usage\"}\n");
        return;
    }
    t.mode = gt_streq(mode, "bridge")   ? NET_BRIDGE
             : gt_streq(mode, "awsvpc") ? NET_AWSVPC
                                        : NET_NONE;
    t.address = gt_streq(t.address, "-") ? NULL : t.address;
    const char *proto, *container, *host;
    while ((proto = strtok(NULL, " ")) && (container = strtok(NULL, " ")) &&
           (host = strtok(NULL, " ")) && t.n_ports < NET_MAX_PORTS) {
        ports[t.n_ports++] = (struct net_port){.proto = gt_streq(proto, "udp") ? NET_UDP : NET_TCP,
                                               .container_port = (uint16_t)atoi(container),
                                               .host_port = (uint16_t)atoi(host)};
    }
    struct net_attachment a;
    int r = net_attach(net, &t, &a, err);
    if (r < 0) {
        answer_result(r, err);
    } else {
        answer_attached(&a, ports, t.n_ports);
    }
}

static void do_find(void)
{
    struct net_port ports[NET_MAX_PORTS];
    struct net_attachment a;
    size_t n = 0;
    const char *id = strtok(NULL, " ");
    int r = net_find(net, id ? id : "", &a, ports, NET_MAX_PORTS, &n);
    if (r < 0) {
        printf("{\"result\": %d}\n", r);
    } else {
        answer_attached(&a, ports, n);
    }
}

static int do_recover(struct gt_err *err)
{
    const char *live[256];
    size_t n = 0;
    while (n < 256 && (live[n] = strtok(NULL, " "))) {
        n++;
    }
    return net_recover(net, live, n, err);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void do_bench(void)
{
    const char *text = strtok(NULL, " ");
    int n = text ? atoi(text) : 20;
    int64_t attach[1000], detach[1000];
    n = n > 1000 ? 1000 : n;
    for (int i = 0; i < n; i++) {
        struct gt_err err = GT_ERR_INIT;
        net_refill(net, &err);
        usleep(60000); /* an idle machine is slower than a busy one: RCU grace periods */
        struct net_port port = {NET_TCP, 80, 0};
        struct net_task t = {.id = "bench", .mode = NET_BRIDGE, .ports = &port, .n_ports = 1};
        struct net_attachment a;
        int64_t t0 = gt_clock_mono_ns();
        if (net_attach(net, &t, &a, &err) < 0) {
            answer_result(-1, &err);
            return;
        }
        int64_t t1 = gt_clock_mono_ns();
        gt_closep(&a.netns_fd);
        net_detach(net, "bench", &err);
        attach[i] = t1 - t0;
        detach[i] = gt_clock_mono_ns() - t1;
    }
    qsort(attach, (size_t)n, sizeof *attach, compare);
    qsort(detach, (size_t)n, sizeof *detach, compare);
    printf("{\"result\": 0, \"attach_us\": %.1f, \"attach_p90_us\": %.1f, \"detach_us\": %.1f}\n",
           (double)attach[n / 2] / 1e3, (double)attach[n * 9 / 10] / 1e3,
           (double)detach[n / 2] / 1e3);
}

static void finding(void *arg, enum net_check_level level, const char *what, const char *advice)
{
    (void)arg;
    fprintf(stderr, "%d %s%s%s\n", (int)level, what, advice ? " -> " : "", advice ? advice : "");
}

static int simple(const char *verb, struct gt_err *err)
{
    int r = 0;
    if (gt_streq(verb, "open")) {
        return net_open(&options, &net, err);
    }
    if (gt_streq(verb, "destroy")) {
        return net_destroy(options.name, options.run_dir, err);
    }
    if (gt_streq(verb, "check")) {
        return net_check(options.run_dir, finding, NULL);
    }
    if (!net) {
        return gt_err_set(err, GT_ERR_INVALID, "not open");
    }
    if (gt_streq(verb, "release") || gt_streq(verb, "close")) {
        if (verb[0] == 'c') {
            r = net_close(net, err);
        } else {
            net_release(net);
        }
        net = NULL;
        return r;
    }
    const char *id;
    return gt_streq(verb, "refill")    ? net_refill(net, err)
           : gt_streq(verb, "repair")  ? net_repair(net, err)
           : gt_streq(verb, "recover") ? do_recover(err)
           : gt_streq(verb, "detach")  ? net_detach(net, (id = strtok(NULL, " ")) ? id : "", err)
                                       : gt_err_set(err, GT_ERR_INVALID, "no verb \"%s\"", verb);
}

static size_t read_denied(int argc, char **argv, struct net_endpoint *to)
{
    size_t n = 0;
    for (int i = 4; i < argc && n < 8; i++) {
        char *colon = strchr(argv[i], ':');
        if (colon) {
            *colon = '\0';
            to[n++] = (struct net_endpoint){.address = *argv[i] ? argv[i] : NULL,
                                            .port = (uint16_t)atoi(colon + 1)};
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: net_tool NAME RUN_DIR SUBNET|- [[ADDRESS]:PORT ...]\n");
        return 2;
    }
    gt_log_init("net_tool");
    struct net_endpoint denied[8];
    options = (struct net_options){.name = argv[1],
                                   .run_dir = argv[2],
                                   .subnet = gt_streq(argv[3], "-") ? NULL : argv[3],
                                   .denied = denied,
                                   .n_denied = read_denied(argc, argv, denied)};
    char line[4096];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        const char *verb = strtok(line, " ");
        struct gt_err err = GT_ERR_INIT;
        if (!verb) {
            continue;
        }
        if (net && gt_streq(verb, "attach")) {
            do_attach(&err);
        } else if (net && gt_streq(verb, "find")) {
            do_find();
        } else if (net && gt_streq(verb, "bench")) {
            do_bench();
        } else {
            answer_result(simple(verb, &err), &err);
        }
        fflush(stdout);
    }
    net_release(net);
    return 0;
}
