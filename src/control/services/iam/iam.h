/* IAM: roles, who may assume them, and what they may do. */
#ifndef GT_CONTROL_SERVICES_IAM_IAM_H
#define GT_CONTROL_SERVICES_IAM_IAM_H

#include "control/core/service.h"

const struct service *iam_control(void);

#endif
