/* Which node has which subnet: a view (view.h) of the nodes' records. */
#ifndef GT_CONTROL_AGENT_SUBNETS_H
#define GT_CONTROL_AGENT_SUBNETS_H

#include "control/core/tx.h"

/* Whether another node of any cluster has it. `subnet` as in the record: "10.1.2". */
bool subnet_taken(struct tx *tx, struct gt_str subnet, struct gt_str by);

#endif
