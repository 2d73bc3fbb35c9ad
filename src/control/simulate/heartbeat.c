/*
 * Who is heard: the server's failure detector, with the heartbeats of simulated nodes. While
 * nothing happens it looks as rarely as it may; nodes beat in turn, each at its own moment.
 */
#include "control/services/agent/agent.h"
#include "control/simulate/play_priv.h"
#include "lib/base/mem.h"

#include <stdio.h>

enum { LOOK_MS = 500, CHANGES = 64 };

/* When the node sent its last heartbeat. */
static int64_t last_beat(const struct play *p, unsigned node)
{
    return p->w.now - (p->w.now + p->nodes[node].phase) % AGENT_HEARTBEAT_MS;
}

static void hear(struct play *p, unsigned node)
{
    detector_heard(p->detector, gt_str(p->f->nodes[node].name), last_beat(p, node));
}

static void say_brake(struct play *p)
{
    struct detector_brake b = detector_brake(p->detector);
    char text[120] = "brake off: lost tasks are replaced again";
    if (b.on == p->braked) {
        return;
    }
    if (b.on) {
        snprintf(text, sizeof text, "brake on (%lld of %lld nodes silent): nothing is replaced",
                 (long long)b.silent, (long long)b.of);
    }
    p->braked = b.on;
    measure_note(p->measure, text);
}

static void look(void *arg, uint64_t unused, uint64_t unused2)
{
    struct play *p = arg;
    struct detector_change changed[CHANGES];
    size_t n;
    for (unsigned i = 0; i < p->f->n_nodes; i++) {
        if (!p->nodes[i].down) {
            hear(p, i);
        }
    }
    do {
        n = detector_look(p->detector, p->w.now, changed, CHANGES);
        say_brake(p);
        for (size_t i = 0; i < n; i++) {
            struct gt_err err;
            bool told = sim_tell_change(&p->w, &changed[i], &err) == 0;
            detector_told(p->detector, &changed[i], told, p->w.now);
        }
    } while (n == CHANGES);
    int64_t rarely = p->s->lost_after / 2 / LOOK_MS * LOOK_MS;
    bool busy = p->w.now <= p->look_until;
    sim_at(&p->w, busy ? LOOK_MS : GT_MAX(rarely, (int64_t)LOOK_MS), look, p, 0, 0);
}

/* The next look is never later than it may be for this one; from then on they are many. */
void heartbeat_changed(struct play *p, unsigned node)
{
    hear(p, node);
    p->look_until = p->w.now + p->s->lost_after + 2 * AGENT_HEARTBEAT_MS;
}

void heartbeat_open(struct play *p)
{
    struct detector_options o = DETECTOR_OPTIONS_DEFAULT;
    o.lost_after_ms = p->s->lost_after;
    o.brake_percent = p->s->brake_percent;
    o.brake_window_ms = p->s->brake_window;
    p->detector = detector_new(&o);
    for (unsigned i = 0; i < p->f->n_nodes; i++) {
        p->nodes[i].phase = play_draw(p, (struct span){0, AGENT_HEARTBEAT_MS - 1});
        detector_known(p->detector, gt_str(p->f->nodes[i].name), DETECTOR_LIVE, 0, p->w.now);
    }
    look(p, 0, 0);
}
