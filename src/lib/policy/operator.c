/* Condition operators: what each compares, and how. */
#include "lib/policy/policy_priv.h"

#include "lib/base/mem.h"
#include "lib/wire/timestamp.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>

static const struct condition_operator operators[] = {
    {"StringEquals", OPERAND_STRING, EQUAL, false},
    {"StringNotEquals", OPERAND_STRING, EQUAL, true},
    {"StringEqualsIgnoreCase", OPERAND_STRING_NOCASE, EQUAL, false},
    {"StringNotEqualsIgnoreCase", OPERAND_STRING_NOCASE, EQUAL, true},
    {"StringLike", OPERAND_LIKE, EQUAL, false},
    {"StringNotLike", OPERAND_LIKE, EQUAL, true},
    {"NumericEquals", OPERAND_NUMBER, EQUAL, false},
    {"NumericNotEquals", OPERAND_NUMBER, EQUAL, true},
    {"NumericLessThan", OPERAND_NUMBER, LESS, false},
    {"NumericLessThanEquals", OPERAND_NUMBER, LESS_EQUAL, false},
    {"NumericGreaterThan", OPERAND_NUMBER, GREATER, false},
    {"NumericGreaterThanEquals", OPERAND_NUMBER, GREATER_EQUAL, false},
    {"DateEquals", OPERAND_DATE, EQUAL, false},
    {"DateNotEquals", OPERAND_DATE, EQUAL, true},
    {"DateLessThan", OPERAND_DATE, LESS, false},
    {"DateLessThanEquals", OPERAND_DATE, LESS_EQUAL, false},
    {"DateGreaterThan", OPERAND_DATE, GREATER, false},
    {"DateGreaterThanEquals", OPERAND_DATE, GREATER_EQUAL, false},
    {"Bool", OPERAND_BOOL, EQUAL, false},
    {"BinaryEquals", OPERAND_STRING, EQUAL, false}, /* keys of that type come in base64, too */
    {"IpAddress", OPERAND_IP, EQUAL, false},
    {"NotIpAddress", OPERAND_IP, EQUAL, true},
    {"ArnEquals", OPERAND_ARN, EQUAL, false},
    {"ArnLike", OPERAND_ARN, EQUAL, false},
    {"ArnNotEquals", OPERAND_ARN, EQUAL, true},
    {"ArnNotLike", OPERAND_ARN, EQUAL, true},
    {"Null", OPERAND_NULL, EQUAL, false},
};

const struct condition_operator *operator_find(struct gt_str name)
{
    for (size_t i = 0; i < GT_ARRAY_LEN(operators); i++) {
        if (policy_name_eq(gt_str(operators[i].name), name)) {
            return &operators[i];
        }
    }
    return NULL;
}

static bool parse_number(struct gt_str text, double *ret)
{
    char copy[64], *end;
    if (text.n == 0 || text.n >= sizeof(copy) || !strchr("+-.0123456789", text.p[0])) {
        return false;
    }
    snprintf(copy, sizeof(copy), GT_STR_FMT, GT_STR_ARG(text));
    *ret = strtod(copy, &end);
    return *end == '\0' && isfinite(*ret) && !memchr(copy, 'x', text.n);
}

/* ISO 8601, a day alone too, or seconds since 1970. */
static bool parse_date(struct gt_str text, int64_t *ret)
{
    char day[32];
    double seconds;
    if (parse_number(text, &seconds)) {
        *ret = (int64_t)(seconds * 1000);
        return fabs(seconds) < 1e12;
    }
    if (text.n == 10) {
        snprintf(day, sizeof(day), GT_STR_FMT "T00:00:00Z", GT_STR_ARG(text));
        text = gt_str(day);
    }
    return wire_time_parse(text, ret) == 0;
}

static bool parse_bool(struct gt_str text, bool *ret)
{
    *ret = policy_name_eq(text, GT_STR_LIT("true"));
    return *ret || policy_name_eq(text, GT_STR_LIT("false"));
}

