/* `gantry doctor` and the other nodes: an echo request to each peer's gateway, which is where its
 * tasks are, and where none comes back one to its host, which tells whose fault it is. */
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PATIENCE_MS = 500 };

struct probe {
    int fd;
    uint16_t id;
    struct net_way ways[NET_SUBNETS];
    size_t n;
    bool tasks[NET_SUBNETS], host[NET_SUBNETS]; /* answered */
};

static uint16_t checksum(const void *p, size_t n)
{
    uint32_t sum = 0;
    for (const uint16_t *word = p; n > 1; n -= 2) {
        sum += *word++;
    }
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t) ~(sum + (sum >> 16));
}

static void ask(const struct probe *p, uint32_t address, size_t number)
{
    struct icmphdr h = {.type = ICMP_ECHO};
    h.un.echo.id = p->id;
    h.un.echo.sequence = htons((uint16_t)number);
    h.checksum = checksum(&h, sizeof h);
    const struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = address};
    sendto(p->fd, &h, sizeof h, MSG_DONTWAIT, (const struct sockaddr *)&to, sizeof to);
}

/* Marks who answers, until all have or the time is over. */
static void listen_for(struct probe *p, bool *answered)
{
    int64_t end = gt_clock_mono_ms() + PATIENCE_MS;
    size_t missing = 0;
    for (size_t i = 0; i < p->n; i++) {
        missing += !answered[i];
    }
    for (int64_t left; missing > 0 && (left = end - gt_clock_mono_ms()) > 0;) {
        struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
        struct {
            struct iphdr ip;
            struct icmphdr icmp;
            char rest[128];
        } in;
        if (poll(&pfd, 1, (int)left) <= 0 ||
            recv(p->fd, &in, sizeof in, MSG_DONTWAIT) < (ssize_t)(sizeof in.ip + sizeof in.icmp) ||
            in.ip.ihl != 5 || in.icmp.type != ICMP_ECHOREPLY || in.icmp.un.echo.id != p->id) {
            continue;
        }
        size_t i = ntohs(in.icmp.un.echo.sequence) % NET_SUBNETS;
        bool ours = ntohs(in.icmp.un.echo.sequence) / NET_SUBNETS == (answered == p->host);
        if (i < p->n && ours && !answered[i]) {
            answered[i] = true;
            missing--;
        }
    }
}

static int say(const struct probe *p, size_t i, net_check_fn *fn, void *arg)
{
    const struct net_way *w = &p->ways[i];
    char host[16], text[160];
    net_address_text(w->address, host);
    const char *by = net_overlay_name(w->overlay);
    if (p->tasks[i]) {
        snprintf(text, sizeof text, "tasks of node %s (%s) by %s", host, w->subnet.text, by);
        fn(arg, NET_CHECK_OK, text, NULL);
        return 0;
    }
    if (!p->host[i]) {
        snprintf(text, sizeof text, "node %s does not answer", host);
        fn(arg, NET_CHECK_NOTE, text,
           "Is it on, and is this its address (gantry agent --address)?");
        return 0;
    }
    snprintf(text, sizeof text, "tasks of node %s (%s) by %s: the node answers, they cannot", host,
             w->subnet.text, by);
    fn(arg, NET_CHECK_BAD, text,
       w->overlay == NET_OVERLAY_VXLAN
           ? "Open UDP port 4789 between the two nodes, and look at the agent's log there."
           : "Something between the nodes drops packets of 10.200.0.0/16. Where that is a cloud's "
             "network,\n       start the agents with --overlay vxlan.");
    return 1;
}

int net_check_peers(const char *run_dir, net_check_fn *fn, void *arg)
{
    gt_auto_free struct probe *p = gt_new(struct probe);
    p->n = net_ways_read(run_dir, p->ways);
    p->fd = p->n ? socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP) : -1;
    if (p->fd < 0) {
        return 0; /* no peers, or nothing to ask them with */
    }
    gt_rand_bytes(&p->id, sizeof p->id);
    for (size_t i = 0; i < p->n; i++) {
        ask(p, net_subnet_host(&p->ways[i].subnet, NET_HOST_GATEWAY), i);
    }
    listen_for(p, p->tasks);
    for (size_t i = 0; i < p->n; i++) {
        p->host[i] = p->tasks[i];
        if (!p->host[i]) {
            ask(p, p->ways[i].address, NET_SUBNETS + i);
        }
    }
    listen_for(p, p->host);
    int bad = 0;
    for (size_t i = 0; i < p->n; i++) {
        bad += say(p, i, fn, arg);
    }
    gt_closep(&p->fd);
    return bad;
}
