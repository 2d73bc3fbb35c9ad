/* STS: GetCallerIdentity, AssumeRole. data_store() is a struct sts_sealer. */
#ifndef GT_CONTROL_SERVICES_STS_STS_H
#define GT_CONTROL_SERVICES_STS_STS_H

#include "control/core/service.h"

const struct service *sts_control(void);

#endif
