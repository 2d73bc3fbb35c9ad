/*
 * Operations for those who run this installation (api/admin.json): what AWS keeps to itself. Only
 * the root key may call them. Verbs of `gantry` are their clients.
 */
#ifndef GT_CONTROL_SERVICES_ADMIN_ADMIN_H
#define GT_CONTROL_SERVICES_ADMIN_ADMIN_H

#include "control/core/service.h"
#include "control/services/agent/detector.h"
#include "store/journal/journal.h"

#include <stdatomic.h>

/* What the server lends to these operations: data_store() gives it. */
struct admin_host {
    struct journal *journal;
    atomic_bool walking;       /* somebody walks over the journal */
    struct detector *detector; /* of nodes */
};

/* Always the same object. */
const struct service *admin_control(void);

#endif
