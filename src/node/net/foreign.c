/*
 * Other firewalls on the host. In nftables a packet must be accepted by every table, so a forward
 * chain of docker's or ufw's with policy drop stops our traffic whatever our own tables say. Where
 * the other side has a place for the administrator's rules we put two there, marked with our
 * table's name, and take them away again; where it has not (firewalld owns its table, and rewrites
 * it) we say what to do.
 */
#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <stdio.h>
#include <string.h>

/* In this order: docker asks that rules go into DOCKER-USER. */
static const char *const places[] = {"ip filter DOCKER-USER", "ip filter FORWARD"};

static bool list_chain(const char *chain, struct gt_buf *to)
{
    char text[96];
    snprintf(text, sizeof text, "list chain %s\n", chain);
    return net_nft_run(text, to, NULL) == 0 && to->n > 0;
}

int net_foreign_allow(const struct net_names *names, struct gt_err *err)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(places); i++) {
        gt_auto_buf struct gt_buf b = GT_BUF_INIT(4 * 1024 * 1024);
        if (!list_chain(places[i], &b)) {
            continue;
        }
        bool user_chain = i == 0;
        if (!user_chain && !strstr(b.p, "policy drop")) {
            return 0;
        }
        char mark[80];
        snprintf(mark, sizeof mark, "comment \"%s\"", names->table);
        if (strstr(b.p, mark)) {
            return 0;
        }
        char text[512];
        snprintf(text, sizeof text,
                 "insert rule %s iifname \"%s\" counter accept %s\n"
                 "insert rule %s oifname \"%s\" counter accept %s\n",
                 places[i], names->bridge, mark, places[i], names->bridge, mark);
        return net_nft_run(text, NULL, err);
    }
    return 0;
}

void net_foreign_forget(const struct net_names *names)
{
    char mark[80];
    snprintf(mark, sizeof mark, "comment \"%s\"", names->table);
    for (size_t i = 0; i < GT_ARRAY_LEN(places); i++) {
        gt_auto_buf struct gt_buf b = GT_BUF_INIT(4 * 1024 * 1024);
        if (!list_chain(places[i], &b)) {
            continue;
        }
        char *save = NULL;
        for (char *line = strtok_r(b.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
            const char *handle = strstr(line, "# handle ");
            if (strstr(line, mark) && handle) {
                char text[128];
                snprintf(text, sizeof text, "delete rule %s handle %s\n", places[i], handle + 9);
                net_nft_run(text, NULL, NULL);
            }
        }
    }
}

int net_foreign_advice(const char *bridge, char *to, size_t cap)
{
    to[0] = '\0';
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4 * 1024 * 1024);
    if (list_chain("inet firewalld filter_FORWARD", &b)) {
        snprintf(to, cap,
                 "firewall-cmd --permanent --zone=trusted --add-interface=%s && "
                 "firewall-cmd --reload",
                 bridge);
    }
    return to[0] ? 1 : 0;
}
