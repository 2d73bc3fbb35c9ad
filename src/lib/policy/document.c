/* From the text to statements; the grammar and what IAM says when it is broken. */
#include "lib/policy/policy_priv.h"

#include "lib/base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

int policy_malformed(struct gt_err *err, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return gt_err_aws(err, GT_ERR_INVALID, "MalformedPolicyDocument", "%s", text);
}

static int syntax(struct gt_err *err)
{
    return policy_malformed(err, "Syntax errors in policy.");
}

static bool copy_text(json_t *v, struct gt_arena *a, struct gt_str *ret)
{
    if (json_is_boolean(v)) {
        *ret = json_is_true(v) ? GT_STR_LIT("true") : GT_STR_LIT("false");
        return true;
    }
    if (json_is_number(v)) {
        char *text = json_is_integer(v)
                         ? gt_arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(v))
                         : gt_arena_printf(a, "%.17g", json_real_value(v));
        *ret = gt_str(text);
        return true;
    }
    if (!json_is_string(v)) {
        return false;
    }
    *ret = gt_str_n(json_string_value(v), json_string_length(v));
    for (size_t i = 0; i < ret->n; i++) {
        if (iscntrl((unsigned char)ret->p[i])) {
            return false;
        }
    }
    *ret = gt_str_n(gt_arena_str(a, *ret), ret->n);
    return true;
}

bool policy_texts(json_t *v, struct gt_arena *a, struct gt_str **ret, size_t *ret_n)
{
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    *ret = gt_arena_array(a, struct gt_str, n + 1);
    *ret_n = n;
    for (size_t i = 0; i < n; i++) {
        if (!copy_text(json_is_array(v) ? json_array_get(v, i) : v, a, &(*ret)[i])) {
            return false;
        }
    }
    return true;
}

/* What one statement is parsed with. */
struct parse {
    json_t *json; /* the statement */
    struct gt_arena *a;
    enum policy_kind kind;
    bool variables; /* Version 2012-10-17 */
};

static bool action_valid(struct gt_str action)
{
    const char *colon = action.n ? memchr(action.p, ':', action.n) : NULL;
    return gt_str_is(action, "*") || (colon && colon > action.p && colon + 1 < action.p + action.n);
}

static int parse_actions(const struct parse *p, struct patterns *ret, struct gt_err *err)
{
    json_t *yes = json_object_get(p->json, "Action"), *no = json_object_get(p->json, "NotAction");
    struct gt_str *texts;
    if (yes && no) {
        return syntax(err);
    }
    if (!yes && !no) {
        return p->kind == POLICY_TRUST
                   ? policy_malformed(err, "Missing required field Action")
                   : policy_malformed(err, "Policy statement must contain actions.");
    }
    ret->negated = no != NULL;
    if (!policy_texts(yes ? yes : no, p->a, &texts, &ret->n)) {
        return syntax(err);
    }
    if (ret->n == 0) {
        return policy_malformed(err, "Policy statement must contain actions.");
    }
    ret->v = gt_arena_array(p->a, struct pattern, ret->n);
    for (size_t i = 0; i < ret->n; i++) {
        if (!action_valid(texts[i])) {
            return policy_malformed(err, "Actions/Conditions must be prefaced by a vendor, e.g., "
                                         "iam, sdb, ec2, etc.");
        }
        if (p->kind == POLICY_TRUST && !gt_str_starts(texts[i], GT_STR_LIT("sts:"))) {
            return policy_malformed(err, "AssumeRole policy may only specify STS AssumeRole "
                                         "actions.");
        }
        if (!pattern_parse(texts[i], PATTERN_WILDCARDS, p->a, &ret->v[i])) {
            return syntax(err);
        }
    }
    return 0;
}

static int parse_resources(const struct parse *p, struct patterns *ret, struct gt_err *err)
{
    json_t *yes = json_object_get(p->json, "Resource");
    json_t *no = json_object_get(p->json, "NotResource");
    struct gt_str *texts;
    if (p->kind == POLICY_TRUST) {
        return yes || no ? policy_malformed(err, "Has prohibited field Resource") : 0;
    }
    if (yes && no) {
        return syntax(err);
    }
    ret->negated = no != NULL;
    if (!policy_texts(yes ? yes : no, p->a, &texts, &ret->n)) {
        return yes || no ? syntax(err)
                         : policy_malformed(err, "Policy statement must contain resources.");
    }
    if (ret->n == 0) {
        return policy_malformed(err, "Policy statement must contain resources.");
    }
    ret->v = gt_arena_array(p->a, struct pattern, ret->n);
    int syntax_of = PATTERN_WILDCARDS | (p->variables ? PATTERN_VARIABLES : 0);
    for (size_t i = 0; i < ret->n; i++) {
        bool arn = gt_str_starts(texts[i], GT_STR_LIT("arn:")) && texts[i].n > 4;
        if ((!arn && !gt_str_is(texts[i], "*")) ||
            !pattern_parse(texts[i], syntax_of, p->a, &ret->v[i])) {
            return policy_malformed(err, "Resource " GT_STR_FMT " must be in ARN format or \"*\".",
                                    (int)GT_MIN(texts[i].n, (size_t)300), texts[i].p);
        }
    }
    return 0;
}

