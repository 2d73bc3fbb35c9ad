/*
 * Tasks whose end the server has accepted, for as long as an answer to Poll may still be on its way
 * that names them. Such an answer was made before: a task that it names and that is not here any
 * more is not a new one.
 *
 * The loop's, but for ended_count().
 */
#ifndef GT_NODE_AGENT_ENDED_H
#define GT_NODE_AGENT_ENDED_H

#include "lib/base/list.h"
#include "lib/base/str.h"

#include <stdatomic.h>
#include <stdint.h>

struct ended {
    struct gt_list tasks; /* oldest first */
    atomic_uint_least64_t count;
};

void ended_init(struct ended *e);
void ended_fini(struct ended *e);

/* The server has accepted the task's end. */
void ended_add(struct ended *e, struct gt_str id);
/* How many there were so far: to be taken before a poll is sent. Any thread. */
uint64_t ended_count(struct ended *e);
/* The answer to a poll that was sent at count `since`: whether it may name this task for no other
 * reason than that it did not know better. */
bool ended_after(const struct ended *e, struct gt_str id, uint64_t since);
/* No answer to an older poll than one at `since` will come. */
void ended_forget(struct ended *e, uint64_t since);

#endif
