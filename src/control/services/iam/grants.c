#include "control/services/iam/grants.h"

#include "control/services/iam/role.h"
#include "lib/base/mem.h"

#include <errno.h>

struct iam_grants {
    const struct policy **of_role;
    size_t n_of_role;
    const struct policy *of_session; /* NULL: none */
};

int iam_denied(struct tx *tx, const char *action, struct gt_str resource, const char *why,
               struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_DENIED, "AccessDeniedException",
                      "User: " GT_STR_FMT " is not authorized to perform: %s on "
                      "resource: " GT_STR_FMT "%s%s",
                      GT_STR_ARG(tx_principal(tx)->arn), action, GT_STR_ARG(resource),
                      *why ? " " : "", why);
}

/* What was taken when it was put is taken now; but for a state of another release. */
static int parse(struct tx *tx, struct gt_str document, const struct policy **ret,
                 struct gt_err *err)
{
    struct gt_err why = GT_ERR_INIT;
    if (policy_parse(document, POLICY_IDENTITY, tx_arena(tx), ret, &why) < 0) {
        return gt_err_set(err, GT_ERR_INTERNAL, "a policy that was put before is refused: %s",
                          why.msg);
    }
    return 0;
}

int iam_grants_load(struct tx *tx, struct iam_grants **ret, struct gt_err *err)
{
    const struct principal *p = tx_principal(tx);
    const struct rec_iam_role *role = role_find(tx, p->name);
    if (!role || !gt_str_eq(role->id, p->session->role_id)) {
        return gt_err_aws(err, GT_ERR_UNAUTHENTICATED, "UnrecognizedClientException",
                          "The security token included in the request is invalid.");
    }
    struct iam_grants *g = gt_arena_new(tx_arena(tx), struct iam_grants);
    const char *prefix = role_policy_key(tx, role->name, (struct gt_str){0});
    g->of_role = gt_arena_array(tx_arena(tx), const struct policy *, tx_count(tx, prefix) + 1);
    struct tx_cursor c = tx_scan(tx, prefix, NULL);
    for (const char *key; (key = tx_next(&c));) {
        const struct rec_iam_role_policy *rec = tx_get(tx, key, &rec_iam_role_policy_desc);
        int r = parse(tx, rec->document, &g->of_role[g->n_of_role++], err);
        if (r < 0) {
            return r;
        }
    }
    *ret = g;
    return p->session->policy.n ? parse(tx, p->session->policy, &g->of_session, err) : 0;
}

static enum policy_effect of_role(const struct iam_grants *g, const struct policy_request *rq)
{
    enum policy_effect effect = POLICY_NEUTRAL;
    for (size_t i = 0; i < g->n_of_role && effect != POLICY_DENY; i++) {
        enum policy_effect e = policy_evaluate(g->of_role[i], rq);
        effect = e == POLICY_NEUTRAL ? effect : e;
    }
    return effect;
}

static enum policy_effect of_session(const struct iam_grants *g, const struct policy_request *rq)
{
    return g->of_session ? policy_evaluate(g->of_session, rq) : POLICY_ALLOW;
}

static int refuse(struct tx *tx, const char *action, struct gt_str resource, const char *policies,
                  enum policy_effect effect, struct gt_err *err)
{
    char *why = effect == POLICY_DENY
                    ? gt_arena_printf(tx_arena(tx), "with an explicit deny in %s %s policy",
                                      *policies == 'i' ? "an" : "a", policies)
                    : gt_arena_printf(tx_arena(tx), "because no %s policy allows the %s action",
                                      policies, action);
    return iam_denied(tx, action, resource, why, err);
}

int iam_grants_check(const struct iam_grants *g, struct tx *tx, const char *action,
                     struct gt_str resource, const struct iam_context *c, struct gt_err *err)
{
    struct policy_request rq = {
        .action = gt_str(action), .resource = resource, .keys = c->v, .n_keys = c->n};
    enum policy_effect role = of_role(g, &rq), session = of_session(g, &rq);
    if (role != POLICY_ALLOW) {
        return refuse(tx, action, resource, "identity-based", role, err);
    }
    return session == POLICY_ALLOW ? 0 : refuse(tx, action, resource, "session", session, err);
}