static bool parse_net(struct gt_str text, struct ip_net *ret)
{
    char copy[64];
    double bits;
    if (text.n == 0 || text.n >= sizeof(copy)) {
        return false;
    }
    snprintf(copy, sizeof(copy), GT_STR_FMT, GT_STR_ARG(text));
    char *slash = strchr(copy, '/');
    if (slash) {
        *slash = '\0';
    }
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ret->address, mapped, sizeof(mapped));
    unsigned width = inet_pton(AF_INET, copy, ret->address + 12) == 1 ? 32
                     : inet_pton(AF_INET6, copy, ret->address) == 1   ? 128
                                                                      : 0;
    bits = width;
    bool digits = !slash || (slash[1] && strspn(slash + 1, "0123456789") == strlen(slash + 1));
    if (!width || !digits || (slash && !parse_number(gt_str(slash + 1), &bits)) || bits > width) {
        return false;
    }
    ret->bits = (unsigned)bits + (128 - width);
    return true;
}

bool operand_parse(const struct condition_operator *op, struct gt_str text, bool variables,
                   struct gt_arena *a, struct operand_value *ret)
{
    int syntax = variables ? PATTERN_VARIABLES : 0;
    switch (op->operand) {
    case OPERAND_NUMBER:
        return parse_number(text, &ret->number);
    case OPERAND_DATE:
        return parse_date(text, &ret->date);
    case OPERAND_BOOL:
    case OPERAND_NULL:
        return parse_bool(text, &ret->flag);
    case OPERAND_IP:
        return parse_net(text, &ret->net);
    case OPERAND_LIKE:
    case OPERAND_ARN:
        syntax |= PATTERN_WILDCARDS;
        break;
    case OPERAND_STRING:
    case OPERAND_STRING_NOCASE:
    default:
        break;
    }
    return pattern_parse(text, syntax, a, &ret->pattern);
}

static bool related(enum relation r, int cmp)
{
    switch (r) {
    case LESS:
        return cmp < 0;
    case LESS_EQUAL:
        return cmp <= 0;
    case GREATER:
        return cmp > 0;
    case GREATER_EQUAL:
        return cmp >= 0;
    case EQUAL:
    default:
        return cmp == 0;
    }
}

static bool in_net(const struct ip_net *net, const struct ip_net *address)
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    unsigned char mask = (unsigned char)(0xff00U >> rest);
    return memcmp(net->address, address->address, whole) == 0 &&
           (rest == 0 || ((net->address[whole] ^ address->address[whole]) & mask) == 0);
}

/* A value of the request that is none of what the operator compares matches nothing. */
bool operand_matches(const struct condition_operator *op, const struct operand_value *v,
                     struct gt_str value, const struct policy_request *rq, bool doubt)
{
    struct operand_value given;
    switch (op->operand) {
    case OPERAND_NUMBER:
        return parse_number(value, &given.number) &&
               related(op->relation, (given.number > v->number) - (given.number < v->number));
    case OPERAND_DATE:
        return parse_date(value, &given.date) &&
               related(op->relation, (given.date > v->date) - (given.date < v->date));
    case OPERAND_BOOL:
        return parse_bool(value, &given.flag) && given.flag == v->flag;
    case OPERAND_IP:
        return parse_net(value, &given.net) && in_net(&v->net, &given.net);
    case OPERAND_ARN:
        return pattern_matches(&v->pattern, value, PATTERN_ARN, rq, doubt);
    case OPERAND_STRING_NOCASE:
        return pattern_matches(&v->pattern, value, PATTERN_NOCASE, rq, doubt);
    case OPERAND_STRING:
    case OPERAND_LIKE:
        return pattern_matches(&v->pattern, value, PATTERN_EXACT, rq, doubt);
    case OPERAND_NULL: /* asks of the key, not of its values: condition.c */
    default:
        return false;
    }
}
