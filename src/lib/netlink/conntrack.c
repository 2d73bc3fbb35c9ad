#include "lib/netlink/conntrack.h"

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/netlink/netlink_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define FORGET_MAX 65536 /* bytes of tuples; what does not fit is forgotten next time */

struct search {
    uint32_t address;
    const uint16_t *ports;
    size_t n_ports;
    struct gt_buf tuples; /* u16 length, then a CTA_TUPLE_ORIG attribute */
};

struct tuple {
    uint32_t source;
    uint16_t to_port; /* host byte order */
    uint8_t proto;
};

static const struct nlattr *nested(const struct nlattr *in, uint16_t type)
{
    const struct nlattr *a;
    mnl_attr_for_each_nested(a, in)
    {
        if (mnl_attr_get_type(a) == type) {
            return a;
        }
    }
    return NULL;
}

static struct tuple read_tuple(const struct nlattr *in)
{
    struct tuple t = {0};
    const struct nlattr *ip = nested(in, CTA_TUPLE_IP), *proto = nested(in, CTA_TUPLE_PROTO);
    const struct nlattr *a = ip ? nested(ip, CTA_IP_V4_SRC) : NULL;
    t.source = a ? mnl_attr_get_u32(a) : 0;
    a = proto ? nested(proto, CTA_PROTO_NUM) : NULL;
    t.proto = a ? mnl_attr_get_u8(a) : 0;
    a = proto ? nested(proto, CTA_PROTO_DST_PORT) : NULL;
    t.to_port = a ? ntohs(mnl_attr_get_u16(a)) : 0;
    return t;
}

static int on_flow(const struct nlmsghdr *h, void *arg)
{
    struct search *s = arg;
    const struct nlattr *orig = NULL, *reply = NULL, *a;
    mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
    {
        if (mnl_attr_get_type(a) == CTA_TUPLE_ORIG) {
            orig = a;
        } else if (mnl_attr_get_type(a) == CTA_TUPLE_REPLY) {
            reply = a;
        }
    }
    if (!orig || !reply) {
        return MNL_CB_OK;
    }
    struct tuple from = read_tuple(orig), back = read_tuple(reply);
    bool wanted = s->address && back.source == s->address;
    for (size_t i = 0; i < s->n_ports && !wanted; i++) {
        wanted = from.to_port == s->ports[i];
    }
    if (wanted && from.proto == IPPROTO_UDP && orig->nla_len < 512) {
        gt_buf_add(&s->tuples, orig, MNL_ALIGN(orig->nla_len));
    }
    return MNL_CB_OK;
}

static struct nlmsghdr *put_header(char *buf, uint16_t verb, uint16_t flags, uint32_t seq)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
    h->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | verb);
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    h->nlmsg_seq = seq;
    struct nfgenmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->nfgen_family = AF_INET;
    m->version = NFNETLINK_V0;
    return h;
}

static int read_table(int fd, struct search *s)
{
    char buf[32768] __attribute__((aligned(4)));
    struct nlmsghdr *h = put_header(buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 1);
    int r = nl_send(fd, h, h->nlmsg_len);
    for (int more = 1; r == 0 && more > 0;) {
        ssize_t n = recv(fd, buf, sizeof buf, 0);
        more = n < 0 ? -1 : mnl_cb_run(buf, (size_t)n, 1, 0, on_flow, s);
        if (more < 0 && errno != EINTR) {
            r = -errno;
        }
        more = more < 0 ? 1 : more;
    }
    return r;
}

int conntrack_forget_udp(uint32_t address, const uint16_t *ports, size_t n_ports,
                         struct gt_err *err)
{
    gt_auto_close int fd = nl_socket(NETLINK_NETFILTER, err);
    if (fd < 0) {
        return fd;
    }
    struct search s = {address, ports, n_ports, GT_BUF_INIT(FORGET_MAX)};
    int r = read_table(fd, &s), count = 0;
    for (size_t at = 0; r == 0 && at < s.tuples.n;) {
        const struct nlattr *tuple = (const void *)(s.tuples.p + at);
        char buf[1024] __attribute__((aligned(4))), why[160];
        struct nlmsghdr *h = put_header(buf, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, 2 + (uint32_t)count);
        mnl_attr_put(h, CTA_TUPLE_ORIG | NLA_F_NESTED, mnl_attr_get_payload_len(tuple),
                     mnl_attr_get_payload(tuple));
        int result = 0;
        r = nl_send(fd, h, h->nlmsg_len);
        r = r < 0 ? r : nl_collect(fd, h->nlmsg_seq, 1, &result, why, sizeof why);
        if (r == 0 && result && result != ENOENT) {
            r = -result;
        }
        at += MNL_ALIGN(tuple->nla_len);
        count++;
    }
    gt_buf_fini(&s.tuples);
    return r < 0 ? gt_err_errno(err, r, "forget UDP flows") : count;
}
