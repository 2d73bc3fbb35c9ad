/*
 * The text of the two nftables tables. Loaded as one transaction that also removes the old ones:
 * traffic never meets a half of them, and connections live on in conntrack.
 *
 * A port mapping is one element of the map `ports`, and what a task may send from is one element of
 * the set `sources`: attaching a task changes no rule.
 */
#include "node/net/net_priv.h"

#include <inttypes.h>
#include <linux/netfilter.h>
#include <string.h>

static void put_ports(const struct net_rules *r, struct gt_buf *to)
{
    const char *sep = "\t\telements = { ";
    for (size_t i = 0; i < r->n_tasks; i++) {
        const struct net_attached *a = r->tasks[i];
        char address[16];
        net_address_text(a->address, address);
        for (size_t k = 0; a->mode == NET_BRIDGE && k < a->n_ports; k++) {
            const struct net_port *p = &a->ports[k];
            gt_buf_printf(to, "%s%s . %u : %s . %u", sep, p->proto == NET_UDP ? "udp" : "tcp",
                          p->host_port, address, p->container_port);
            sep = ",\n\t\t             ";
        }
    }
    gt_buf_puts(to, sep[0] == ',' ? " }\n" : "");
}

static void put_denied(const struct net_rules *r, bool local, struct gt_buf *to)
{
    const char *sep = "\t\telements = { ";
    for (size_t i = 0; i < r->n_denied; i++) {
        const struct net_endpoint *e = &r->denied[i];
        if (local != !e->address) {
            continue;
        }
        gt_buf_puts(to, sep);
        if (e->address) {
            gt_buf_printf(to, "%s . ", e->address);
        }
        gt_buf_printf(to, "%u", e->port);
        sep = ", ";
    }
    gt_buf_puts(to, sep[0] == ',' ? " }\n" : "");
}

static void put_nat(const char *bridge, const char *subnet, struct gt_buf *to)
{
    /* Locally made packets to 127.0.0.1:port take the output hook, all others prerouting. */
    gt_buf_puts(to, "\tchain prerouting {\n"
                    "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
                    "\t\tfib daddr type local dnat ip to meta l4proto . th dport map @ports\n"
                    "\t}\n"
                    "\tchain output {\n"
                    "\t\ttype nat hook output priority -100; policy accept;\n"
                    "\t\tfib daddr type local dnat ip to meta l4proto . th dport map @ports\n"
                    "\t}\n");
    gt_buf_puts(to, "\tchain postrouting {\n"
                    "\t\ttype nat hook postrouting priority srcnat; policy accept;\n");
    /* Between nodes, tasks keep their addresses. */
    gt_buf_printf(to,
                  "\t\tip saddr %s ip daddr != 10.200.0.0/16 oifname != \"%s\" masquerade\n"
                  "\t\tip saddr 127.0.0.0/8 oifname \"%s\" masquerade\n",
                  subnet, bridge, bridge);
    /* Hairpin: the answer must come back this way to be translated. */
    gt_buf_printf(to,
                  "\t\tip saddr %s oifname \"%s\" ct status dnat masquerade\n"
                  "\t}\n",
                  subnet, bridge);
}

/* Sets of the peers' subnets, and of the hosts from which vxlan packets come. */
static void put_peers(const struct net_rules *r, struct gt_buf *to)
{
    const char *sep = "\t\telements = { ";
    gt_buf_puts(to, "\tset peers {\n\t\ttype ipv4_addr\n\t\tflags interval\n");
    for (size_t i = 0; i < r->n_ways; i++) {
        gt_buf_printf(to, "%s%s", sep, r->ways[i].subnet.text);
        sep = ", ";
    }
    gt_buf_puts(to, sep[0] == ',' ? " }\n\t}\n" : "\t}\n");
    sep = "\t\telements = { ";
    gt_buf_puts(to, "\tset vteps {\n\t\ttype ipv4_addr\n");
    for (size_t i = 0; i < r->n_ways; i++) {
        char address[16];
        if (r->ways[i].overlay == NET_OVERLAY_VXLAN) {
            net_address_text(r->ways[i].address, address);
            gt_buf_printf(to, "%s%s", sep, address);
            sep = ", ";
        }
    }
    gt_buf_puts(to, sep[0] == ',' ? " }\n\t}\n" : "\t}\n");
}

/* What says that it comes from a task must come from where that task is: from here it comes by the
 * bridge, from a peer by the way to it. @th,96,24 is the VNI: other people's vxlan is theirs. */
static void put_spoofed(const struct net_rules *r, struct gt_buf *to)
{
    const char *bridge = r->names->bridge, *vxlan = r->names->vxlan;
    gt_buf_printf(to,
                  "\t\tiifname { \"%s\", \"lo\" } return\n"
                  "\t\tip saddr %s drop\n"
                  "\t\tip saddr @peers fib saddr . iif oif missing drop\n"
                  "\t\tiifname \"%s\" ip saddr != @peers drop\n",
                  bridge, r->subnet->text, vxlan);
    if (r->vni) {
        gt_buf_printf(to, "\t\tudp dport %d @th,96,24 0x%06" PRIx32 " ip saddr != @vteps drop\n",
                      NET_VXLAN_PORT, r->vni);
    }
}

