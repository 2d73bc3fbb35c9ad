/*
 * The cluster as it was: read-only operations of the core on the state of an earlier revision,
 * which is rebuilt from the journal. A request says so by its path, /_gantry/at/REVISION/ in front
 * of what it would be otherwise; so every client can ask that lets its endpoint be set, and the
 * signature covers it.
 *
 * One thread does it all, beside the core and the bulk workers. The last few states stay in
 * memory, within GT_LIMIT_PAST.
 */
#ifndef GT_CONTROL_SERVER_PAST_H
#define GT_CONTROL_SERVER_PAST_H

#include "control/core/core.h"
#include "control/server/bulk.h"

#define PAST_PREFIX "/_gantry/at/"

struct past;
struct past *past_new(struct journal *journal, const struct service *const *services,
                      core_authorize_fn *authorize);
void past_free(struct past *p); /* runs what waits; NULL is allowed */

/* False: too many wait. */
bool past_submit(struct past *p, struct bulk_job *job);
/* From within a job: as core_apply(), in the state at `revision`. NOT_FOUND: it is not kept. */
void past_apply(struct past *p, uint64_t revision, struct core_call *call);

/* Takes the prefix off the path; *ret_revision 0: there is none. MALFORMED: no revision in it. */
int past_path(struct gt_str *path, uint64_t *ret_revision, struct gt_err *err);

#endif
