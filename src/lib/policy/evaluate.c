/* Deny before Allow before nothing. */
#include "lib/policy/policy_priv.h"

static bool listed(const struct patterns *p, struct gt_str value, enum pattern_how how,
                   const struct policy_request *rq, enum policy_effect effect)
{
    bool doubt = p->negated && effect == POLICY_ALLOW;
    for (size_t i = 0; i < p->n; i++) {
        if (pattern_matches(&p->v[i], value, how, rq, doubt)) {
            return !p->negated;
        }
    }
    return p->negated;
}

static bool principal_listed(const struct principals *p, const struct policy_request *rq)
{
    bool found = p->everybody;
    for (size_t i = 0; !found && i < p->n; i++) {
        for (size_t k = 0; !found && k < rq->n_principals; k++) {
            found = gt_streq(p->v[i].type, rq->principals[k].type) &&
                    gt_str_eq(p->v[i].id, rq->principals[k].id);
        }
    }
    return found != p->negated;
}

static bool applies(const struct policy *p, const struct statement *s,
                    const struct policy_request *rq)
{
    bool here =
        listed(&s->actions, rq->action, PATTERN_NOCASE, rq, s->effect) &&
        (p->kind == POLICY_TRUST ? principal_listed(&s->principals, rq)
                                 : listed(&s->resources, rq->resource, PATTERN_ARN, rq, s->effect));
    for (size_t i = 0; here && i < s->n_conditions; i++) {
        here = condition_holds(&s->conditions[i], rq, s->effect);
    }
    return here;
}

enum policy_effect policy_evaluate(const struct policy *p, const struct policy_request *rq)
{
    enum policy_effect effect = POLICY_NEUTRAL;
    for (size_t i = 0; i < p->n; i++) {
        if (!applies(p, &p->v[i], rq)) {
            continue;
        }
        if (p->v[i].effect == POLICY_DENY) {
            return POLICY_DENY;
        }
        effect = POLICY_ALLOW;
    }
    return effect;
}
