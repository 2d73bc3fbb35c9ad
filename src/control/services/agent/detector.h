/*
 * Failure detector: from when nodes were heard, which of them are to be reported lost or back.
 * Pure: the caller says what it heard and what time it is, reports what detector_look() gives to
 * the core, and says what became of that. The server's liveness and the simulator both use it.
 *
 * A node that was not heard for lost_after_ms is lost: its tasks are replaced (NodeLost). Time in
 * which nobody looked does not count: a server that stood still has heard nobody.
 *
 * The brake. When many nodes fall silent together, it is rather the network, this server or
 * something that they share, and replacing all that they run at once would make it worse. When more
 * than brake_percent of at least brake_from nodes are silent or were lost within brake_window_ms,
 * nodes that fall silent are held: nothing is placed on them, but their tasks are not replaced. It
 * stays so, for however long, until so many were heard again that the share is kept, or an operator
 * says that they are gone (detector_release()).
 */
#ifndef GT_CONTROL_AGENT_DETECTOR_H
#define GT_CONTROL_AGENT_DETECTOR_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { DETECTOR_NODE_MAX = 128 }; /* longer ids are not watched */

struct detector_options {
    int64_t lost_after_ms;
    int64_t brake_window_ms;
    int64_t brake_percent; /* 100: never */
    int64_t brake_from;
};
#define DETECTOR_OPTIONS_DEFAULT                                                                   \
    {                                                                                              \
        .lost_after_ms = 10000, .brake_window_ms = 600000, .brake_percent = 50, .brake_from = 4,   \
    }

enum detector_state { DETECTOR_LIVE, DETECTOR_HELD, DETECTOR_LOST };

struct detector_change {
    char node[DETECTOR_NODE_MAX];
    enum detector_state state; /* that the core should have it in */
};

struct detector_brake {
    bool on;
    int64_t since;
    int64_t silent, of; /* as it was put on: so many of so many */
};

struct detector;

/* Times are of one clock that does not jump, in ms. Any thread may call; each call is one step. */
struct detector *detector_new(const struct detector_options *o);
void detector_free(struct detector *d); /* NULL is allowed */

void detector_heard(struct detector *d, struct gt_str node, int64_t now);
/* As the core has it, at the start: what is live has all the time once more, what is held or lost
 * is so until it is heard. */
void detector_known(struct detector *d, struct gt_str node, enum detector_state state,
                    int64_t lost_at, int64_t now);
void detector_forget(struct detector *d, struct gt_str node);

/* What the core should be told now, at most max; the rest comes with the next look. */
size_t detector_look(struct detector *d, int64_t now, struct detector_change *to, size_t max);
/* The core took it, or did not: then it comes again, a second later. */
void detector_told(struct detector *d, const struct detector_change *c, bool taken, int64_t now);

/* Whoever is held counts as lost from the next look on, and the brake is off. */
void detector_release(struct detector *d, int64_t now);
/* An operator has said so of this node: until it is heard it counts as lost, and not for the brake.
 */
void detector_gone(struct detector *d, struct gt_str node);
struct detector_brake detector_brake(struct detector *d);
/* When this process heard the node last; -1: not at all. */
int64_t detector_heard_at(struct detector *d, struct gt_str node);

#endif
