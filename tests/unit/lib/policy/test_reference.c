/*
 * Random small policies and requests, against an evaluator as naive as the definition: every
 * wildcard by trying all ways, every statement on its own, no shortcuts.
 */
#include "gt_test.h"
#include "json.h"

#include "lib/base/mem.h"

enum { ROUNDS = 20000, MOST = 4 };

static uint64_t seed = 20261125;
static unsigned draw(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static bool naive_glob(const char *p, const char *t)
{
    if (*p == '*') {
        return naive_glob(p + 1, t) || (*t && naive_glob(p, t + 1));
    }
    return *p == '\0' ? *t == '\0' : *t && (*p == '?' || *p == *t) && naive_glob(p + 1, t + 1);
}

static void word(char *to, const char *letters, unsigned most)
{
    unsigned n = draw(most + 1);
    for (unsigned i = 0; i < n; i++) {
        *to++ = letters[draw((unsigned)strlen(letters))];
    }
    *to = '\0';
}

struct naive_condition {
    bool negated, has_key, if_exists;
    char want[8], have[8];
};
struct naive_statement {
    bool deny, not_action, not_resource, conditional;
    char actions[MOST][8], resources[MOST][8];
    unsigned n_actions, n_resources;
    struct naive_condition c;
};

static void make(struct naive_statement *s)
{
    *s = (struct naive_statement){.deny = draw(3) == 0,
                                  .not_action = draw(4) == 0,
                                  .not_resource = draw(4) == 0,
                                  .conditional = draw(2) == 0,
                                  .n_actions = 1 + draw(MOST),
                                  .n_resources = 1 + draw(MOST)};
    for (unsigned i = 0; i < s->n_actions; i++) {
        word(s->actions[i], "ab*?", 6);
    }
    for (unsigned i = 0; i < s->n_resources; i++) {
        word(s->resources[i], "ab*?", 6);
    }
    s->c = (struct naive_condition){
        .negated = draw(2) == 0, .has_key = draw(4) != 0, .if_exists = draw(4) == 0};
    word(s->c.want, "ab*?", 5);
}

static bool among(char (*patterns)[8], unsigned n, const char *text)
{
    bool any = false;
    for (unsigned i = 0; i < n; i++) {
        any = naive_glob(patterns[i], text) || any;
    }
    return any;
}

static bool naive_applies(struct naive_statement *s, const char *action, const char *resource,
                          const char *value)
{
    bool actions = among(s->actions, s->n_actions, action) != s->not_action;
    bool resources = among(s->resources, s->n_resources, resource) != s->not_resource;
    bool condition =
        !value ? s->c.if_exists || s->c.negated : naive_glob(s->c.want, value) != s->c.negated;
    return actions && resources && (!s->conditional || condition);
}

static void put_list(struct gt_arena *a, char **doc, const char *name, bool negated, char (*v)[8],
                     unsigned n, const char *before)
{
    *doc = gt_arena_printf(a, "%s, '%s%s': [", *doc, negated ? "Not" : "", name);
    for (unsigned i = 0; i < n; i++) {
        *doc = gt_arena_printf(a, "%s%s'%s%s'", *doc, i ? ", " : "", before, v[i]);
    }
    *doc = gt_arena_printf(a, "%s]", *doc);
}

static struct gt_str document(struct gt_arena *a, struct naive_statement *s, unsigned n)
{
    char *doc = gt_arena_strdup(a, "{'Version': '2012-10-17', 'Statement': [");
    for (unsigned i = 0; i < n; i++) {
        doc = gt_arena_printf(a, "%s%s{'Effect': '%s'", doc, i ? ", " : "",
                              s[i].deny ? "Deny" : "Allow");
        put_list(a, &doc, "Action", s[i].not_action, s[i].actions, s[i].n_actions, "x:y");
        put_list(a, &doc, "Resource", s[i].not_resource, s[i].resources, s[i].n_resources,
                 "arn:p:s:r:a:");
        if (s[i].conditional) {
            doc = gt_arena_printf(a, "%s, 'Condition': {'String%sLike%s': {'x:k': '%s'}}", doc,
                                  s[i].c.negated ? "Not" : "", s[i].c.if_exists ? "IfExists" : "",
                                  s[i].c.want);
        }
        doc = gt_arena_printf(a, "%s}", doc);
    }
    return quoted(a, gt_arena_printf(a, "%s]}", doc));
}

static void one_round(void)
{
    struct naive_statement s[MOST];
    unsigned n = 1 + draw(MOST);
    char action[8], resource[8], value[8];
    bool has_value = draw(4) != 0;
    for (unsigned i = 0; i < n; i++) {
        make(&s[i]);
    }
    word(action, "ab", 5);
    word(resource, "ab", 5);
    word(value, "ab", 4);
    bool allow = false, deny = false;
    for (unsigned i = 0; i < n; i++) {
        bool here = naive_applies(&s[i], action, resource, has_value ? value : NULL);
        deny = deny || (here && s[i].deny);
        allow = allow || (here && !s[i].deny);
    }
    enum policy_effect want = deny ? POLICY_DENY : allow ? POLICY_ALLOW : POLICY_NEUTRAL;

    struct gt_arena a;
    struct gt_err err = GT_ERR_INIT;
    const struct policy *p;
    gt_arena_init(&a, 1024 * 1024);
    struct gt_str doc = document(&a, s, n), v = gt_str(value);
    struct policy_key k = {GT_STR_LIT("x:k"), &v, 1};
    gt_assert_ok(policy_parse(doc, POLICY_IDENTITY, &a, &p, &err), err);
    struct policy_request rq = {.action = gt_str(gt_arena_printf(&a, "x:y%s", action)),
                                .resource = gt_str(gt_arena_printf(&a, "arn:p:s:r:a:%s", resource)),
                                .keys = &k,
                                .n_keys = has_value};
    if (policy_evaluate(p, &rq) != want) {
        fail_msg("%s on %s with %s under %s: not %d", rq.action.p, rq.resource.p,
                 has_value ? value : "nothing", doc.p, want);
    }
    gt_arena_fini(&a);
}

GT_TEST(as_the_naive_evaluator_says)
{
    for (int i = 0; i < ROUNDS; i++) {
        one_round();
    }
}

GT_RUN(GT_CASE(as_the_naive_evaluator_says))
