#include "control/server/tls.h"

#include "lib/base/file.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#define DAY_MS (24 * 3600 * (int64_t)1000)
#define AUTHORITY_LIFE_MS (3650 * DAY_MS)
#define LIFE_MS (365 * DAY_MS)

enum { NAMES_MAX = 64, NAME_MAX_LEN = 254 };

struct names {
    char text[NAMES_MAX][NAME_MAX_LEN];
    const char *v[NAMES_MAX];
    size_t n;
};

static bool loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0 ||
           strncmp(listen, "localhost:", 10) == 0;
}

bool tls_wanted(const struct server_options *o)
{
    return o->tls_cert_file || o->n_tls_names || !loopback(o->listen);
}

/* --- by which names the server is reached */

static void add_name(struct names *names, const char *name, size_t n)
{
    if (n == 0 || n >= NAME_MAX_LEN || names->n == NAMES_MAX) {
        return;
    }
    for (size_t i = 0; i < names->n; i++) {
        if (strlen(names->v[i]) == n && memcmp(names->v[i], name, n) == 0) {
            return;
        }
    }
    char *to = names->text[names->n];
    memcpy(to, name, n);
    to[n] = '\0';
    names->v[names->n++] = to;
}

static void add_addresses(struct names *names)
{
    struct ifaddrs *all = NULL;
    if (getifaddrs(&all) < 0) {
        return;
    }
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
        const void *a = family == AF_INET
                            ? (const void *)&((struct sockaddr_in *)(void *)i->ifa_addr)->sin_addr
                            : &((struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr;
        bool local = family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)a);
        if ((family == AF_INET || family == AF_INET6) && !local &&
            inet_ntop(family, a, text, sizeof text)) {
            add_name(names, text, strlen(text));
        }
    }
    freeifaddrs(all);
}

static bool name_fits(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:*_";
    return name[0] && strlen(name) < NAME_MAX_LEN && !name[strspn(name, allowed)];
}

static int collect_names(const struct server_options *o, struct names *names, struct gt_err *err)
{
    char host[NAME_MAX_LEN] = "";
    for (size_t i = 0; i < o->n_tls_names; i++) {
        if (!name_fits(o->tls_names[i])) {
            return gt_err_set(err, GT_ERR_INVALID, "--tls-name '%.300s' is no name or address",
                              o->tls_names[i]);
        }
        add_name(names, o->tls_names[i], strlen(o->tls_names[i]));
    }
    add_name(names, "localhost", 9);
    add_name(names, "127.0.0.1", 9);
    if (gethostname(host, sizeof host - 1) == 0 && name_fits(host)) {
        add_name(names, host, strlen(host));
    }
    const char *colon = strrchr(o->listen, ':');
    bool bracket = o->listen[0] == '[' && colon > o->listen + 1;
    const char *from = o->listen + bracket, *to = colon - bracket;
    size_t n = (size_t)(to - from);
    if (n == 0 || (n == 7 && memcmp(from, "0.0.0.0", n) == 0) || (n == 2 && *from == ':')) {
        add_addresses(names);
    } else {
        add_name(names, from, n);
    }
    return 0;
}

/* --- files */

/* False: one of the two is not there. */
static bool read_pair(const char *pem, const char *key, struct gt_certificate *ret,
                      struct gt_err *err)
{
    return gt_file_read(AT_FDCWD, pem, &ret->pem, err) == 0 &&
           gt_file_read(AT_FDCWD, key, &ret->key, err) == 0;
}

/* The certificate last: where it is, its key is. */
static int write_pair(const char *pem, const char *key, const struct gt_certificate *c,
                      struct gt_err *err)
{
    int r = gt_file_replace(AT_FDCWD, key, c->key.p, c->key.n, 0600, err);
    return r < 0 ? r : gt_file_replace(AT_FDCWD, pem, c->pem.p, c->pem.n, 0644, err);
}

static int own_authority(const struct server_options *o, int64_t now, struct gt_certificate *ca,
                         struct gt_err *err)
{
    gt_auto_free char *pem = gt_asprintf("%s/ca.pem", o->state_dir);
    gt_auto_free char *key = gt_asprintf("%s/server/ca.key", o->state_dir);
    if (access(pem, F_OK) == 0) { /* nodes trust it: it is never replaced unasked */
        if (!read_pair(pem, key, ca, err)) {
            return gt_err_wrap(err, "the server's own authority");
        }
        return gt_certificate_fits(ca, ca, NULL, 0)
                   ? 0
                   : gt_err_set(err, GT_ERR_CORRUPT,
                                "'%s' and '%s' do not belong together; restore them, or remove "
                                "both and join the nodes anew",
                                pem, key);
    }
    char name[128], host[65] = "";
    gethostname(host, sizeof host - 1);
    snprintf(name, sizeof name, "Gantry of %s", host);
    int r = gt_certificate_authority(name, now, AUTHORITY_LIFE_MS, ca, err);
    return r < 0 ? r : write_pair(pem, key, ca, err);
}

static int own_certificate(const struct server_options *o, int64_t now,
                           const struct gt_certificate *ca, struct gt_certificate *ret,
                           struct gt_err *err)
{
    gt_auto_free char *pem = gt_asprintf("%s/server/tls.pem", o->state_dir);
    gt_auto_free char *key = gt_asprintf("%s/server/tls.key", o->state_dir);
    gt_auto_free struct names *names = gt_new(struct names);
    struct gt_err none = GT_ERR_INIT;
    int r = collect_names(o, names, err);
    if (r < 0) {
        return r;
    }
    if (read_pair(pem, key, ret, &none) && gt_certificate_fits(ret, ca, names->v, names->n) &&
        gt_certificate_end(ret) - now > LIFE_MS / 3) {
        return 0;
    }
    gt_buf_reset(&ret->pem);
    gt_buf_reset(&ret->key);
    r = gt_certificate_issue(ca, names->v, names->n, now, LIFE_MS, ret, err);
    return r < 0 ? r : write_pair(pem, key, ret, err);
}

int tls_load(const struct server_options *o, int64_t now, struct tls *ret, struct gt_err *err)
{
    *ret = (struct tls){.certificate = GT_CERTIFICATE_INIT, .authority = GT_BUF_INIT(65536)};
    if (!tls_wanted(o)) {
        return 0;
    }
    if (!o->tls_cert_file != !o->tls_key_file) {
        return gt_err_set(err, GT_ERR_INVALID, "--tls-cert and --tls-key go together");
    }
    if (o->tls_cert_file) {
        return read_pair(o->tls_cert_file, o->tls_key_file, &ret->certificate, err)
                   ? 0
                   : gt_err_code(err);
    }
    struct gt_certificate ca = GT_CERTIFICATE_INIT;
    int r = own_authority(o, now, &ca, err);
    if (r == 0) {
        r = own_certificate(o, now, &ca, &ret->certificate, err);
    }
    if (r == 0) {
        gt_buf_add(&ret->authority, ca.pem.p, ca.pem.n);
        r = gt_certificate_hash(gt_buf_view(&ca.pem), ret->hash, err);
    }
    gt_certificate_fini(&ca);
    return r;
}

void tls_fini(struct tls *t)
{
    gt_certificate_fini(&t->certificate);
    gt_buf_fini(&t->authority);
}
