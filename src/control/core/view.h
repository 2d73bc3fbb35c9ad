/*
 * A view: data that a service derives from records and keeps beside them, because to derive it anew
 * for each call would take too long (the nodes of a cluster by what is free on them).
 *
 * A view shows what the transaction at hand sees: it is told of each change when it is staged, and
 * told the reverse when the transaction does not commit. It comes into being when it is first asked
 * for (tx_view), from all that is there then; so after a restart, too. It is in neither journal nor
 * hash, and what it answers may depend only on the records as they are, never on how they came to
 * be so: one that was made anew must not answer otherwise than one that has followed for a year.
 */
#ifndef GT_CONTROL_CORE_VIEW_H
#define GT_CONTROL_CORE_VIEW_H

#include "control/core/tx.h"

struct core_view {
    /* Beginnings of the keys that it is made of, after account and region ("ecs/node/"), ended by
     * NULL; none is the beginning of another. */
    const char *const *under;
    void *(*open)(void);
    /* A record under such a key; p NULL: there is none. Not both NULL. In any order of keys when
     * the view comes into being. Both are gone when this returns. */
    void (*change)(void *data, const char *key, struct gt_str before, struct gt_str after);
    void (*close)(void *data);
};

/* The view's data. `view` lives as long as the program. */
void *tx_view(struct tx *tx, const struct core_view *view);

#endif
