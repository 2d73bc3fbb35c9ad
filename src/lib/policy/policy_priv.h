/* For lib/policy alone: what a document is parsed into. */
#ifndef GT_LIB_POLICY_PRIV_H
#define GT_LIB_POLICY_PRIV_H

#include "lib/policy/policy.h"

#include <jansson.h>
#include <stdint.h>

/* --- pattern.c */

/* A piece of a pattern: text in which '*' and '?' stand as the two bytes below, which no document
 * may hold, or a variable. */
enum { PATTERN_MANY = 1, PATTERN_ONE = 2 };
struct pattern_part {
    bool variable;
    struct gt_str text; /* or the variable's key */
    struct gt_str fallback;
    bool has_fallback;
};
struct pattern {
    struct pattern_part *parts;
    size_t n;
};

enum pattern_syntax {
    PATTERN_WILDCARDS = 1,
    PATTERN_VARIABLES = 2,
};

/* The text must be free of control characters. False: "${" that is no variable, or too long. */
bool pattern_parse(struct gt_str text, int syntax, struct gt_arena *a, struct pattern *ret);

enum pattern_how { PATTERN_EXACT, PATTERN_NOCASE, PATTERN_ARN };

/* `doubt`: what a variable without a value makes of the answer. */
bool pattern_matches(const struct pattern *p, struct gt_str value, enum pattern_how how,
                     const struct policy_request *rq, bool doubt);

/* NULL: the request has no such key. */
const struct policy_key *policy_key_find(const struct policy_request *rq, struct gt_str name);
bool policy_name_eq(struct gt_str a, struct gt_str b); /* ASCII, without regard to case */

/* --- operator.c: one value of a document against one of the request */

enum operand {
    OPERAND_STRING,
    OPERAND_STRING_NOCASE,
    OPERAND_LIKE,
    OPERAND_ARN,
    OPERAND_NUMBER,
    OPERAND_DATE,
    OPERAND_BOOL,
    OPERAND_IP,
    OPERAND_NULL,
};
enum relation { EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL };

struct condition_operator {
    const char *name;
    enum operand operand;
    enum relation relation;
    bool negated;
};

struct ip_net {
    unsigned char address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

struct operand_value {
    union {
        struct pattern pattern;
        double number;
        int64_t date; /* ms since 1970 */
        bool flag;
        struct ip_net net;
    };
};

/* NULL: there is none of this name. */
const struct condition_operator *operator_find(struct gt_str name);
/* False: the text is none of what the operator compares. */
bool operand_parse(const struct condition_operator *op, struct gt_str text, bool variables,
                   struct gt_arena *a, struct operand_value *ret);
bool operand_matches(const struct condition_operator *op, const struct operand_value *v,
                     struct gt_str value, const struct policy_request *rq, bool doubt);

/* --- condition.c */

enum quantifier { FOR_ONE, FOR_ANY, FOR_ALL };
struct condition {
    const struct condition_operator *op;
    enum quantifier quantifier;
    bool if_exists;
    struct gt_str key;
    struct operand_value *v;
    size_t n;
};

int conditions_parse(json_t *block, bool variables, struct gt_arena *a, struct condition **ret,
                     size_t *ret_n, struct gt_err *err);
bool condition_holds(const struct condition *c, const struct policy_request *rq,
                     enum policy_effect effect);

/* --- document.c */

struct patterns {
    struct pattern *v;
    size_t n;
    bool negated; /* NotAction, NotResource */
};
struct principals {
    struct policy_principal *v;
    size_t n;
    bool everybody; /* "*" */
    bool negated;   /* NotPrincipal */
};
struct statement {
    enum policy_effect effect;
    struct principals principals;
    struct patterns actions, resources;
    struct condition *conditions;
    size_t n_conditions;
};
struct policy {
    enum policy_kind kind;
    struct statement *v;
    size_t n;
};

int policy_malformed(struct gt_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A text or a list of texts, copied; *ret_n may be 0. False: it is neither, or a text holds control
 * characters. */
bool policy_texts(json_t *v, struct gt_arena *a, struct gt_str **ret, size_t *ret_n);

#endif
