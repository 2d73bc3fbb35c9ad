#include "lib/netlink/netlink_priv.h"

#include "lib/base/mem.h"
#include "lib/base/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

int nl_socket(int protocol, struct gt_err *err)
{
    gt_auto_close int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    struct sockaddr_nl a = {.nl_family = AF_NETLINK};
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        return gt_err_errno(err, errno, "open a netlink socket");
    }
    /* The kernel answers at once; a lost answer must not hang the agent. */
    const struct timeval patience = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int on = 1;
    /* Explanations with refusals, and refusals that do not repeat the message. */
    setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return gt_steal_fd(&fd);
}

int nl_open(struct nl *ret, struct gt_err *err)
{
    int fd = nl_socket(NETLINK_ROUTE, err);
    if (fd < 0) {
        return fd;
    }
    nl_adopt(ret, fd);
    return 0;
}

void nl_adopt(struct nl *nl, int fd)
{
    *nl = (struct nl){.fd = fd, .seq = 1};
}

void nl_close(struct nl *nl)
{
    gt_closep(&nl->fd);
    nl->fd = -1;
}

int nl_send(int fd, const void *p, size_t n)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    ssize_t r;
    do {
        r = sendto(fd, p, n, 0, (struct sockaddr *)&kernel, sizeof kernel);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static void copy_explanation(const struct nlmsghdr *h, char *why, size_t cap)
{
    if (!(h->nlmsg_flags & NLM_F_ACK_TLVS)) {
        return;
    }
    const struct nlmsgerr *e = mnl_nlmsg_get_payload(h);
    size_t offset = sizeof *e;
    if (!(h->nlmsg_flags & NLM_F_CAPPED)) {
        offset += e->msg.nlmsg_len - NLMSG_HDRLEN;
    }
    const struct nlattr *a;
    mnl_attr_for_each(a, h, offset)
    {
        if (mnl_attr_get_type(a) == NLMSGERR_ATTR_MSG) {
            snprintf(why, cap, "%.*s", (int)mnl_attr_get_payload_len(a), mnl_attr_get_str(a));
        }
    }
}

int nl_collect(int fd, uint32_t first_seq, unsigned count, int *results, char *why, size_t cap)
{
    char buf[16384] __attribute__((aligned(4)));
    bool refused = false;
    why[0] = '\0';
    for (unsigned left = count; left > 0;) {
        ssize_t got = recv(fd, buf, sizeof buf, 0);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        int n = (int)got;
        for (const struct nlmsghdr *h = (const void *)buf; mnl_nlmsg_ok(h, n);
             h = mnl_nlmsg_next(h, &n)) {
            uint32_t i = h->nlmsg_seq - first_seq;
            if (h->nlmsg_type != NLMSG_ERROR) {
                continue;
            }
            const struct nlmsgerr *answer = mnl_nlmsg_get_payload(h);
            if (i == UINT32_MAX && answer->error < 0) {
                return answer->error; /* of nf_tables' batch as a whole: no others will come */
            }
            if (i >= count) {
                continue; /* of an earlier request that was given up */
            }
            results[i] = -answer->error;
            if (results[i] && !refused) {
                refused = true;
                copy_explanation(h, why, cap);
            }
            left--;
        }
    }
    return 0;
}

void nl_batch_init(struct nl_batch *b)
{
    b->n = 0;
    b->count = 0;
}

void nl_ignore(struct nl_batch *b, int errnum)
{
    GT_ASSERT(b->count > 0);
    b->ignore[b->count - 1] = errnum;
}

int nl_run(struct nl *nl, struct nl_batch *b, struct gt_err *err)
{
    uint32_t first = nl->seq;
    unsigned count = b->count;
    int results[NL_BATCH_MAX] = {0};
    char why[160];
    char *at = b->bytes;
    for (unsigned i = 0; i < count; i++) {
        struct nlmsghdr *h = (struct nlmsghdr *)at;
        h->nlmsg_seq = first + i;
        at += NLMSG_ALIGN(h->nlmsg_len);
    }
    nl->seq += count;
    int r = count ? nl_send(nl->fd, b->bytes, b->n) : 0;
    if (r == 0 && count) {
        r = nl_collect(nl->fd, first, count, results, why, sizeof why);
    }
    nl_batch_init(b);
    if (r < 0) {
        return gt_err_errno(err, r, "netlink");
    }
    for (unsigned i = 0; i < count; i++) {
        if (results[i] && results[i] != b->ignore[i]) {
            return why[0] ? gt_err_errno(err, results[i], "%s (%s)", b->what[i], why)
                          : gt_err_errno(err, results[i], "%s", b->what[i]);
        }
    }
    return 0;
}

/* Asks, and hands each answer to fn until the kernel is done. */
static int dump(struct nl *nl, struct nlmsghdr *request, mnl_cb_t fn, void *arg, struct gt_err *err)
{
    request->nlmsg_seq = nl->seq++;
    int r = nl_send(nl->fd, request, request->nlmsg_len);
    char buf[16384] __attribute__((aligned(4)));
    int more = 1;
    while (r == 0 && more > 0) {
        ssize_t n = recv(nl->fd, buf, sizeof buf, 0);
        if (n < 0) {
            r = errno == EINTR ? 0 : -errno;
            continue;
        }
        more = mnl_cb_run(buf, (size_t)n, request->nlmsg_seq, 0, fn, arg);
        if (more < 0) {
            r = errno == ESRCH || errno == EPROTO ? 0 : -errno; /* stale answers are skipped */
            more = r == 0;
        }
    }
    return r < 0 ? gt_err_errno(err, r, "read from netlink") : 0;
}

static struct nlmsghdr *dump_request(char *buf, uint16_t type, size_t family_header,
                                     unsigned char family)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    *(unsigned char *)mnl_nlmsg_put_extra_header(h, family_header) = family; /* its first member */
    return h;
}