static bool is_account(struct gt_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit((unsigned char)s.p[i])) {
            return false;
        }
    }
    return s.n == 12;
}

static const char *const principal_types[] = {"AWS", "Service", "Federated", "CanonicalUser"};

static int add_principal(const struct parse *p, const char *type, struct gt_str id,
                         struct principals *ret, struct gt_err *err)
{
    bool aws = gt_streq(type, "AWS");
    if (aws && gt_str_is(id, "*")) {
        ret->everybody = true;
        return 0;
    }
    if (aws && is_account(id)) {
        id = gt_str(gt_arena_printf(p->a, "arn:aws:iam::" GT_STR_FMT ":root", GT_STR_ARG(id)));
    }
    bool arn = gt_str_starts(id, GT_STR_LIT("arn:"));
    bool service = !gt_streq(type, "Service") || (memchr(id.p, '.', id.n) && !arn);
    if (id.n == 0 || memchr(id.p, '*', id.n) || (aws && !arn) || !service) {
        return policy_malformed(err, "Invalid principal in policy: \"%s\":\"" GT_STR_FMT "\"", type,
                                (int)GT_MIN(id.n, (size_t)300), id.p);
    }
    ret->v[ret->n++] = (struct policy_principal){.type = type, .id = id};
    return 0;
}

