#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POOL_DEFAULT 4

void net_attached_free(struct net_attached *a)
{
    net_ports_drop(a);
    free(a);
}

const char *net_bridge(const struct net *n)
{
    return n->names.bridge;
}

const char *net_subnet(const struct net *n)
{
    return n->subnet.text;
}

const char *net_gateway(const struct net *n)
{
    return n->gateway;
}

const char *net_link_netns(const struct net *n)
{
    return n->link_netns;
}

/* --- rules ------------------------------------------------------------------------------- */

int net_load_rules(struct net *n, struct gt_err *err)
{
    gt_auto_free const struct net_attached **tasks =
        gt_new_array(const struct net_attached *, n->tasks.count + 1);
    size_t count = 0;
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&n->tasks, &it))) {
        tasks[count++] = e->value;
    }
    char link_port[IFNAMSIZ];
    net_veth_name(&n->names, "link", link_port);
    const struct net_rules rules = {.names = &n->names,
                                    .subnet = &n->subnet,
                                    .denied = n->denied,
                                    .n_denied = n->n_denied,
                                    .tasks = tasks,
                                    .n_tasks = count,
                                    .ways = n->ways,
                                    .n_ways = n->n_ways,
                                    .vni = n->vni,
                                    .link_port = link_port};
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(4 * 1024 * 1024);
    net_rules_inet(&rules, &text);
    int r = net_nft_run(text.p, NULL, err);
    if (r < 0) {
        return gt_err_wrap(err, "load the node's rules");
    }
    gt_buf_reset(&text);
    net_rules_bridge(&rules, &text);
    /* Kernels are built without it: then nothing keeps one task from using another's address. */
    n->bridge_filter = net_nft_run(text.p, NULL, NULL) == 0;
    return net_foreign_allow(&n->names, err);
}

/* --- life -------------------------------------------------------------------------------- */

static int make_folders(const struct net *n, struct gt_err *err)
{
    static const char *const names[] = {"netns", "net"};
    for (size_t i = 0; i < GT_ARRAY_LEN(names); i++) {
        gt_auto_free char *path = gt_asprintf("%s/%s", n->run_dir, names[i]);
        int r = gt_mkdirs(path, 0700, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int open_steps(struct net *n, struct gt_err *err)
{
    int r = make_folders(n, err);
    r = r < 0 ? r : nl_open(&n->nl, err);
    if (r == 0) {
        n->nft_fd = nft_set_open(err);
        r = n->nft_fd < 0 ? n->nft_fd : 0;
    }
    net_peers_load(n);
    r = r < 0 ? r : net_bridge_set_up(n, err);
    r = r < 0 ? r : net_record_read_all(n, err);
    if (r == 0 && !net_link_ns_is_there(n)) {
        r = net_make_link_ns(n, err);
    }
    r = r < 0 ? r : net_route_to_link(n, err);
    return r < 0 ? r : net_load_rules(n, err);
}

static struct net *new_net(const char *run_dir)
{
    struct net *n = gt_new(struct net);
    pthread_mutex_init(&n->lock, NULL);
    n->run_dir = gt_strdup(run_dir);
    n->nl = NL_INIT;
    n->nft_fd = -1;
    n->next_host = NET_HOST_LAST;
    gt_list_init(&n->pool);
    gt_table_init(&n->tasks);
    return n;
}

int net_open(const struct net_options *o, struct net **ret, struct gt_err *err)
{
    struct net *n = new_net(o->run_dir);
    n->pool_want = o->pool ? GT_MIN(o->pool, NET_POOL_MAX) : POOL_DEFAULT;
    n->n_denied = o->n_denied;
    n->denied = gt_new_array(struct net_endpoint, o->n_denied + 1);
    for (size_t i = 0; i < o->n_denied; i++) {
        n->denied[i].port = o->denied[i].port;
        n->denied[i].address = o->denied[i].address ? gt_strdup(o->denied[i].address) : NULL;
    }
    n->overlay = o->overlay;
    n->vni = o->vni;
    char subnet[20];
    int r = net_names_init(&n->names, o->name, err);
    if (r == 0 && !o->subnet) {
        r = net_free_subnet(o->name, subnet, err);
    }
    r = r < 0 ? r : net_subnet_parse(&n->subnet, o->subnet ? o->subnet : subnet, err);
    r = r < 0 ? r : net_ns_path(n, "link", n->link_netns);
    r = r < 0 ? r : open_steps(n, err);
    if (r < 0) {
        net_release(n);
        return r;
    }
    *ret = n;
    return 0;
}

void net_release(struct net *n)
{
    if (!n) {
        return;
    }
    gt_list_for_each (node, next, &n->pool) {
        net_ready_free(gt_list_entry(node, struct net_ready, node));
    }
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&n->tasks, &it))) {
        net_attached_free(e->value);
    }
    gt_table_fini(&n->tasks);
    for (size_t i = 0; i < n->n_denied; i++) {
        free((char *)(uintptr_t)n->denied[i].address);
    }
    free(n->denied);
    free(n->ways);
    nl_close(&n->nl);
    gt_closep(&n->nft_fd);
    pthread_mutex_destroy(&n->lock);
    free(n->run_dir);
    free(n);
}

