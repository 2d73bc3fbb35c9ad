/* CreateActivation, DescribeActivations, DeleteActivation. */
#include "control/services/agent/join.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/ssm_handlers.h"
#include "control/services/iam/grants.h"
#include "control/services/iam/role.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

#include <errno.h>

enum { ACTIVATIONS_MAX = 1000, PAGE = 50, VALUES_MAX = 100 };

/* A page ends here, too: fifty activations with a thousand tags each would fill the arena. */
#define PAGE_BYTES (8 * GT_MIB)

#define LIFE_MS AGENT_DAY_MS

/* "service-role/Name" is known by its name. */
static struct gt_str role_name(struct gt_str said)
{
    const char *slash = said.n ? memrchr(said.p, '/', said.n) : NULL;
    return slash ? gt_str_n(slash + 1, (size_t)(said.p + said.n - slash - 1)) : said;
}

static int check_role(struct tx *tx, struct gt_str said, struct gt_err *err)
{
    const struct rec_iam_role *role = role_find(tx, role_name(said));
    const char *service = "ssm.amazonaws.com", *any = tx_arn(tx, "ssm", "*");
    return role && iam_trusts_service(tx, role, service, gt_str(any))
               ? iam_may_pass(tx, role_arn(tx, role), service, err)
               : gt_err_aws(err, GT_ERR_VALIDATION, "ValidationException",
                            "Nonexistent role or missing ssm service principal in trust policy: "
                            "arn:aws:iam::" GT_STR_FMT ":role/" GT_STR_FMT,
                            GT_STR_ARG(tx_account(tx)), GT_STR_ARG(said));
}

static int check_life(struct tx *tx, const struct ssm_create_activation_in *in, int64_t *ret_ms,
                      struct gt_err *err)
{
    *ret_ms = in->has_expiration_date ? in->expiration_date - tx_now(tx) : LIFE_MS;
    return *ret_ms > 0 && *ret_ms <= AGENT_TOKEN_LIFE_MAX_MS
               ? 0
               : gt_err_aws(err, GT_ERR_VALIDATION, "ValidationException",
                            "Expiration date must be in the future, and within 30 days.");
}

/* In the form of a UUID. */
static struct gt_str new_id(struct tx *tx)
{
    const char *h = tx_hex_id(tx, 32);
    return gt_str(gt_arena_printf(tx_arena(tx), "%.8s-%.4s-%.4s-%.4s-%.12s", h, h + 8, h + 12,
                                  h + 16, h + 20));
}

int ssm_create_activation(struct tx *tx, const struct ssm_create_activation_in *in,
                          struct ssm_create_activation_out *out, struct gt_err *err)
{
    int64_t life = 0;
    int r = check_role(tx, in->iam_role, err);
    r = r ? r : check_life(tx, in, &life, err);
    if (r < 0) {
        return r;
    }
    if (in->registration_metadata.n) {
        return gt_err_aws(err, GT_ERR_VALIDATION, "ValidationException",
                          "RegistrationMetadata is for internal use only.");
    }
    if (tx_count(tx, agent_token_record(tx, gt_str(""))) >= ACTIVATIONS_MAX) {
        return gt_err_aws(err, GT_ERR_LIMIT, "InvalidParameters",
                          "There are %d activations; delete some first.", ACTIVATIONS_MAX);
    }
    struct rec_agent_token t = {.id = new_id(tx),
                                .uses = in->has_registration_limit ? in->registration_limit : 1,
                                .external = true,
                                .role = in->iam_role,
                                .description = in->description,
                                .instance_name = in->default_instance_name};
    t.tags.v = gt_arena_array(tx_arena(tx), struct rec_kv, in->tags.n + 1);
    for (size_t i = 0; i < in->tags.n; i++) {
        t.tags.v[t.tags.n++] = (struct rec_kv){in->tags.v[i].key, in->tags.v[i].value};
    }
    r = agent_token_make(tx, &t, life, err);
    out->activation_id = t.id; /* the frame adds the code */
    return r;
}

