/*
 * IAM policies: what a document allows. Pure: no I/O, no clock; what the request is, is passed in.
 *
 * A document is parsed once into an arena and evaluated any number of times, by any thread.
 * Whatever is in a document is carried out: an element, an operator or a principal type that is
 * not known is refused when it is parsed, never passed over.
 *
 * Source: "IAM JSON policy reference" (grammar, operators, variables, evaluation logic), IAM user
 * guide.
 *
 * Not so plain there, and decided here:
 *  - An ARN pattern is matched part by part; parts that it leaves out at its end count as '*'.
 *  - A policy variable that has no value and no default: its pattern matches nothing. Where the
 *    pattern is negated (NotResource, StringNotEquals ...) an Allow does not apply and a Deny does.
 *  - A key with several values under an operator without ForAllValues or ForAnyValue is as under
 *    ForAnyValue; negated, none of its values may match.
 */
#ifndef GT_LIB_POLICY_POLICY_H
#define GT_LIB_POLICY_POLICY_H

#include "lib/base/arena.h"
#include "lib/base/err.h"

#include <stdbool.h>

enum {
    POLICY_LIMIT_TEXT = 256 * 1024, /* bytes of a document */
    POLICY_LIMIT_PATTERN = 2048,    /* bytes of one pattern, as written and with its variables */
};

enum policy_kind {
    POLICY_IDENTITY, /* of a role or a session: has resources, no principals */
    POLICY_TRUST,    /* who may assume a role: has principals, no resources */
};

struct policy; /* lives in the arena */

/* MalformedPolicyDocument, in IAM's words where they are known. */
int policy_parse(struct gt_str text, enum policy_kind kind, struct gt_arena *arena,
                 const struct policy **ret, struct gt_err *err);

/* Its size as IAM counts it against its quotas: without white space. */
size_t policy_size(struct gt_str text);

struct policy_principal {
    const char *type; /* "AWS", "Service", "Federated", "CanonicalUser" */
    struct gt_str id; /* an ARN (an account as that of its root), a service's name */
};

/* The principals that a trust policy names ("*" is none), from *at = 0 on. */
bool policy_next_principal(const struct policy *p, size_t *at, struct policy_principal *ret);

/* A condition key and what it is in this request. Names are compared without regard to case. */
struct policy_key {
    struct gt_str name; /* "aws:PrincipalTag/team" */
    const struct gt_str *v;
    size_t n; /* 0: as if the key were not there */
};

struct policy_request {
    struct gt_str action;   /* "ecs:RunTask" */
    struct gt_str resource; /* an ARN, or "*" for an action that is on none */
    /* Everything that the caller is: its role, its session, its account. For POLICY_TRUST. */
    const struct policy_principal *principals;
    size_t n_principals;
    const struct policy_key *keys;
    size_t n_keys;
};

enum policy_effect {
    POLICY_NEUTRAL, /* says nothing: denied unless another policy allows */
    POLICY_ALLOW,
    POLICY_DENY, /* whatever others allow */
};

enum policy_effect policy_evaluate(const struct policy *p, const struct policy_request *rq);

#endif
