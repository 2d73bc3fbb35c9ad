#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* <kind>-<instance>, shortened with a hash when it would pass 15 characters. */
static void interface_name(const char *kind, const char *instance, uint64_t hash,
                           char to[static IFNAMSIZ])
{
    if (strlen(instance) <= 12) {
        snprintf(to, IFNAMSIZ, "%s-%s", kind, instance);
    } else {
        snprintf(to, IFNAMSIZ, "%s-%.4s-%07x", kind, instance, (unsigned)(hash >> 32 & 0xfffffff));
    }
}

int net_names_init(struct net_names *names, const char *instance, struct gt_err *err)
{
    size_t n = strlen(instance);
    bool ok = n > 0 && n <= 32;
    for (size_t i = 0; i < n && ok; i++) {
        ok = isalnum((unsigned char)instance[i]) || instance[i] == '-' || instance[i] == '_';
    }
    if (!ok) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "instance name \"%s\": letters, digits, '-' and '_', at most 32",
                          instance);
    }
    /* Seed 0: the same name has the same interfaces in every process. */
    uint64_t hash = gt_hash(instance, n, 0);
    *names = (struct net_names){.bridge_mac = {0x02, 0x67, 0x74, (uint8_t)(hash >> 16),
                                               (uint8_t)(hash >> 24), (uint8_t)(hash >> 32)}};
    snprintf(names->instance, sizeof names->instance, "%s", instance);
    snprintf(names->hash, sizeof names->hash, "%04x", (unsigned)(hash & 0xffff));
    snprintf(names->table, sizeof names->table, "gantry_%s", instance);
    for (char *p = names->table; *p; p++) {
        *p = *p == '-' ? '_' : *p;
    }
    interface_name("gt", instance, hash, names->bridge);
    interface_name("gx", instance, hash, names->vxlan);
    return 0;
}

void net_veth_name(const struct net_names *names, const char *ns_id, char to[static IFNAMSIZ])
{
    snprintf(to, IFNAMSIZ, "gv%s%.8s", names->hash, ns_id);
}

void net_mac_of(uint32_t address, uint8_t to[static 6])
{
    to[0] = 0x02;
    to[1] = 0x67;
    memcpy(to + 2, &address, 4);
}

void net_mac_text(const uint8_t m[static 6], char to[static 18])
{
    snprintf(to, 18, "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

void net_address_text(uint32_t address, char to[static 16])
{
    const unsigned char *b = (const unsigned char *)&address;
    snprintf(to, 16, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
}

int net_subnet_parse(struct net_subnet *s, const char *text, struct gt_err *err)
{
    char address[20], canonical[24], dotted[16];
    unsigned len = 0;
    struct in_addr a;
    int used = 0;
    if (sscanf(text, "%15[0-9.]/%u%n", address, &len, &used) == 2 && !text[used] && len == 24 &&
        inet_pton(AF_INET, address, &a) == 1 && (ntohl(a.s_addr) & 0xff) == 0) {
        net_address_text(a.s_addr, dotted);
        snprintf(canonical, sizeof canonical, "%s/%u", dotted, len);
        *s = (struct net_subnet){.base = a.s_addr, .prefix_len = len};
        memcpy(s->text, canonical, sizeof s->text);
        return 0;
    }
    return gt_err_set(err, GT_ERR_INVALID, "subnet \"%s\" is not of the form 10.200.N.0/24", text);
}

uint32_t net_subnet_host(const struct net_subnet *s, unsigned host)
{
    return htonl(ntohl(s->base) + host);
}

int net_subnet_index(const struct net_subnet *s, uint32_t address)
{
    uint32_t host = ntohl(address) - ntohl(s->base);
    return host < 256 ? (int)host : -1;
}