static int check_filters(const struct ssm_describe_activations_in *in, struct gt_err *err)
{
    size_t values = 0;
    for (size_t i = 0; i < in->filters.n; i++) {
        const struct ssm_describe_activations_filter *f = &in->filters.v[i];
        if (!f->filter_key.n || !f->filter_values.n) {
            return gt_err_aws(err, GT_ERR_INVALID, "InvalidFilter",
                              "A filter must have a key and values.");
        }
        values += f->filter_values.n;
    }
    return values <= VALUES_MAX ? 0
                                : gt_err_aws(err, GT_ERR_INVALID, "InvalidFilter",
                                             "Filters may have %d values.", VALUES_MAX);
}

static struct gt_str field(const struct rec_agent_token *t, struct gt_str key)
{
    return gt_str_is(key, "ActivationIds")         ? t->id
           : gt_str_is(key, "DefaultInstanceName") ? t->instance_name
                                                   : t->role;
}

/* Of each filter, one of its values. */
static bool wanted(const struct rec_agent_token *t, const struct ssm_describe_activations_in *in)
{
    bool all = t->role.n > 0; /* other tokens are no activations */
    for (size_t i = 0; i < in->filters.n; i++) {
        const struct ssm_describe_activations_filter *f = &in->filters.v[i];
        bool one = false;
        for (size_t k = 0; k < f->filter_values.n; k++) {
            one |= gt_str_eq(field(t, f->filter_key), f->filter_values.v[k]);
        }
        all &= one;
    }
    return all;
}

static struct gt_str given(struct gt_str s)
{
    return s.n ? s : gt_str(NULL);
}

static void show(struct tx *tx, const struct rec_agent_token *t, struct ssm_activation *to)
{
    *to = (struct ssm_activation){.activation_id = t->id,
                                  .description = given(t->description),
                                  .default_instance_name = given(t->instance_name),
                                  .iam_role = t->role};
    WIRE_SET(to, registration_limit, t->uses);
    WIRE_SET(to, registrations_count, t->used);
    WIRE_SET(to, expiration_date, t->expires_at);
    WIRE_SET(to, created_date, t->created_at);
    WIRE_SET(to, expired, tx_now(tx) >= t->expires_at);
    to->tags.has = true;
    to->tags.v = gt_arena_array(tx_arena(tx), struct ssm_tag, t->tags.n + 1);
    for (size_t i = 0; i < t->tags.n; i++) {
        to->tags.v[to->tags.n++] = (struct ssm_tag){t->tags.v[i].key, t->tags.v[i].value};
    }
}

int ssm_describe_activations(struct tx *tx, const struct ssm_describe_activations_in *in,
                             struct ssm_describe_activations_out *out, struct gt_err *err)
{
    int r = check_filters(in, err);
    if (r < 0) {
        return r;
    }
    size_t max = in->has_max_results ? (size_t)in->max_results : PAGE;
    char *after = in->next_token.n ? agent_token_record(tx, in->next_token) : NULL;
    struct tx_cursor c = tx_scan(tx, agent_token_record(tx, gt_str("")), after);
    out->activation_list.has = true;
    out->activation_list.v = gt_arena_array(tx_arena(tx), struct ssm_activation, max);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        size_t n = out->activation_list.n;
        bool full = n == max || (n > 0 && tx_arena(tx)->used > PAGE_BYTES);
        const struct rec_agent_token *t = tx_get(tx, key, &rec_agent_token_desc);
        if (!wanted(t, in)) {
            gt_arena_release(tx_arena(tx), mark);
        } else if (full) {
            out->next_token = out->activation_list.v[n - 1].activation_id;
            break;
        } else {
            show(tx, t, &out->activation_list.v[out->activation_list.n++]);
        }
    }
    return 0;
}

int ssm_delete_activation(struct tx *tx, const struct ssm_delete_activation_in *in,
                          struct ssm_delete_activation_out *out, struct gt_err *err)
{
    const struct rec_agent_token *t =
        tx_get(tx, agent_token_record(tx, in->activation_id), &rec_agent_token_desc);
    if (!t || !t->role.n) {
        return gt_err_aws(err, GT_ERR_NOT_FOUND, "InvalidActivation",
                          "There is no activation " GT_STR_FMT ".", GT_STR_ARG(in->activation_id));
    }
    agent_token_forget(tx, in->activation_id);
    return 0;
}
