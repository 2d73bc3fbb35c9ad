#include "lib/netlink/nft_set.h"

#include "lib/base/mem.h"
#include "lib/netlink/netlink_priv.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

#define ELEMENT_BYTES 256 /* one message, names included; checked below */

int nft_set_open(struct gt_err *err)
{
    return nl_socket(NETLINK_NETFILTER, err);
}

static struct nlmsghdr *put_header(char *at, uint16_t type, uint16_t flags, int family,
                                   uint16_t res_id, uint32_t seq)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(at);
    h->nlmsg_type = type;
    h->nlmsg_flags = NLM_F_REQUEST | flags;
    h->nlmsg_seq = seq;
    struct nfgenmsg *m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->nfgen_family = (uint8_t)family;
    m->version = NFNETLINK_V0;
    m->res_id = htons(res_id);
    return h;
}

static void put_data(struct nlmsghdr *h, uint16_t type, const uint8_t *p, size_t n)
{
    struct nlattr *nest = mnl_attr_nest_start(h, type);
    mnl_attr_put(h, NFTA_DATA_VALUE, n, p);
    mnl_attr_nest_end(h, nest);
}

static struct nlmsghdr *put_element(char *at, bool add, const struct nft_element *e, uint32_t seq)
{
    uint16_t verb = add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM;
    struct nlmsghdr *h =
        put_header(at, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | verb),
                   (uint16_t)(NLM_F_ACK | (add ? NLM_F_CREATE : 0)), e->family, 0, seq);
    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_TABLE, e->table);
    mnl_attr_put_strz(h, NFTA_SET_ELEM_LIST_SET, e->set);
    struct nlattr *list = mnl_attr_nest_start(h, NFTA_SET_ELEM_LIST_ELEMENTS);
    struct nlattr *element = mnl_attr_nest_start(h, NFTA_LIST_ELEM);
    put_data(h, NFTA_SET_ELEM_KEY, e->key, e->key_len);
    if (e->value_len && add) {
        put_data(h, NFTA_SET_ELEM_DATA, e->value, e->value_len);
    }
    mnl_attr_nest_end(h, element);
    mnl_attr_nest_end(h, list);
    return h;
}

int nft_set_change(int fd, bool add, const struct nft_element *elements, size_t n,
                   struct gt_err *err)
{
    static atomic_uint sequence = 1;
    if (n == 0) {
        return 0;
    }
    uint32_t first = atomic_fetch_add(&sequence, (unsigned)n + 2);
    gt_auto_free char *bytes = gt_malloc((n + 2) * ELEMENT_BYTES);
    gt_auto_free int *results = gt_new_array(int, n);
    struct nlmsghdr *h =
        put_header(bytes, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, first);
    char *at = bytes + h->nlmsg_len;
    for (size_t i = 0; i < n; i++) {
        GT_ASSERT(strlen(elements[i].table) + strlen(elements[i].set) < 100);
        h = put_element(at, add, &elements[i], first + 1 + (uint32_t)i);
        GT_ASSERT(h->nlmsg_len <= ELEMENT_BYTES);
        at += h->nlmsg_len;
    }
    h = put_header(at, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES,
                   first + 1 + (uint32_t)n);
    at += h->nlmsg_len;
    int r = nl_send(fd, bytes, (size_t)(at - bytes));
    char why[160] = "";
    if (r == 0) {
        r = nl_collect(fd, first + 1, (unsigned)n, results, why, sizeof why);
    }
    const char *verb = add ? "add to" : "remove from";
    for (size_t i = 0; i < n && r == 0; i++) {
        if (results[i]) {
            return gt_err_errno(err, results[i], "%s nftables set %s of table %s", verb,
                                elements[i].set, elements[i].table);
        }
    }
    return r < 0 ? gt_err_errno(err, r, "%s nftables sets", verb) : 0;
}
