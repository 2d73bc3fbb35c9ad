/*
 * What is attached, on disk: <run>/net/<task id>, one line a fact. It only has to survive the
 * agent, not the host (neither do namespaces), so it is renamed into place without fsync.
 */
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/net/net_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define NSFS 0x6e736673

bool net_task_id_ok(const char *id)
{
    size_t n = strlen(id);
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)id[i]) && id[i] != '-' && id[i] != '_' &&
            (id[i] != '.' || i == 0)) {
            return false;
        }
    }
    return n > 0 && n <= NET_TASK_ID_MAX;
}

static int open_folder(const struct net *n, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s/net", n->run_dir);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : gt_err_errno(err, errno, "open \"%s\"", path);
}

int net_record_write(const struct net *n, const struct net_attached *a, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(16384);
    char address[16], temporary[NET_TASK_ID_MAX + 8];
    net_address_text(a->address, address);
    gt_buf_printf(&b, "gantry-net 1\nns %s\nmode %d\naddress %s\n", a->ns, (int)a->mode, address);
    for (size_t i = 0; i < a->n_ports; i++) {
        gt_buf_printf(&b, "port %d %u %u\n", (int)a->ports[i].proto, a->ports[i].container_port,
                      a->ports[i].host_port);
    }
    gt_auto_close int dir = open_folder(n, err);
    if (dir < 0) {
        return dir;
    }
    snprintf(temporary, sizeof temporary, ".%s", a->id);
    gt_auto_close int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : gt_write_full(fd, b.p, b.n);
    if (r == 0 && renameat(dir, temporary, dir, a->id) < 0) {
        r = -errno;
    }
    if (r < 0) {
        unlinkat(dir, temporary, 0);
        return gt_err_errno(err, r, "write \"%s/net/%s\"", n->run_dir, a->id);
    }
    return 0;
}

void net_record_remove(const struct net *n, const char *task_id)
{
    gt_auto_close int dir = open_folder(n, NULL);
    if (dir >= 0) {
        unlinkat(dir, task_id, 0);
    }
}

static bool parse_line(const char *line, struct net_attached *a)
{
    char address[16];
    int mode, proto;
    unsigned container, host;
    if (sscanf(line, "ns %8[0-9a-f]", a->ns) == 1) {
        return true;
    }
    if (sscanf(line, "mode %d", &mode) == 1) {
        a->mode = (enum net_mode)mode;
        return mode >= NET_NONE && mode <= NET_AWSVPC;
    }
    if (sscanf(line, "address %15[0-9.]", address) == 1) {
        return inet_pton(AF_INET, address, &a->address) == 1;
    }
    if (sscanf(line, "port %d %u %u", &proto, &container, &host) == 3) {
        if (a->n_ports == NET_MAX_PORTS || (proto != NET_TCP && proto != NET_UDP) ||
            container > UINT16_MAX || host > UINT16_MAX) {
            return false;
        }
        a->ports[a->n_ports++] = (struct net_port){.proto = (enum net_proto)proto,
                                                   .container_port = (uint16_t)container,
                                                   .host_port = (uint16_t)host};
        return true;
    }
    return true; /* a newer release's */
}

static struct net_attached *parse(const char *id, char *text)
{
    struct net_attached *a = gt_new(struct net_attached);
    memcpy(a->id, id, strlen(id) + 1);
    char *save = NULL;
    char *line = strtok_r(text, "\n", &save);
    bool ok = line && gt_streq(line, "gantry-net 1");
    while (ok && (line = strtok_r(NULL, "\n", &save))) {
        ok = parse_line(line, a);
    }
    if (!ok || !a->ns[0]) {
        free(a);
        return NULL;
    }
    return a;
}

/* Still mounted? After a reboot only the file may be there. */
static bool ns_is_there(const struct net *n, const char *ns)
{
    char path[256];
    struct statfs s;
    return net_ns_path(n, ns, path) == 0 && statfs(path, &s) == 0 && s.f_type == NSFS;
}

int net_record_read_all(struct net *n, struct gt_err *err)
{
    int fd = open_folder(n, err);
    if (fd < 0) {
        return fd;
    }
    DIR *d = fdopendir(fd);
    if (!d) {
        close(fd);
        return gt_err_errno(err, ENOMEM, "read \"%s/net\"", n->run_dir);
    }
    const struct dirent *e;
    while ((e = readdir(d))) {
        if (!net_task_id_ok(e->d_name)) {
            if (!gt_streq(e->d_name, ".") && !gt_streq(e->d_name, "..")) {
                unlinkat(dirfd(d), e->d_name, 0); /* a write that was cut off */
            }
            continue;
        }
        gt_auto_buf struct gt_buf b = GT_BUF_INIT(16384);
        struct net_attached *a = NULL;
        if (gt_file_read(dirfd(d), e->d_name, &b, NULL) == 0 && b.n > 0) {
            a = parse(e->d_name, b.p);
        }
        int host = a && a->address ? net_subnet_index(&n->subnet, a->address) : 0;
        if (!a || !ns_is_there(n, a->ns) || host < 0) {
            unlinkat(dirfd(d), e->d_name, 0);
            free(a);
            continue;
        }
        net_ports_hold_again(a);
        gt_table_put(&n->tasks, gt_str(a->id), a);
        if (host > 0) {
            n->by_host[host] = a;
        }
    }
    closedir(d);
    return 0;
}