/* "*", or an object from types to ids. */
static int parse_principal_block(const struct parse *p, json_t *block, struct principals *ret,
                                 struct gt_err *err)
{
    struct gt_str *texts[GT_ARRAY_LEN(principal_types)] = {0};
    size_t n[GT_ARRAY_LEN(principal_types)] = {0}, total = 0, known = 0;
    if (json_is_string(block) && gt_streq(json_string_value(block), "*")) {
        ret->everybody = true;
        return 0;
    }
    for (size_t i = 0; json_is_object(block) && i < GT_ARRAY_LEN(principal_types); i++) {
        json_t *ids = json_object_get(block, principal_types[i]);
        known += ids != NULL;
        if (ids && !policy_texts(ids, p->a, &texts[i], &n[i])) {
            return syntax(err);
        }
        total += n[i];
    }
    if (total == 0 || known != json_object_size(block)) {
        return syntax(err);
    }
    ret->v = gt_arena_array(p->a, struct policy_principal, total);
    for (size_t i = 0; i < GT_ARRAY_LEN(principal_types); i++) {
        for (size_t k = 0; k < n[i]; k++) {
            int r = add_principal(p, principal_types[i], texts[i][k], ret, err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static int parse_principals(const struct parse *p, enum policy_effect effect,
                            struct principals *ret, struct gt_err *err)
{
    json_t *yes = json_object_get(p->json, "Principal");
    json_t *no = json_object_get(p->json, "NotPrincipal");
    if (p->kind == POLICY_IDENTITY) {
        return yes || no ? policy_malformed(err, "Policy document should not specify a principal.")
                         : 0;
    }
    if (!yes && !no) {
        return policy_malformed(err, "Missing required field Principal");
    }
    if ((yes && no) || (no && effect == POLICY_ALLOW)) {
        return policy_malformed(err, "Has prohibited field NotPrincipal");
    }
    ret->negated = no != NULL;
    return parse_principal_block(p, yes ? yes : no, ret, err);
}

static int check_members(const struct parse *p, struct gt_err *err)
{
    static const char *const known[] = {"Sid",          "Effect",      "Principal",
                                        "NotPrincipal", "Action",      "NotAction",
                                        "Resource",     "NotResource", "Condition"};
    const char *name;
    json_t *value;
    json_object_foreach(p->json, name, value)
    {
        bool found = false;
        for (size_t i = 0; i < GT_ARRAY_LEN(known); i++) {
            found = found || gt_streq(known[i], name);
        }
        if (!found) {
            return syntax(err);
        }
    }
    json_t *sid = json_object_get(p->json, "Sid");
    for (size_t i = 0; sid && i < json_string_length(sid); i++) {
        if (p->kind == POLICY_IDENTITY && !isalnum((unsigned char)json_string_value(sid)[i])) {
            return policy_malformed(err,
                                    "Statement IDs (SID) must be alpha-numeric. Check that your "
                                    "input satisfies the regular expression [0-9A-Za-z]*");
        }
    }
    return sid && !json_is_string(sid) ? syntax(err) : 0;
}

static int parse_statement(const struct parse *p, struct statement *s, struct gt_err *err)
{
    if (!json_is_object(p->json)) {
        return syntax(err);
    }
    const char *effect = json_string_value(json_object_get(p->json, "Effect"));
    json_t *condition = json_object_get(p->json, "Condition");
    int r = check_members(p, err);
    if (r < 0) {
        return r;
    }
    if (!effect) {
        return policy_malformed(err, "Missing required field Effect");
    }
    s->effect = gt_streq(effect, "Allow")  ? POLICY_ALLOW
                : gt_streq(effect, "Deny") ? POLICY_DENY
                                           : POLICY_NEUTRAL;
    if (s->effect == POLICY_NEUTRAL) {
        return policy_malformed(err, "Invalid effect: %.100s", effect);
    }
    r = parse_principals(p, s->effect, &s->principals, err);
    r = r < 0 ? r : parse_actions(p, &s->actions, err);
    r = r < 0 ? r : parse_resources(p, &s->resources, err);
    if (r == 0 && condition) {
        r = conditions_parse(condition, p->variables, p->a, &s->conditions, &s->n_conditions, err);
    }
    return r;
}

/* A Sid names one statement of its document. */
static int check_sids(json_t *statements, struct gt_err *err)
{
    json_t *seen = json_object();
    bool twice = false;
    for (size_t i = 0; i < json_array_size(statements); i++) {
        const char *sid = json_string_value(json_object_get(json_array_get(statements, i), "Sid"));
        if (sid && *sid) {
            twice = twice || json_object_get(seen, sid);
            json_object_set_new(seen, sid, json_true());
        }
    }
    json_decref(seen);
    return twice ? policy_malformed(err, "Statement IDs (SID) in a single policy must be unique.")
                 : 0;
}

static int check_document(json_t *doc, bool *ret_variables, struct gt_err *err)
{
    const char *name;
    json_t *value, *version = json_object_get(doc, "Version");
    json_object_foreach(doc, name, value)
    {
        if (!gt_streq(name, "Version") && !gt_streq(name, "Id") && !gt_streq(name, "Statement")) {
            return syntax(err);
        }
    }
    json_t *id = json_object_get(doc, "Id");
    if (!json_is_object(doc) || (id && !json_is_string(id))) {
        return syntax(err);
    }
    const char *text = version ? json_string_value(version) : "2008-10-17";
    *ret_variables = text && gt_streq(text, "2012-10-17");
    if (!text || (!*ret_variables && !gt_streq(text, "2008-10-17"))) {
        return policy_malformed(err, "The policy must contain a valid version string");
    }
    return 0;
}

static int parse_document(json_t *doc, struct parse *p, struct policy *policy, struct gt_err *err)
{
    json_t *statements = json_object_get(doc, "Statement");
    bool list = json_is_array(statements);
    int r = check_document(doc, &p->variables, err);
    if (r < 0) {
        return r;
    }
    policy->kind = p->kind;
    policy->n = list ? json_array_size(statements) : 1;
    if (!statements || policy->n == 0) {
        return syntax(err);
    }
    policy->v = gt_arena_array(p->a, struct statement, policy->n);
    for (size_t i = 0; i < policy->n; i++) {
        p->json = list ? json_array_get(statements, i) : statements;
        r = parse_statement(p, &policy->v[i], err);
        if (r < 0) {
            return r;
        }
    }
    return list ? check_sids(statements, err) : 0;
}

int policy_parse(struct gt_str text, enum policy_kind kind, struct gt_arena *arena,
                 const struct policy **ret, struct gt_err *err)
{
    json_error_t why;
    json_t *doc = text.n > 0 && text.n <= POLICY_LIMIT_TEXT
                      ? json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why)
                      : NULL;
    if (!doc) {
        return policy_malformed(err, "This policy contains invalid Json");
    }
    struct policy *policy = gt_arena_new(arena, struct policy);
    struct parse p = {.a = arena, .kind = kind};
    int r = parse_document(doc, &p, policy, err);
    json_decref(doc);
    if (r == 0) {
        *ret = policy;
    }
    return r;
}

size_t policy_size(struct gt_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += !isspace((unsigned char)text.p[i]);
    }
    return n;
}

bool policy_next_principal(const struct policy *p, size_t *at, struct policy_principal *ret)
{
    size_t i = *at;
    for (size_t s = 0; s < p->n; s++) {
        if (i < p->v[s].principals.n) {
            *ret = p->v[s].principals.v[i];
            (*at)++;
            return true;
        }
        i -= p->v[s].principals.n;
    }
    return false;
}
