#include "control/services/iam/context.h"

#include "control/services/iam/role.h"
#include "lib/wire/timestamp.h"

#include <inttypes.h>
#include <strings.h>

void iam_context_add_list(struct iam_context *c, const char *name, const struct gt_str *v, size_t n)
{
    if (c->n == c->room) {
        c->room = c->room ? 2 * c->room : 32;
        struct policy_key *more = gt_arena_array(c->arena, struct policy_key, c->room);
        if (c->n) {
            memcpy(more, c->v, c->n * sizeof(*more));
        }
        c->v = more;
    }
    c->v[c->n++] = (struct policy_key){.name = gt_str(name), .v = v, .n = n};
}

void iam_context_add(struct iam_context *c, const char *name, struct gt_str value)
{
    if (!value.p) {
        return;
    }
    struct gt_str *v = gt_arena_new(c->arena, struct gt_str);
    *v = value;
    iam_context_add_list(c, name, v, 1);
}

void iam_context_add_tag(struct iam_context *c, const char *prefix, struct gt_str key,
                         struct gt_str value)
{
    value.p = value.p ? value.p : "";
    iam_context_add(c, gt_arena_printf(c->arena, "%s" GT_STR_FMT, prefix, GT_STR_ARG(key)), value);
}

static struct gt_str iso(struct gt_arena *a, int64_t ms)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(64);
    wire_time_put_iso(ms, &b);
    return gt_str(gt_arena_str(a, gt_buf_view(&b)));
}

static bool tagged(const struct principal_session *s, struct gt_str key)
{
    for (size_t i = 0; i < s->n_tags; i++) {
        if (s->tags[i].key.n == key.n && strncasecmp(s->tags[i].key.p, key.p, key.n) == 0) {
            return true;
        }
    }
    return false;
}

static void add_session(struct iam_context *c, struct tx *tx, const struct principal *p)
{
    const struct principal_session *s = p->session;
    const struct rec_iam_role *role = role_find(tx, p->name);
    iam_context_add(c, "aws:PrincipalType", GT_STR_LIT("AssumedRole"));
    iam_context_add(c, "aws:userid",
                    gt_str(gt_arena_printf(c->arena, GT_STR_FMT ":" GT_STR_FMT,
                                           GT_STR_ARG(s->role_id), GT_STR_ARG(s->name))));
    iam_context_add(c, "aws:TokenIssueTime", iso(c->arena, s->issued_at));
    if (s->source_identity.n) {
        iam_context_add(c, "aws:SourceIdentity", s->source_identity);
    }
    for (size_t i = 0; i < s->n_tags; i++) {
        iam_context_add_tag(c, "aws:PrincipalTag/", s->tags[i].key, s->tags[i].value);
    }
    for (size_t i = 0; role && i < role->tags.n; i++) {
        if (!tagged(s, role->tags.v[i].key)) {
            iam_context_add_tag(c, "aws:PrincipalTag/", role->tags.v[i].key, role->tags.v[i].value);
        }
    }
    iam_context_add(c, "aws:PrincipalArn", role ? role_arn(tx, role) : p->arn);
}

void iam_context_add_caller(struct iam_context *c, struct tx *tx)
{
    const struct principal *p = tx_principal(tx);
    iam_context_add(c, "aws:PrincipalAccount", p->account);
    iam_context_add(c, "aws:RequestedRegion", tx_region(tx));
    iam_context_add(c, "aws:CurrentTime", iso(c->arena, tx_now(tx)));
    iam_context_add(c, "aws:EpochTime",
                    gt_str(gt_arena_printf(c->arena, "%" PRId64, tx_now(tx) / 1000)));
    if (p->source_ip.n) {
        iam_context_add(c, "aws:SourceIp", p->source_ip);
        iam_context_add(c, "aws:SecureTransport",
                        p->secure ? GT_STR_LIT("true") : GT_STR_LIT("false"));
    }
    if (p->session) {
        add_session(c, tx, p);
    } else {
        iam_context_add(c, "aws:PrincipalType", GT_STR_LIT("Account"));
        iam_context_add(c, "aws:PrincipalArn", p->arn);
    }
}
