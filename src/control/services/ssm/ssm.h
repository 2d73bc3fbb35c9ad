/*
 * Systems Manager, as far as ECS Anywhere needs it: an activation is a token to join (agent/join.h)
 * whose id has the form of a UUID, and a managed instance is a node that joined with one. The role
 * must exist and trust ssm.amazonaws.com; it is shown, and gives nothing: what a node may call is
 * fixed. Policies allow all of it on "*": AWS has no type of resource for these operations either.
 */
#ifndef GT_CONTROL_SERVICES_SSM_SSM_H
#define GT_CONTROL_SERVICES_SSM_SSM_H

#include "control/core/service.h"

const struct service *ssm_control(void);

#endif
