#include "node/link/loop.h"

#include "lib/base/clock.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

int loop_open(struct loop *l)
{
    *l = (struct loop){.fd = epoll_create1(EPOLL_CLOEXEC), .now = gt_clock_mono_ms()};
    return l->fd < 0 ? -errno : 0;
}

void loop_close(struct loop *l)
{
    gt_closep(&l->fd);
    l->fd = -1;
}

static int control(struct loop *l, int verb, struct loop_source *s, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};
    return epoll_ctl(l->fd, verb, s->fd, &e) < 0 ? -errno : 0;
}

int loop_add(struct loop *l, struct loop_source *s, uint32_t events)
{
    return control(l, EPOLL_CTL_ADD, s, events);
}

int loop_change(struct loop *l, struct loop_source *s, uint32_t events)
{
    return control(l, EPOLL_CTL_MOD, s, events);
}

void loop_remove(struct loop *l, struct loop_source *s)
{
    if (s->fd >= 0) {
        epoll_ctl(l->fd, EPOLL_CTL_DEL, s->fd, NULL);
        close(s->fd);
        s->fd = -1;
    }
}

int loop_run(struct loop *l, bool (*tick)(void *arg), void *arg, int interval_ms)
{
    int64_t next = 0;
    bool waiting = false;
    while (!l->stop) {
        struct epoll_event e;
        int n = epoll_wait(l->fd, &e, 1, waiting ? interval_ms : -1);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        l->now = gt_clock_mono_ms();
        if (n == 1) {
            struct loop_source *s = e.data.ptr;
            s->on(s, e.events);
        }
        if (l->now >= next) {
            waiting = tick(arg);
            next = l->now + interval_ms;
        } else {
            waiting = true;
        }
    }
    return 0;
}
