/* One message to a shim, from its socket to the handlers; what would act on the machine is replaced
 * by a decoding of the payload. */
#include "lib/base/mem.h"
#include "node/shim/shim_priv.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct shim_server server;

int watch(struct shim_server *s, int fd, enum watch_kind kind, unsigned index, uint32_t events)
{
    return 0;
}

void rewatch(struct shim_server *s, int fd, enum watch_kind kind, unsigned index, uint32_t events)
{
}

void unwatch(struct shim_server *s, int fd)
{
}

/* One container that exists and does not run. */
struct container *task_find(struct shim_server *s, const char *id)
{
    return strcmp(id, "c") == 0 ? &s->containers[0] : NULL;
}

int task_configure(struct shim_server *s, const struct shim_task *t, const void *limits,
                   struct gt_err *err)
{
    struct gt_arena a;
    struct rt_limits l;
    gt_arena_init(&a, 65536);
    GT_ASSERT(strlen(t->id) < sizeof t->id && strlen(t->spool_dir) < sizeof t->spool_dir);
    int r = limits ? rt_limits_decode(limits, t->limits_n, &a, &l, err) : 0;
    gt_arena_fini(&a);
    return r;
}

int task_create(struct shim_server *s, const struct shim_create *c, const void *spec,
                const int *fds, unsigned n_fds, struct owed owed, struct gt_err *err)
{
    struct gt_arena a;
    struct rt_spec decoded;
    gt_arena_init(&a, 4UL * RT_SPEC_MAX_BYTES);
    GT_ASSERT(strlen(c->container) < sizeof c->container);
    int r = rt_spec_decode(spec, c->spec_n, &a, &decoded, err);
    gt_arena_fini(&a);
    return r;
}

int exec_start(struct shim_server *s, const struct shim_create *c, const void *spec, const int *fds,
               unsigned n_fds, struct owed owed, struct gt_err *err)
{
    struct gt_arena a;
    struct rt_exec decoded;
    gt_arena_init(&a, 4UL * RT_SPEC_MAX_BYTES);
    int r = rt_exec_decode(spec, c->spec_n, &a, &decoded, err);
    gt_arena_fini(&a);
    return r;
}

int task_start(struct shim_server *s, const char *id, struct owed owed, struct gt_err *err)
{
    return -1;
}

int task_remove(struct shim_server *s, const char *id, struct gt_err *err)
{
    return 0;
}

void task_acked(struct shim_server *s, struct container *c, uint64_t offset)
{
}

void task_describe(const struct container *c, struct shim_container *to)
{
    memset(to, 0, sizeof *to);
}

void task_shutdown(struct shim_server *s)
{
}

struct exec *exec_find(struct shim_server *s, unsigned container, const char *id)
{
    return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int pair[2];
    if (n == 0 || n > SHIM_MSG_MAX + 64 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
        return 0;
    }
    memset(&server, 0, sizeof server);
    for (unsigned i = 1; i < SHIM_MAX_CLIENTS; i++) {
        server.clients[i].fd = -1;
    }
    server.clients[0].fd = pair[0];
    server.containers[0].state = SLOT_EXITED;
    struct shim_hdr h;
    memcpy(&h, data, GT_MIN(n, sizeof h));
    if (n >= sizeof h && h.type == SHIM_KILL_ALL) { /* would need a cgroup */
        h.type = SHIM_STATE;
    }
    if (send(pair[1], data, n, 0) == (ssize_t)n && h.type != SHIM_STATE) {
        client_read(&server, 0);
    }
    close(pair[1]);
    gt_closep(&server.clients[0].fd);
    return 0;
}
