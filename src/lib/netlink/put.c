/* The messages: one function for each verb. */
#include "lib/netlink/netlink_priv.h"

#include "lib/base/mem.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

/* The largest single message; checked, not hoped: every variable part is an interface name. */
#define MESSAGE_MAX 512

static struct nlmsghdr *begin(struct nl_batch *b, uint16_t type, uint16_t flags, const char *what)
{
    GT_ASSERT(b->count < NL_BATCH_MAX && b->n + MESSAGE_MAX <= NL_BATCH_BYTES);
    struct nlmsghdr *h = mnl_nlmsg_put_header(b->bytes + b->n);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    b->what[b->count] = what;
    b->ignore[b->count] = 0;
    b->count++;
    return h;
}

static void end(struct nl_batch *b, const struct nlmsghdr *h)
{
    GT_ASSERT(h->nlmsg_len <= MESSAGE_MAX);
    b->n += NLMSG_ALIGN(h->nlmsg_len);
}

static struct ifinfomsg *put_ifinfo(struct nlmsghdr *h, uint32_t ifindex)
{
    struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifi_index = (int)ifindex;
    return m;
}

static void put_no_autoconf(struct nlmsghdr *h)
{
    struct nlattr *spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
    struct nlattr *inet6 = mnl_attr_nest_start(h, AF_INET6);
    mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(h, inet6);
    mnl_attr_nest_end(h, spec);
}

void nl_put_bridge(struct nl_batch *b, const char *name, const uint8_t mac[6])
{
    struct nlmsghdr *h = begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make the bridge");
    struct ifinfomsg *m = put_ifinfo(h, 0);
    m->ifi_flags = m->ifi_change = IFF_UP;
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "bridge");
    mnl_attr_nest_end(h, info);
    end(b, h);
}

void nl_put_veth(struct nl_batch *b, const struct nl_veth *v)
{
    struct nlmsghdr *h = begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make a veth pair");
    struct ifinfomsg *m = put_ifinfo(h, 0);
    m->ifi_flags = m->ifi_change = IFF_UP;
    mnl_attr_put_strz(h, IFLA_IFNAME, v->name);
    if (v->mtu) {
        mnl_attr_put_u32(h, IFLA_MTU, v->mtu);
    }
    if (v->master) {
        mnl_attr_put_u32(h, IFLA_MASTER, v->master);
    }
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "veth");
    struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
    struct nlattr *peer = mnl_attr_nest_start(h, VETH_INFO_PEER);
    mnl_nlmsg_put_extra_header(h, sizeof(struct ifinfomsg)); /* up now would be ENOTCONN */
    mnl_attr_put_strz(h, IFLA_IFNAME, v->peer_name);
    if (v->peer_mac) {
        mnl_attr_put(h, IFLA_ADDRESS, 6, v->peer_mac);
    }
    if (v->mtu) {
        mnl_attr_put_u32(h, IFLA_MTU, v->mtu);
    }
    if (v->peer_netns_fd >= 0) {
        mnl_attr_put_u32(h, IFLA_NET_NS_FD, (uint32_t)v->peer_netns_fd);
    }
    mnl_attr_nest_end(h, peer);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    end(b, h);
}

void nl_put_vxlan(struct nl_batch *b, const char *name, const uint8_t mac[6],
                  const struct nl_vxlan *v, uint32_t mtu)
{
    struct nlmsghdr *h = begin(b, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make a vxlan interface");
    struct ifinfomsg *m = put_ifinfo(h, 0);
    m->ifi_flags = m->ifi_change = IFF_UP;
    mnl_attr_put_strz(h, IFLA_IFNAME, name);
    mnl_attr_put(h, IFLA_ADDRESS, 6, mac);
    mnl_attr_put_u32(h, IFLA_MTU, mtu);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_KIND, "vxlan");
    struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_DATA);
    mnl_attr_put_u32(h, IFLA_VXLAN_ID, v->vni);
    mnl_attr_put_u32(h, IFLA_VXLAN_LOCAL, v->local);
    mnl_attr_put_u16(h, IFLA_VXLAN_PORT, htons(v->port));
    mnl_attr_put_u8(h, IFLA_VXLAN_LEARNING, 0);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    end(b, h);
}

void nl_put_link_set(struct nl_batch *b, uint32_t ifindex, const struct nl_link_set *set)
{
    struct nlmsghdr *h = begin(b, RTM_NEWLINK, 0, "change an interface");
    struct ifinfomsg *m = put_ifinfo(h, ifindex);
    if (set->up || set->down) {
        m->ifi_change = IFF_UP;
        m->ifi_flags = set->up ? IFF_UP : 0;
    }
    if (set->mtu) {
        mnl_attr_put_u32(h, IFLA_MTU, set->mtu);
    }
    if (set->master) {
        mnl_attr_put_u32(h, IFLA_MASTER, set->master);
    }
    if (set->mac) {
        mnl_attr_put(h, IFLA_ADDRESS, 6, set->mac);
    }
    end(b, h);
}

void nl_put_link_no_ipv6(struct nl_batch *b, uint32_t ifindex)
{
    struct nlmsghdr *h = begin(b, RTM_NEWLINK, 0, "turn off IPv6 addresses of an interface");
    put_ifinfo(h, ifindex);
    put_no_autoconf(h);
    end(b, h);
}