static void read_vxlan(const struct nlattr *data, struct nl_vxlan *v)
{
    const struct nlattr *a;
    mnl_attr_for_each_nested(a, data)
    {
        switch (mnl_attr_get_type(a)) {
        case IFLA_VXLAN_ID:
            v->vni = mnl_attr_get_u32(a);
            break;
        case IFLA_VXLAN_LOCAL:
            v->local = mnl_attr_get_u32(a);
            break;
        case IFLA_VXLAN_PORT:
            v->port = ntohs(mnl_attr_get_u16(a));
            break;
        default:
            break;
        }
    }
}

static void read_kind(const struct nlattr *info, struct nl_link *l)
{
    const struct nlattr *a, *data = NULL;
    mnl_attr_for_each_nested(a, info)
    {
        if (mnl_attr_get_type(a) == IFLA_INFO_KIND) {
            snprintf(l->kind, sizeof l->kind, "%s", mnl_attr_get_str(a));
        } else if (mnl_attr_get_type(a) == IFLA_INFO_DATA) {
            data = a;
        }
    }
    if (data && gt_streq(l->kind, "vxlan")) {
        read_vxlan(data, &l->vxlan);
    }
}

static struct nl_link read_link(const struct nlmsghdr *h)
{
    const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
    struct nl_link l = {.ifindex = (uint32_t)m->ifi_index, .flags = m->ifi_flags};
    const struct nlattr *a;
    mnl_attr_for_each(a, h, sizeof *m)
    {
        switch (mnl_attr_get_type(a)) {
        case IFLA_IFNAME:
            snprintf(l.name, sizeof l.name, "%s", mnl_attr_get_str(a));
            break;
        case IFLA_MASTER:
            l.master = mnl_attr_get_u32(a);
            break;
        case IFLA_MTU:
            l.mtu = mnl_attr_get_u32(a);
            break;
        case IFLA_ADDRESS:
            if (mnl_attr_get_payload_len(a) == 6) {
                memcpy(l.mac, mnl_attr_get_payload(a), 6);
            }
            break;
        case IFLA_LINKINFO:
            read_kind(a, &l);
            break;
        default:
            break;
        }
    }
    return l;
}

struct walk {
    void *fn, *arg;
    int result;
};

static int walk_result(struct walk *w, int r)
{
    w->result = r < 0 ? r : w->result; /* read to the end all the same: the socket stays usable */
    return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *h, void *arg)
{
    struct walk *w = arg;
    struct nl_link l = read_link(h);
    return w->result < 0 ? MNL_CB_OK : walk_result(w, ((nl_link_fn *)w->fn)(w->arg, &l));
}

int nl_links(struct nl *nl, nl_link_fn *fn, void *arg, struct gt_err *err)
{
    char buf[256] __attribute__((aligned(4)));
    struct walk w = {.fn = (void *)fn, .arg = arg};
    int r = dump(nl, dump_request(buf, RTM_GETLINK, sizeof(struct ifinfomsg), AF_UNSPEC), on_link,
                 &w, err);
    return r < 0 ? r : w.result;
}

int nl_link_get(struct nl *nl, const char *name, struct nl_link *ret, struct gt_err *err)
{
    char buf[16384] __attribute__((aligned(4)));
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    h->nlmsg_type = RTM_GETLINK;
    h->nlmsg_flags = NLM_F_REQUEST;
    h->nlmsg_seq = nl->seq++;
    mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg));
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    uint32_t seq = h->nlmsg_seq;
    int r = nl_send(nl->fd, buf, h->nlmsg_len);
    while (r == 0) {
        ssize_t n = recv(nl->fd, buf, sizeof buf, 0);
        if (n < 0) {
            r = errno == EINTR ? 0 : -errno;
        } else if (h->nlmsg_seq == seq && h->nlmsg_type == RTM_NEWLINK) {
            *ret = read_link(h);
            return 0;
        } else if (h->nlmsg_seq == seq && h->nlmsg_type == NLMSG_ERROR) {
            r = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(h))->error;
        }
    }
    return r == -ENODEV ? r : gt_err_errno(err, r, "look up interface \"%s\"", name);
}