/* Everything that the caller is. The account comes last. */
static size_t identities(struct tx *tx, struct policy_principal ret[static 3])
{
    const struct principal *p = tx_principal(tx);
    const struct rec_iam_role *role = p->session ? role_find(tx, p->name) : NULL;
    size_t n = 0;
    if (role) {
        ret[n++] = (struct policy_principal){.type = "AWS", .id = role_arn(tx, role)};
        ret[n++] = (struct policy_principal){.type = "AWS", .id = p->arn};
    }
    ret[n++] = (struct policy_principal){
        .type = "AWS",
        .id = gt_str(gt_arena_printf(tx_arena(tx), "arn:aws:iam::" GT_STR_FMT ":root",
                                     GT_STR_ARG(p->account)))};
    return n;
}

static const struct policy *trust_of(struct tx *tx, const struct rec_iam_role *role)
{
    const struct policy *trust = NULL;
    return policy_parse(role->trust, POLICY_TRUST, tx_arena(tx), &trust, NULL) == 0 ? trust : NULL;
}

/* A trust policy that names the account leaves the rest to the policies of who calls; one that
 * names the caller itself is enough, unless those deny. */
int iam_may_assume(struct tx *tx, const struct rec_iam_role *role, const char *action,
                   const struct iam_context *c, struct gt_err *err)
{
    struct policy_principal who[3];
    const struct policy *trust = trust_of(tx, role);
    struct gt_str arn = role_arn(tx, role);
    struct policy_request rq = {.action = gt_str(action),
                                .resource = arn,
                                .principals = who,
                                .n_principals = identities(tx, who),
                                .keys = c->v,
                                .n_keys = c->n};
    if (!trust || policy_evaluate(trust, &rq) != POLICY_ALLOW) {
        return iam_denied(tx, action, arn, "", err);
    }
    if (tx_principal(tx)->kind != PRINCIPAL_ROLE) {
        return tx_principal(tx)->kind == PRINCIPAL_ROOT ? 0 : iam_denied(tx, action, arn, "", err);
    }
    struct iam_grants *g;
    int r = iam_grants_load(tx, &g, err);
    if (r < 0) {
        return r;
    }
    rq.n_principals--;
    bool itself = policy_evaluate(trust, &rq) == POLICY_ALLOW;
    enum policy_effect own = of_role(g, &rq), session = of_session(g, &rq);
    if (own == POLICY_DENY || (own == POLICY_NEUTRAL && !itself)) {
        return refuse(tx, action, arn, "identity-based", own, err);
    }
    return session == POLICY_ALLOW ? 0 : refuse(tx, action, arn, "session", session, err);
}

bool iam_trusts_service(struct tx *tx, const struct rec_iam_role *role, const char *service,
                        struct gt_str source_arn)
{
    const struct policy *trust = trust_of(tx, role);
    const struct policy_principal who = {.type = "Service", .id = gt_str(service)};
    struct iam_context c = {.arena = tx_arena(tx)};
    iam_context_add(&c, "aws:SourceAccount", tx_account(tx));
    iam_context_add(&c, "aws:SourceArn", source_arn);
    struct policy_request rq = {.action = GT_STR_LIT("sts:AssumeRole"),
                                .resource = role_arn(tx, role),
                                .principals = &who,
                                .n_principals = 1,
                                .keys = c.v,
                                .n_keys = c.n};
    return trust && policy_evaluate(trust, &rq) == POLICY_ALLOW;
}

int iam_may_pass(struct tx *tx, struct gt_str role_arn, const char *service, struct gt_err *err)
{
    struct iam_grants *g;
    struct iam_context c = {.arena = tx_arena(tx)};
    if (!role_arn.n || !tx_principal(tx)->session) {
        return 0; /* a role without its session: the journal, run again; it was allowed then */
    }
    iam_context_add_caller(&c, tx);
    iam_context_add(&c, "iam:PassedToService", gt_str(service));
    int r = iam_grants_load(tx, &g, err);
    return r < 0 ? r : iam_grants_check(g, tx, "iam:PassRole", role_arn, &c, err);
}
