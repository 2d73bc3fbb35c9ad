/*
 * Plays a scenario: the core, its services and controllers in a world of virtual time, nodes that
 * behave, and what the scenario lets happen. Everything goes through operations of the API, as it
 * would in a cluster.
 *
 * Before the scenario's beginning its services come up; from then on time is counted. The same
 * scenario and seed give the same outcome.
 */
#ifndef GT_CONTROL_SIMULATE_PLAY_H
#define GT_CONTROL_SIMULATE_PLAY_H

#include "control/simulate/outcome.h"

/* What the outcomes of all seeds of a scenario may take, by estimate; the arena that they go to has
 * twice as much. */
#define OUTCOMES_MAX (4UL << 30)

/* NULL with err filled when the API refuses something that the scenario asks for: the message
 * begins with its place in the file; or when all seeds would take too much. The outcome lives in
 * the arena; scenario and fleet must outlive it. */
struct outcome *simulate_play(const struct scenario *s, const struct machines *f, uint64_t seed,
                              struct gt_arena *a, struct gt_err *err);

#endif