static int on_address(const struct nlmsghdr *h, void *arg)
{
    struct walk *w = arg;
    const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
    struct nl_address found = {.ifindex = m->ifa_index, .prefix_len = m->ifa_prefixlen};
    const struct nlattr *a;
    mnl_attr_for_each(a, h, sizeof *m)
    {
        if (mnl_attr_get_type(a) == IFA_LOCAL) {
            found.address = mnl_attr_get_u32(a);
        }
    }
    return w->result < 0 ? MNL_CB_OK : walk_result(w, ((nl_address_fn *)w->fn)(w->arg, &found));
}

int nl_addresses(struct nl *nl, nl_address_fn *fn, void *arg, struct gt_err *err)
{
    char buf[256] __attribute__((aligned(4)));
    struct walk w = {.fn = (void *)fn, .arg = arg};
    int r = dump(nl, dump_request(buf, RTM_GETADDR, sizeof(struct ifaddrmsg), AF_INET), on_address,
                 &w, err);
    return r < 0 ? r : w.result;
}

static int on_route(const struct nlmsghdr *h, void *arg)
{
    struct walk *w = arg;
    const struct rtmsg *m = mnl_nlmsg_get_payload(h);
    struct nl_route found = {.prefix_len = m->rtm_dst_len, .protocol = m->rtm_protocol};
    uint32_t table = m->rtm_table;
    const struct nlattr *a;
    mnl_attr_for_each(a, h, sizeof *m)
    {
        switch (mnl_attr_get_type(a)) {
        case RTA_TABLE:
            table = mnl_attr_get_u32(a);
            break;
        case RTA_DST:
            found.destination = mnl_attr_get_u32(a);
            break;
        case RTA_GATEWAY:
            found.gateway = mnl_attr_get_u32(a);
            break;
        case RTA_PREFSRC:
            found.source = mnl_attr_get_u32(a);
            break;
        case RTA_OIF:
            found.ifindex = mnl_attr_get_u32(a);
            break;
        default:
            break;
        }
    }
    if (w->result < 0 || table != RT_TABLE_MAIN) {
        return MNL_CB_OK;
    }
    return walk_result(w, ((nl_route_fn *)w->fn)(w->arg, &found));
}

int nl_routes(struct nl *nl, nl_route_fn *fn, void *arg, struct gt_err *err)
{
    char buf[256] __attribute__((aligned(4)));
    struct walk w = {.fn = (void *)fn, .arg = arg};
    int r =
        dump(nl, dump_request(buf, RTM_GETROUTE, sizeof(struct rtmsg), AF_INET), on_route, &w, err);
    return r < 0 ? r : w.result;
}

struct neighbour_walk {
    struct walk w;
    uint32_t ifindex;
    bool fdb;
};

static int on_neighbour(const struct nlmsghdr *h, void *arg)
{
    struct neighbour_walk *w = arg;
    const struct ndmsg *m = mnl_nlmsg_get_payload(h);
    struct nl_neighbour found = {.ifindex = (uint32_t)m->ndm_ifindex, .fdb = w->fdb};
    const struct nlattr *a;
    if (found.ifindex != w->ifindex || !(m->ndm_state & NUD_PERMANENT) || w->w.result < 0) {
        return MNL_CB_OK; /* the kernel's own filter came late and is not everywhere */
    }
    mnl_attr_for_each(a, h, sizeof *m)
    {
        if (mnl_attr_get_type(a) == NDA_DST && mnl_attr_get_payload_len(a) == 4) {
            found.address = mnl_attr_get_u32(a);
        } else if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == 6) {
            memcpy(found.mac, mnl_attr_get_payload(a), 6);
        }
    }
    return walk_result(&w->w, ((nl_neighbour_fn *)w->w.fn)(w->w.arg, &found));
}

int nl_neighbours(struct nl *nl, bool fdb, uint32_t ifindex, nl_neighbour_fn *fn, void *arg,
                  struct gt_err *err)
{
    char buf[256] __attribute__((aligned(4)));
    struct neighbour_walk w = {.w = {.fn = (void *)fn, .arg = arg}, .ifindex = ifindex, .fdb = fdb};
    int r =
        dump(nl, dump_request(buf, RTM_GETNEIGH, sizeof(struct ndmsg), fdb ? AF_BRIDGE : AF_INET),
             on_neighbour, &w, err);
    return r < 0 ? r : w.w.result;
}
