/*
 * Adds up an outcome while a world is played: samples of it, what its events do to the services,
 * how long which of them lacked what.
 */
#ifndef GT_CONTROL_SIMULATE_MEASURE_H
#define GT_CONTROL_SIMULATE_MEASURE_H

#include "control/simulate/outcome.h"
#include "control/simulate/track.h"

struct measure;

/* The outcome's scenario, fleet and arena are set; the rest is filled. All must outlive it. */
struct measure *measure_new(struct track *t, struct outcome *out);
void measure_free(struct measure *m);

/* Now is the scenario's beginning. */
void measure_begin(struct measure *m);
/* After each step of the world, and track_stepped(). */
void measure_stepped(struct measure *m);
/* Every so often, from the beginning to the end. */
void measure_sample(struct measure *m);
void measure_end(struct measure *m);

/* The server did something by itself that is worth a line. */
void measure_note(struct measure *m, const char *text);
/* Something happens now. What becomes of the services is watched; `text` is kept. To be called
 * when it is done, and before what follows from it. */
void measure_event(struct measure *m, const struct happening *what, enum scenario_action action,
                   const char *text);

#endif
