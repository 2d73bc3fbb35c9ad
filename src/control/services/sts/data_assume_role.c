/*
 * AssumeRole. The core says whether the caller may and what the session is like; the keys are made
 * here, outside of it: a session is not written down.
 */
#include "control/services/gen/sts_handlers.h"
#include "control/services/iam/grants.h"
#include "control/services/iam/role.h"
#include "control/services/sts/session.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <strings.h>

enum { CHAINED_SECONDS = 3600 };

struct assume {
    const struct sts_assume_role_in *in;
    struct gt_arena *arena;
    struct gt_str role, role_id;
    struct principal_session session;
};

static int refuse_value(struct gt_err *err, const char *why)
{
    return gt_err_aws(err, GT_ERR_INVALID, "ValidationError", "%s", why);
}

static bool same_key(struct gt_str a, struct gt_str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static bool listed(const struct wire_str_list *keys, struct gt_str key)
{
    for (size_t i = 0; i < keys->n; i++) {
        if (same_key(keys->v[i], key)) {
            return true;
        }
    }
    return false;
}

static bool has_tag(const struct principal_session *s, struct gt_str key)
{
    for (size_t i = 0; i < s->n_tags; i++) {
        if (same_key(s->tags[i].key, key)) {
            return true;
        }
    }
    return false;
}

/* Those of the caller's session that go on to the next one, and those that are asked for. */
static int gather_tags(struct assume *a, const struct principal *caller, struct gt_err *err)
{
    const struct principal_session *from = caller->session;
    struct principal_session *s = &a->session;
    const struct sts_assume_role_in *in = a->in;
    struct principal_tag *v =
        gt_arena_array(a->arena, struct principal_tag, in->tags.n + (from ? from->n_tags : 0) + 1);
    s->tags = v;
    for (size_t i = 0; from && i < from->n_tags; i++) {
        if (from->tags[i].transitive) {
            v[s->n_tags++] = from->tags[i];
        }
    }
    size_t inherited = s->n_tags;
    for (size_t i = 0; i < in->tags.n; i++) {
        struct gt_str key = in->tags.v[i].key;
        if (has_tag(s, key)) {
            return s->n_tags > inherited && !(from && has_tag(from, key))
                       ? refuse_value(err, "Duplicate tag keys found. Please note that Tag keys "
                                           "are case insensitive.")
                       : refuse_value(err, "One of the specified transitive tag keys can't be set "
                                           "because it conflicts with a transitive tag key from "
                                           "the calling session.");
        }
        v[s->n_tags++] =
            (struct principal_tag){.key = key,
                                   .value = in->tags.v[i].value,
                                   .transitive = listed(&in->transitive_tag_keys, key)};
    }
    for (size_t i = 0; i < in->transitive_tag_keys.n; i++) {
        if (!has_tag(s, in->transitive_tag_keys.v[i])) {
            return refuse_value(err, "The specified transitive tag key must be included in the "
                                     "requested tags.");
        }
    }
    return 0;
}

static void add_keys(const struct assume *a, struct tx *tx, const struct rec_iam_role *role,
                     struct iam_context *c)
{
    const struct sts_assume_role_in *in = a->in;
    struct gt_str *keys = gt_arena_array(a->arena, struct gt_str, in->tags.n + 1);
    iam_context_add_caller(c, tx);
    iam_context_add(c, "sts:RoleSessionName", in->role_session_name);
    iam_context_add(c, "sts:ExternalId", in->external_id);
    iam_context_add(c, "sts:SourceIdentity", in->source_identity);
    iam_context_add_list(c, "sts:TransitiveTagKeys", in->transitive_tag_keys.v,
                         in->transitive_tag_keys.n);
    for (size_t i = 0; i < in->tags.n; i++) {
        keys[i] = in->tags.v[i].key;
        iam_context_add_tag(c, "aws:RequestTag/", keys[i], in->tags.v[i].value);
    }
    iam_context_add_list(c, "aws:TagKeys", keys, in->tags.n);
    for (size_t i = 0; i < role->tags.n; i++) {
        iam_context_add_tag(c, "aws:ResourceTag/", role->tags.v[i].key, role->tags.v[i].value);
        iam_context_add_tag(c, "iam:ResourceTag/", role->tags.v[i].key, role->tags.v[i].value);
    }
}

/* Each thing that is asked for is an action of its own. */
static int may(const struct assume *a, struct tx *tx, const struct rec_iam_role *role,
               struct gt_err *err)
{
    struct iam_context c = {.arena = a->arena};
    add_keys(a, tx, role, &c);
    int r = iam_may_assume(tx, role, "sts:AssumeRole", &c, err);
    if (r == 0 && a->in->tags.n) {
        r = iam_may_assume(tx, role, "sts:TagSession", &c, err);
    }
    if (r == 0 && a->in->source_identity.p) {
        r = iam_may_assume(tx, role, "sts:SetSourceIdentity", &c, err);
    }
    return r;
}

static int check_duration(const struct rec_iam_role *role, int64_t seconds, bool chained,
                          struct gt_err *err)
{
    if (chained && seconds > CHAINED_SECONDS) {
        return refuse_value(err, "The requested DurationSeconds exceeds the 1 hour session limit "
                                 "for roles assumed by role chaining.");
    }
    if (seconds > role->max_session) {
        return refuse_value(err, "The requested DurationSeconds exceeds the MaxSessionDuration set "
                                 "for this role.");
    }
    return 0;
}

static int assume(struct tx *tx, void *arg, struct gt_err *err)
{
    struct assume *a = arg;
    const struct sts_assume_role_in *in = a->in;
    const struct principal *caller = tx_principal(tx);
    const struct rec_iam_role *role = role_of_arn(tx, in->role_arn);
    bool chained = caller->kind == PRINCIPAL_ROLE;
    int64_t seconds = in->has_duration_seconds ? in->duration_seconds : IAM_DEFAULT_SESSION;
    if (!role) { /* in the same words as one that may not be assumed: who asks learns nothing */
        return iam_denied(tx, "sts:AssumeRole", in->role_arn, "", err);
    }
    struct gt_str before = chained ? caller->session->source_identity : (struct gt_str){0};
    a->session = (struct principal_session){
        .role_id = role->id,
        .name = in->role_session_name,
        .policy = in->policy,
        .source_identity = before.n ? before : in->source_identity,
        .issued_at = tx_now(tx) / 1000 * 1000,
        .expires_at = tx_now(tx) / 1000 * 1000 + seconds * 1000,
    };
    a->role = role->name;
    int r = may(a, tx, role, err);
    r = r < 0 ? r : check_duration(role, seconds, chained, err);
    r = r < 0 ? r : gather_tags(a, caller, err);
    if (r == 0 && before.n && in->source_identity.p && !gt_str_eq(before, in->source_identity)) {
        r = refuse_value(err, "The source identity of a session can't be changed.");
    }
    return r;
}

static int check_input(const struct sts_assume_role_in *in, struct gt_arena *arena,
                       struct gt_err *err)
{
    const struct policy *policy;
    if (in->policy_arns.n) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED, "Gantry has no managed policies");
    }
    if (in->serial_number.p || in->token_code.p) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED, "Gantry has no multi-factor authentication");
    }
    return in->policy.p ? policy_parse(in->policy, POLICY_IDENTITY, arena, &policy, err) : 0;
}