void nl_put_hairpin(struct nl_batch *b, uint32_t port_ifindex)
{
    struct nlmsghdr *h = begin(b, RTM_NEWLINK, 0, "set up a bridge port");
    put_ifinfo(h, port_ifindex);
    struct nlattr *info = mnl_attr_nest_start(h, IFLA_LINKINFO);
    mnl_attr_put_strz(h, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = mnl_attr_nest_start(h, IFLA_INFO_SLAVE_DATA);
    mnl_attr_put_u8(h, IFLA_BRPORT_MODE, 1);
    mnl_attr_nest_end(h, data);
    mnl_attr_nest_end(h, info);
    end(b, h);
}

void nl_put_link_del(struct nl_batch *b, uint32_t ifindex)
{
    struct nlmsghdr *h = begin(b, RTM_DELLINK, 0, "remove an interface");
    put_ifinfo(h, ifindex);
    end(b, h);
}

static void put_address(struct nl_batch *b, struct nlmsghdr *h, uint32_t ifindex, uint32_t address,
                        unsigned prefix_len)
{
    struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifa_family = AF_INET;
    m->ifa_prefixlen = (uint8_t)prefix_len;
    m->ifa_index = ifindex;
    m->ifa_scope = RT_SCOPE_UNIVERSE;
    mnl_attr_put_u32(h, IFA_LOCAL, address);
    mnl_attr_put_u32(h, IFA_ADDRESS, address);
    end(b, h);
}

void nl_put_address(struct nl_batch *b, uint32_t ifindex, uint32_t address, unsigned prefix_len)
{
    put_address(b, begin(b, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "add an address"), ifindex,
                address, prefix_len);
}

void nl_put_address_del(struct nl_batch *b, uint32_t ifindex, uint32_t address, unsigned prefix_len)
{
    put_address(b, begin(b, RTM_DELADDR, 0, "remove an address"), ifindex, address, prefix_len);
}

static void put_route(struct nl_batch *b, struct nlmsghdr *h, const struct nl_route *r)
{
    struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->rtm_family = AF_INET;
    m->rtm_dst_len = (uint8_t)r->prefix_len;
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_protocol = r->protocol ? r->protocol : RTPROT_STATIC;
    m->rtm_scope = r->gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    m->rtm_type = RTN_UNICAST;
    m->rtm_flags = r->onlink ? RTNH_F_ONLINK : 0;
    if (r->prefix_len) {
        mnl_attr_put_u32(h, RTA_DST, r->destination);
    }
    if (r->gateway) {
        mnl_attr_put_u32(h, RTA_GATEWAY, r->gateway);
    }
    if (r->source) {
        mnl_attr_put_u32(h, RTA_PREFSRC, r->source);
    }
    if (r->ifindex) {
        mnl_attr_put_u32(h, RTA_OIF, r->ifindex);
    }
    end(b, h);
}

void nl_put_route(struct nl_batch *b, const struct nl_route *r)
{
    uint16_t how = NLM_F_CREATE | (r->append ? NLM_F_APPEND : NLM_F_EXCL);
    put_route(b, begin(b, RTM_NEWROUTE, how, "add a route"), r);
}

void nl_put_route_del(struct nl_batch *b, const struct nl_route *r)
{
    put_route(b, begin(b, RTM_DELROUTE, 0, "remove a route"), r);
}

void nl_put_neighbour(struct nl_batch *b, uint32_t ifindex, uint32_t address, const uint8_t mac[6])
{
    struct nlmsghdr *h =
        begin(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "add a neighbour entry");
    struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ndm_family = AF_INET;
    m->ndm_ifindex = (int)ifindex;
    m->ndm_state = NUD_PERMANENT;
    mnl_attr_put_u32(h, NDA_DST, address);
    mnl_attr_put(h, NDA_LLADDR, 6, mac);
    end(b, h);
}

void nl_put_bridge_fdb(struct nl_batch *b, uint32_t port_ifindex, const uint8_t mac[6])
{
    struct nlmsghdr *h =
        begin(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "add a bridge forwarding entry");
    struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ndm_family = AF_BRIDGE;
    m->ndm_ifindex = (int)port_ifindex;
    m->ndm_state = NUD_NOARP; /* static, yet no address of the bridge itself (that is PERMANENT) */
    m->ndm_flags = NTF_MASTER;
    mnl_attr_put(h, NDA_LLADDR, 6, mac);
    end(b, h);
}

static void put_vxlan_fdb(struct nl_batch *b, struct nlmsghdr *h, uint32_t ifindex,
                          const uint8_t mac[6], uint32_t host)
{
    struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ndm_family = AF_BRIDGE;
    m->ndm_ifindex = (int)ifindex;
    m->ndm_state = NUD_NOARP | NUD_PERMANENT;
    m->ndm_flags = NTF_SELF;
    mnl_attr_put(h, NDA_LLADDR, 6, mac);
    mnl_attr_put_u32(h, NDA_DST, host);
    end(b, h);
}

void nl_put_vxlan_fdb(struct nl_batch *b, uint32_t ifindex, const uint8_t mac[6], uint32_t host)
{
    put_vxlan_fdb(
        b, begin(b, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "add a vxlan forwarding entry"),
        ifindex, mac, host);
}

void nl_put_neighbour_del(struct nl_batch *b, const struct nl_neighbour *n)
{
    struct nlmsghdr *h = begin(b, RTM_DELNEIGH, 0, "remove a neighbour");
    if (n->fdb) {
        put_vxlan_fdb(b, h, n->ifindex, n->mac, n->address);
        return;
    }
    struct ndmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ndm_family = AF_INET;
    m->ndm_ifindex = (int)n->ifindex;
    mnl_attr_put_u32(h, NDA_DST, n->address);
    end(b, h);
}