struct port_list {
    uint32_t bridge, ports[2048];
    char names[2048][IFNAMSIZ];
    size_t n;
};

static int collect_port(void *arg, const struct nl_link *l)
{
    struct port_list *p = arg;
    if (l->master == p->bridge && p->n < GT_ARRAY_LEN(p->ports)) {
        memcpy(p->names[p->n], l->name, IFNAMSIZ);
        p->ports[p->n++] = l->ifindex;
    }
    return 0;
}

/* Deletes the bridge's ports for which keep() says no (NULL: all). */
static int remove_ports(struct net *n, bool (*keep)(const struct net *, const char *),
                        struct gt_err *err)
{
    gt_auto_free struct port_list *p = gt_new(struct port_list);
    p->bridge = n->bridge_ifindex;
    int r = nl_links(&n->nl, collect_port, p, err);
    struct nl_batch b;
    nl_batch_init(&b);
    for (size_t i = 0; i < p->n && r == 0; i++) {
        if (keep && keep(n, p->names[i])) {
            continue;
        }
        nl_put_link_del(&b, p->ports[i]);
        nl_ignore(&b, ENODEV); /* its namespace died meanwhile */
        if (b.count == 8) {
            r = nl_run(&n->nl, &b, err);
        }
    }
    return r < 0 ? r : nl_run(&n->nl, &b, err);
}

/* Removes namespaces under <run>/netns for which keep() says no (NULL: all). */
static void remove_namespaces(const struct net *n, bool (*keep)(const struct net *, const char *))
{
    gt_auto_free char *path = gt_asprintf("%s/netns", n->run_dir);
    DIR *d = opendir(path);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] != '.' && !(keep && keep(n, e->d_name))) {
            net_ns_remove(n, e->d_name);
        }
    }
    if (d) {
        closedir(d);
    }
}

static int destroy(struct net *n, struct gt_err *err)
{
    net_foreign_forget(&n->names);
    int result = net_nft_remove(&n->names, err);
    remove_namespaces(n, NULL);
    struct nl_link bridge;
    int r = nl_link_get(&n->nl, n->names.bridge, &bridge, result < 0 ? NULL : err);
    if (r == 0) {
        n->bridge_ifindex = bridge.ifindex;
        r = remove_ports(n, NULL, result < 0 ? NULL : err);
        struct nl_batch b;
        nl_batch_init(&b);
        nl_put_link_del(&b, bridge.ifindex);
        int last = nl_run(&n->nl, &b, result < 0 || r < 0 ? NULL : err);
        r = r < 0 ? r : last;
    }
    result = result < 0 || r == -ENODEV ? result : r;
    net_peers_remove(n);
    static const char *const folders[] = {"netns", "net"};
    for (size_t i = 0; i < GT_ARRAY_LEN(folders); i++) {
        gt_auto_free char *path = gt_asprintf("%s/%s", n->run_dir, folders[i]);
        r = gt_remove_tree(AT_FDCWD, path, result < 0 ? NULL : err);
        result = result < 0 ? result : r;
    }
    return result;
}