static void show(struct data_req *rq, const struct assume *a, const struct sts_keys *c,
                 struct sts_assume_role_out *out)
{
    struct gt_arena *arena = data_arena(rq);
    struct gt_str account = data_account(rq);
    out->credentials = gt_arena_new(arena, struct sts_credentials);
    out->credentials->access_key_id = gt_str(gt_arena_strdup(arena, c->key_id));
    out->credentials->secret_access_key = gt_str(gt_arena_strdup(arena, c->secret));
    out->credentials->session_token = c->token;
    WIRE_SET(out->credentials, expiration, c->expires_at);
    out->assumed_role_user = gt_arena_new(arena, struct sts_assumed_role_user);
    out->assumed_role_user->arn = gt_str(gt_arena_printf(
        arena, "arn:aws:sts::" GT_STR_FMT ":assumed-role/" GT_STR_FMT "/" GT_STR_FMT,
        GT_STR_ARG(account), GT_STR_ARG(a->role), GT_STR_ARG(a->session.name)));
    out->assumed_role_user->assumed_role_id =
        gt_str(gt_arena_printf(arena, GT_STR_FMT ":" GT_STR_FMT, GT_STR_ARG(a->session.role_id),
                               GT_STR_ARG(a->session.name)));
    if (a->session.policy.n || a->session.n_tags) {
        WIRE_SET(out, packed_policy_size, c->packed_percent);
    }
    if (a->session.source_identity.n) {
        out->source_identity = a->session.source_identity;
    }
}

int sts_assume_role(struct data_req *rq, const struct sts_assume_role_in *in,
                    struct sts_assume_role_out *out, struct gt_err *err)
{
    struct assume a = {.in = in, .arena = data_arena(rq)};
    struct sts_keys c;
    int r = check_input(in, data_arena(rq), err);
    r = r < 0 ? r : data_core_call(rq, assume, &a, err);
    r = r < 0 ? r
              : sts_session_make(data_store(rq), data_account(rq), a.role, &a.session,
                                 data_arena(rq), &c, err);
    if (r == 0) {
        show(rq, &a, &c, out);
    }
    return r;
}
