/* DescribeInstanceInformation: nodes that joined with an activation. */
#include "control/services/agent/join.h"
#include "control/services/ecs/names.h"
#include "control/services/gen/ssm_handlers.h"
#include "lib/base/mem.h"
#include "store/record/gen/rec_ecs.h"

enum { PAGE = 50 };

static struct rec_ecs_node *node_of(struct tx *tx, struct gt_str id)
{
    const struct rec_ecs_session *s = tx_get(tx, key_session(tx, id), &rec_ecs_session_desc);
    return s ? tx_get(tx, key_node(tx, s->cluster, id), &rec_ecs_node_desc) : NULL;
}

static int check_filters(const struct ssm_describe_instance_information_in *in, struct gt_err *err)
{
    bool known = in->instance_information_filter_list.n == 0;
    for (size_t i = 0; i < in->filters.n; i++) {
        struct gt_str key = in->filters.v[i].key;
        known &= gt_str_is(key, "InstanceIds") || gt_str_is(key, "ActivationIds");
    }
    return known ? 0
                 : gt_err_aws(err, GT_ERR_INVALID, "InvalidFilterKey",
                              "Filters may have the keys InstanceIds and ActivationIds.");
}

/* Of each filter, one of its values. */
static bool wanted(const struct rec_agent_node_key *k,
                   const struct ssm_describe_instance_information_in *in)
{
    bool all = k->managed_id.n > 0 && k->role.n > 0;
    for (size_t i = 0; i < in->filters.n; i++) {
        const struct ssm_instance_information_string_filter *f = &in->filters.v[i];
        struct gt_str is = gt_str_is(f->key, "InstanceIds") ? k->managed_id : k->token;
        bool one = false;
        for (size_t v = 0; v < f->values.n; v++) {
            one |= gt_str_eq(is, f->values.v[v]);
        }
        all &= one;
    }
    return all;
}

static void show(const struct rec_agent_node_key *k, const struct rec_ecs_node *n,
                 struct ssm_instance_information *to)
{
    *to = (struct ssm_instance_information){
        .instance_id = k->managed_id,
        .ping_status = n->lost ? GT_STR_LIT("ConnectionLost") : GT_STR_LIT("Online"),
        .platform_type = GT_STR_LIT("Linux"),
        .activation_id = k->token,
        .iam_role = k->role,
        .resource_type = GT_STR_LIT("ManagedInstance"),
        .name = k->instance_name.n ? k->instance_name : gt_str(NULL),
        .computer_name = n->name};
    WIRE_SET(to, registration_date, k->joined_at);
}

int ssm_describe_instance_information(struct tx *tx,
                                      const struct ssm_describe_instance_information_in *in,
                                      struct ssm_describe_instance_information_out *out,
                                      struct gt_err *err)
{
    int r = check_filters(in, err);
    if (r < 0) {
        return r;
    }
    size_t max = in->has_max_results ? (size_t)in->max_results : PAGE;
    char *after = in->next_token.n ? agent_key_record(tx, in->next_token) : NULL;
    struct tx_cursor c = tx_scan(tx, agent_key_record(tx, gt_str("")), after);
    struct gt_str last = gt_str(NULL);
    out->instance_information_list.has = true;
    out->instance_information_list.v =
        gt_arena_array(tx_arena(tx), struct ssm_instance_information, max);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
        const struct rec_agent_node_key *k = tx_get(tx, key, &rec_agent_node_key_desc);
        const struct rec_ecs_node *n = wanted(k, in) ? node_of(tx, k->node) : NULL;
        if (!n) {
            gt_arena_release(tx_arena(tx), mark);
            continue;
        }
        if (out->instance_information_list.n == max) {
            out->next_token = last;
            break;
        }
        show(k, n, &out->instance_information_list.v[out->instance_information_list.n++]);
        last = k->node;
    }
    return 0;
}
