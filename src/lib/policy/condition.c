/* The Condition block: every operator, every key must hold; of a key's values one. */
#include "lib/policy/policy_priv.h"

static bool strip(struct gt_str *name, const char *prefix)
{
    size_t n = strlen(prefix);
    if (name->n <= n || !policy_name_eq(gt_str_n(name->p, n), gt_str_n(prefix, n))) {
        return false;
    }
    *name = gt_str_n(name->p + n, name->n - n);
    return true;
}

/* "ForAnyValue:StringLikeIfExists" */
static bool parse_operator(struct gt_str name, struct condition *ret)
{
    static const char suffix[] = "IfExists";
    size_t n = sizeof(suffix) - 1;
    ret->quantifier = strip(&name, "ForAllValues:")  ? FOR_ALL
                      : strip(&name, "ForAnyValue:") ? FOR_ANY
                                                     : FOR_ONE;
    if (name.n > n && policy_name_eq(gt_str_n(name.p + name.n - n, n), gt_str(suffix))) {
        ret->if_exists = true;
        name.n -= n;
    }
    ret->op = operator_find(name);
    return ret->op &&
           !(ret->op->operand == OPERAND_NULL && (ret->if_exists || ret->quantifier != FOR_ONE));
}

static bool key_valid(struct gt_str key)
{
    const char *colon = key.n ? memchr(key.p, ':', key.n) : NULL;
    return colon && colon > key.p && colon + 1 < key.p + key.n && key.n <= POLICY_LIMIT_PATTERN;
}

static int parse_one(const char *operator, const char * key, json_t *values, bool variables,
                     struct gt_arena *a, struct condition *c, struct gt_err *err)
{
    struct gt_str *texts;
    *c = (struct condition){.key = gt_str(gt_arena_strdup(a, key))};
    if (!parse_operator(gt_str(operator), c)) {
        return policy_malformed(err, "Invalid Condition type : %.100s.", operator);
    }
    if (!key_valid(c->key)) {
        return policy_malformed(err, "Invalid condition key: %.100s", key);
    }
    if (!policy_texts(values, a, &texts, &c->n) || c->n == 0) {
        return policy_malformed(err, "Syntax errors in policy.");
    }
    c->v = gt_arena_array(a, struct operand_value, c->n);
    for (size_t i = 0; i < c->n; i++) {
        if (!operand_parse(c->op, texts[i], variables, a, &c->v[i])) {
            return policy_malformed(err, "Invalid value for the condition %.100s: %.200s", operator,
                                    gt_arena_str(a, texts[i]));
        }
    }
    return 0;
}

int conditions_parse(json_t *block, bool variables, struct gt_arena *a, struct condition **ret,
                     size_t *ret_n, struct gt_err *err)
{
    const char *operator, * key;
    json_t *keys, *values;
    size_t n = 0;
    *ret_n = 0;
    if (!json_is_object(block)) {
        return policy_malformed(err, "Syntax errors in policy.");
    }
    json_object_foreach(block, operator, keys)
    {
        if (!json_is_object(keys) || json_object_size(keys) == 0) {
            return policy_malformed(err, "Syntax errors in policy.");
        }
        n += json_object_size(keys);
    }
    *ret = gt_arena_array(a, struct condition, n + 1);
    json_object_foreach(block, operator, keys)
    {
        json_object_foreach(keys, key, values)
        {
            int r = parse_one(operator, key, values, variables, a, &(*ret)[*ret_n], err);
            if (r < 0) {
                return r;
            }
            (*ret_n)++;
        }
    }
    return 0;
}

/* One of the request's values against all of the document's. */
static bool value_holds(const struct condition *c, struct gt_str value,
                        const struct policy_request *rq, enum policy_effect effect)
{
    bool doubt = c->op->negated && effect == POLICY_ALLOW;
    for (size_t i = 0; i < c->n; i++) {
        if (operand_matches(c->op, &c->v[i], value, rq, doubt)) {
            return !c->op->negated;
        }
    }
    return c->op->negated;
}

bool condition_holds(const struct condition *c, const struct policy_request *rq,
                     enum policy_effect effect)
{
    const struct policy_key *k = policy_key_find(rq, c->key);
    if (c->op->operand == OPERAND_NULL) {
        for (size_t i = 0; i < c->n; i++) {
            if (c->v[i].flag == !k) {
                return true;
            }
        }
        return false;
    }
    if (!k) {
        return c->if_exists || c->quantifier == FOR_ALL ||
               (c->quantifier == FOR_ONE && c->op->negated);
    }
    bool all = c->quantifier == FOR_ALL || (c->quantifier == FOR_ONE && c->op->negated);
    for (size_t i = 0; i < k->n; i++) {
        if (value_holds(c, k->v[i], rq, effect) != all) {
            return !all;
        }
    }
    return all;
}