int net_close(struct net *n, struct gt_err *err)
{
    pthread_mutex_lock(&n->lock);
    gt_list_for_each (node, next, &n->pool) {
        gt_list_remove(node);
        net_ready_free(gt_list_entry(node, struct net_ready, node));
    }
    int r = destroy(n, err);
    pthread_mutex_unlock(&n->lock);
    net_release(n);
    return r;
}

int net_destroy(const char *name, const char *run_dir, struct gt_err *err)
{
    struct net *n = new_net(run_dir);
    int r = net_names_init(&n->names, name, err);
    r = r < 0 ? r : nl_open(&n->nl, err);
    r = r < 0 ? r : destroy(n, err);
    net_release(n);
    return r;
}

/* --- recovery ---------------------------------------------------------------------------- */

static bool ns_in_use(const struct net *n, const char *ns)
{
    if (gt_streq(ns, "link")) {
        return true;
    }
    gt_list_for_each (node, next, &n->pool) {
        if (gt_streq(gt_list_entry(node, struct net_ready, node)->ns, ns)) {
            return true;
        }
    }
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&n->tasks, &it))) {
        if (gt_streq(((struct net_attached *)e->value)->ns, ns)) {
            return true;
        }
    }
    return false;
}

static bool port_in_use(const struct net *n, const char *veth)
{
    size_t prefix = 2 + strlen(n->names.hash);
    if (strncmp(veth, "gv", 2) != 0 || strncmp(veth + 2, n->names.hash, prefix - 2) != 0) {
        return true; /* somebody put an interface of his own on our bridge: his business */
    }
    return ns_in_use(n, veth + prefix);
}

int net_recover(struct net *n, const char *const *live, size_t n_live, struct gt_err *err)
{
    struct gt_table wanted;
    gt_table_init(&wanted);
    for (size_t i = 0; i < n_live; i++) {
        gt_table_put(&wanted, gt_str(live[i]), n);
    }
    pthread_mutex_lock(&n->lock);
    gt_auto_free char **gone = gt_new_array(char *, n->tasks.count + 1);
    size_t n_gone = 0;
    struct gt_table_iter it = {0};
    struct gt_table_entry *e;
    while ((e = gt_table_next(&n->tasks, &it))) {
        if (!gt_table_get(&wanted, gt_str_n(e->key, e->key_len))) {
            gone[n_gone++] = gt_strdup(e->key);
        }
    }
    pthread_mutex_unlock(&n->lock);
    for (size_t i = 0; i < n_gone; i++) {
        net_detach(n, gone[i], NULL);
        free(gone[i]);
    }
    gt_table_fini(&wanted);
    pthread_mutex_lock(&n->lock);
    remove_namespaces(n, ns_in_use);
    int r = remove_ports(n, port_in_use, err);
    pthread_mutex_unlock(&n->lock);
    return r < 0 ? r : (int)n_gone;
}

static bool tables_are_there(const struct net *n)
{
    for (size_t i = 0; i < (n->bridge_filter ? 2U : 1U); i++) {
        gt_auto_buf struct gt_buf b = GT_BUF_INIT(1024 * 1024);
        char text[128];
        snprintf(text, sizeof text,
                 i == 0 ? "list map inet %s ports\n" : "list set bridge %s sources\n",
                 n->names.table);
        if (net_nft_run(text, &b, NULL) < 0) {
            return false;
        }
    }
    return true;
}

int net_repair(struct net *n, struct gt_err *err)
{
    int repairs = 0, r = 0;
    pthread_mutex_lock(&n->lock);
    struct nl_link bridge;
    if (nl_link_get(&n->nl, n->names.bridge, &bridge, NULL) < 0) {
        repairs++;
        r = net_bridge_set_up(n, err);
        net_pool_drop(n); /* their veths lost their master */
    }
    if (r == 0 && !net_link_ns_is_there(n)) {
        repairs++;
        r = net_make_link_ns(n, err);
    }
    r = r < 0 ? r : net_route_to_link(n, err);
    if (r == 0 && !tables_are_there(n)) {
        repairs++;
        r = net_load_rules(n, err);
    }
    pthread_mutex_unlock(&n->lock);
    return r < 0 ? r : repairs;
}
