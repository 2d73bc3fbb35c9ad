#include "lib/base/mem.h"
#include "lib/http/server_priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* "host:port", "[v6]:port", ":port" */
static int split(const char *address, char host[static 256], const char **ret_port,
                 struct gt_err *err)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || (size_t)(colon - address) >= 256) {
        return gt_err_set(err, GT_ERR_INVALID, "listen address '%.300s' is not HOST:PORT", address);
    }
    const char *from = address, *to = colon;
    if (*from == '[' && to > from && to[-1] == ']') {
        from++;
        to--;
    }
    memcpy(host, from, (size_t)(to - from));
    host[to - from] = '\0';
    *ret_port = colon + 1;
    return 0;
}

static int open_one(const struct addrinfo *ai)
{
    gt_auto_close int fd =
        socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, ai->ai_protocol);
    if (fd < 0) {
        return -errno;
    }
    int one = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    /* Inherited by accepted sockets: small answers leave at once. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 1024) < 0) {
        return -errno;
    }
    return gt_steal_fd(&fd);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *)&ss, &n) < 0) {
        return 0;
    }
    return ntohs(ss.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&ss)->sin6_port
                                          : ((struct sockaddr_in *)(void *)&ss)->sin_port);
}

int http_listen(const char *address, uint16_t *ret_port, struct gt_err *err)
{
    char host[256];
    const char *port = NULL; /* gcc at -O2 does not see that split() sets it */
    int r = split(address, host, &port, err);
    if (r < 0) {
        return r;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list = NULL;
    int g = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (g != 0) {
        return gt_err_set(err, GT_ERR_INVALID, "listen address '%.300s': %s", address,
                          gai_strerror(g));
    }
    int fd = -EADDRNOTAVAIL;
    for (struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next) {
        fd = open_one(ai);
    }
    freeaddrinfo(list);
    if (fd < 0) {
        return gt_err_errno(err, fd, "listen on '%.300s'", address);
    }
    *ret_port = bound_port(fd);
    return fd;
}
