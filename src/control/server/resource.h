/*
 * Which resources a call is about, as ARNs, from its input and the template that
 * api/<service>.gantry.json has for its operation:
 *
 *     "task/{cluster=default}/{tasks}"      arn:aws:ecs:<region>:<account>:task/<cluster>/<task>
 *     "{resourceArn}"                       as the caller gave it
 *
 * {a|b} is the first of the two that is there, {a=x} is x when a is not there, and a member that is
 * not there is '*' otherwise: all of them. A list gives a resource for each of its elements.
 * Callers may name a resource by its ARN, or with its cluster in front ("web/0123"), where a
 * member's name says no such thing: what comes out is the same, so that a policy cannot be gone
 * round by another spelling. An ARN of something else is left as it is: the operation refuses it.
 */
#ifndef GT_CONTROL_SERVER_RESOURCE_H
#define GT_CONTROL_SERVER_RESOURCE_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"

struct resource_scope {
    const char *service; /* of ARNs: "ecs" */
    struct gt_str region, account;
};

/* `in` as decoded for `shape`. At least one; all in the arena. NULL: "*". GT_ERR_INVALID for more,
 * or longer ones, than there can be (GT_LIMIT_CALL_...). */
int resources_of(const struct resource_scope *scope, const char *template_,
                 const struct wire_shape *shape, const void *in, struct gt_arena *arena,
                 struct gt_str **ret, size_t *ret_n, struct gt_err *err);

/* The member of this name (NULL: none) and where its value lies. */
const struct wire_member *resource_member(const struct wire_shape *shape, struct gt_str name);

#endif