static void put_filter(const struct net_rules *r, struct gt_buf *to)
{
    const char *bridge = r->names->bridge;
    char link[16];
    net_address_text(net_subnet_host(r->subnet, NET_HOST_LINK), link);
    /* The bridge has route_localnet, for answers to the host's own 127.0.0.1; what tasks send there
     * is dropped before anything translates it. */
    gt_buf_printf(to,
                  "\tchain raw {\n"
                  "\t\ttype filter hook prerouting priority raw; policy accept;\n"
                  "\t\tiifname \"%s\" meta nfproto ipv6 drop\n"
                  "\t\tiifname \"%s\" ip daddr 127.0.0.0/8 drop\n",
                  bridge, bridge);
    put_spoofed(r, to);
    gt_buf_puts(to, "\t}\n");
    gt_buf_printf(to,
                  "\tchain forward {\n"
                  "\t\ttype filter hook forward priority filter; policy accept;\n"
                  "\t\tiifname \"%s\" ip daddr . tcp dport @denied reject with tcp reset\n"
                  "\t\toifname != \"%s\" return\n"
                  "\t\tiifname \"%s\" accept\n"
                  "\t\tct state established,related accept\n"
                  "\t\tct status dnat accept\n"
                  "\t\tip daddr %s drop\n"
                  "\t\tip saddr @peers accept\n"
                  "\t\tdrop\n"
                  "\t}\n",
                  bridge, bridge, bridge, link);
    gt_buf_printf(to,
                  "\tchain input {\n"
                  "\t\ttype filter hook input priority filter; policy accept;\n"
                  "\t\tiifname != \"%s\" ip saddr != @peers return\n"
                  "\t\tct state established,related accept\n"
                  "\t\ttcp dport @denied_local reject with tcp reset\n"
                  "\t\tip daddr . tcp dport @denied reject with tcp reset\n"
                  "\t}\n",
                  bridge);
}

void net_rules_inet(const struct net_rules *r, struct gt_buf *to)
{
    const char *table = r->names->table;
    gt_buf_printf(to, "table inet %s\ndelete table inet %s\ntable inet %s {\n", table, table,
                  table);
    gt_buf_puts(to, "\tmap ports {\n"
                    "\t\ttype inet_proto . inet_service : ipv4_addr . inet_service\n");
    put_ports(r, to);
    gt_buf_puts(to, "\t}\n\tset denied {\n\t\ttype ipv4_addr . inet_service\n");
    put_denied(r, /* local= */ false, to);
    gt_buf_puts(to, "\t}\n\tset denied_local {\n\t\ttype inet_service\n");
    put_denied(r, /* local= */ true, to);
    gt_buf_puts(to, "\t}\n");
    put_peers(r, to);
    put_filter(r, to);
    put_nat(r->names->bridge, r->subnet->text, to);
    gt_buf_puts(to, "}\n");
}

static void put_sources(const struct net_rules *r, struct gt_buf *to)
{
    const char *sep = "\t\telements = { ";
    char text[16], port[IFNAMSIZ];
    if (r->link_port) {
        net_address_text(net_subnet_host(r->subnet, NET_HOST_LINK), text);
        gt_buf_printf(to, "%s\"%s\" . %s,\n\t\t             \"%s\" . %s", sep, r->link_port, text,
                      r->link_port, NET_LINK_ADDRESS);
        sep = ",\n\t\t             ";
    }
    for (size_t i = 0; i < r->n_tasks; i++) {
        if (r->tasks[i]->address) {
            net_address_text(r->tasks[i]->address, text);
            net_veth_name(r->names, r->tasks[i]->ns, port);
            gt_buf_printf(to, "%s\"%s\" . %s", sep, port, text);
            sep = ",\n\t\t             ";
        }
    }
    gt_buf_puts(to, sep[0] == ',' ? " }\n" : "");
}

void net_rules_bridge(const struct net_rules *r, struct gt_buf *to)
{
    const char *table = r->names->table;
    gt_buf_printf(to,
                  "table bridge %s\ndelete table bridge %s\ntable bridge %s {\n"
                  "\tset sources {\n"
                  "\t\ttype ifname . ipv4_addr\n",
                  table, table, table);
    put_sources(r, to);
    gt_buf_printf(to,
                  "\t}\n"
                  "\tchain prerouting {\n"
                  "\t\ttype filter hook prerouting priority -300; policy accept;\n"
                  "\t\tiifname != \"gv%s*\" return\n"
                  "\t\tether type ip iifname . ip saddr @sources accept\n"
                  "\t\tether type arp iifname . arp saddr ip @sources accept\n"
                  "\t\tdrop\n"
                  "\t}\n"
                  "}\n",
                  r->names->hash);
}

size_t net_rules_elements(const struct net_names *names, const struct net_attached *a,
                          bool bridge_filter, struct nft_element *to)
{
    size_t n = 0;
    if (a->address && bridge_filter) {
        struct nft_element *e = &to[n++];
        *e = (struct nft_element){.family = NFPROTO_BRIDGE,
                                  .table = names->table,
                                  .set = "sources",
                                  .key_len = IFNAMSIZ + 4};
        net_veth_name(names, a->ns, (char *)e->key);
        memcpy(e->key + IFNAMSIZ, &a->address, 4);
    }
    for (size_t i = 0; a->mode == NET_BRIDGE && i < a->n_ports; i++) {
        const struct net_port *p = &a->ports[i];
        struct nft_element *e = &to[n++];
        *e = (struct nft_element){
            .family = NFPROTO_INET,
            .table = names->table,
            .set = "ports",
            .key = {(uint8_t)p->proto, 0, 0, 0, (uint8_t)(p->host_port >> 8),
                    (uint8_t)p->host_port},
            .key_len = 8,
            .value = {0, 0, 0, 0, (uint8_t)(p->container_port >> 8), (uint8_t)p->container_port},
            .value_len = 8};
        memcpy(e->value, &a->address, 4);
    }
    return n;
}
