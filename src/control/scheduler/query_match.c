/* Whether a node meets an expression. */
#include "control/scheduler/query_priv.h"
#include "lib/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

bool query_number(struct gt_str s, double *ret)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof(text) || !memchr("-.0123456789", s.p[0], 13)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *ret = strtod(text, &end);
    return *end == 0;
}

/* "Z", "+01:00" or nothing, as seconds east of UTC. */
static bool parse_offset(const char *s, int64_t *ret)
{
    int hours, minutes, end = 0;
    *ret = 0;
    if (!*s || gt_streq(s, "Z")) {
        return true;
    }
    if ((*s != '+' && *s != '-') || sscanf(s + 1, "%2d:%2d%n", &hours, &minutes, &end) != 2 ||
        end != 5 || s[6] || hours > 18 || minutes > 59) {
        return false;
    }
    *ret = (*s == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

bool query_date(struct gt_str s, int64_t *ret)
{
    enum { DAY = 10, SECOND = 19 }; /* how long it is to the day, and to the second */
    char text[40];
    struct tm tm = {0};
    int day = 0, second = 0;
    int64_t offset;
    if (s.n < DAY || s.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    sscanf(text, "%4d-%2d-%2d%nT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &day,
           &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &second);
    if (day != DAY || (s.n > DAY && second != SECOND) ||
        !parse_offset(text + (second ? SECOND : DAY), &offset)) {
        return false;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm said = tm;
    int64_t t = timegm(&tm); /* makes the 30th of February one of March */
    if (tm.tm_mon != said.tm_mon || tm.tm_mday != said.tm_mday || tm.tm_hour != said.tm_hour ||
        tm.tm_min != said.tm_min || tm.tm_sec != said.tm_sec) {
        return false;
    }
    *ret = t - offset;
    return true;
}

static struct gt_str take_part(struct gt_str *s)
{
    const char *dot = s->n ? memchr(s->p, '.', s->n) : NULL;
    struct gt_str part = gt_str_n(s->p, dot ? (size_t)(dot - s->p) : s->n);
    size_t used = part.n + (dot != NULL);
    *s = gt_str_n(s->p + used, s->n - used);
    return part;
}

static int compare_text(struct gt_str a, struct gt_str b)
{
    double x, y;
    if (query_number(a, &x) && query_number(b, &y)) {
        return (x > y) - (x < y);
    }
    return gt_str_cmp(a, b);
}

/* 1.9 < 1.10 < 1.10.1 */
static int compare_versions(struct gt_str a, struct gt_str b)
{
    int c = 0;
    while (c == 0 && (a.n || b.n)) {
        c = compare_text(take_part(&a), take_part(&b));
    }
    return c;
}

static bool is_ordered(enum query_op op, int c)
{
    switch (op) {
    case OP_LT:
        return c < 0;
    case OP_LE:
        return c <= 0;
    case OP_GT:
        return c > 0;
    case OP_GE:
        return c >= 0;
    case OP_EQ:
    case OP_NE:
    case OP_EXISTS:
    case OP_ABSENT:
    case OP_IN:
    case OP_NOT_IN:
    case OP_MATCH:
    case OP_NO_MATCH:
        break;
    }
    return c == 0;
}

/* The test or, for a negative operator, what it negates. */
static bool value_meets(const struct query *q, struct gt_str v)
{
    switch (q->op) {
    case OP_EXISTS:
    case OP_ABSENT:
        return true;
    case OP_EQ:
    case OP_NE:
    case OP_IN:
    case OP_NOT_IN:
        for (size_t i = 0; i < q->n_values; i++) {
            if (gt_str_eq(v, q->values[i])) {
                return true;
            }
        }
        return false;
    case OP_MATCH:
    case OP_NO_MATCH:
        return query_pattern_matches(q->pattern, v);
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        break;
    }
    return is_ordered(q->op, q->subject == SUBJECT_VERSION ? compare_versions(v, q->values[0])
                                                           : compare_text(v, q->values[0]));
}

static bool number_meets(const struct query *q, double v, double want)
{
    return is_ordered(q->op, (v > want) - (v < want));
}

static bool attribute_meets(const struct query *q, const struct query_subject *s)
{
    for (size_t i = 0; i < s->n_attrs; i++) {
        if (gt_str_eq(s->attrs[i].name, q->attribute)) {
            return value_meets(q, s->attrs[i].value);
        }
    }
    return false;
}

static bool group_meets(const struct query *q, const struct query_subject *s)
{
    for (size_t i = 0; i < s->n_groups; i++) {
        if (value_meets(q, s->groups[i].name)) {
            return true;
        }
    }
    return false;
}

static bool subject_meets(const struct query *q, const struct query_subject *s)
{
    double want = 0;
    switch (q->subject) {
    case SUBJECT_ATTRIBUTE:
        return attribute_meets(q, s);
    case SUBJECT_GROUP:
        return group_meets(q, s);
    case SUBJECT_CONNECTED:
        return value_meets(q, gt_str(s->connected ? "true" : "false"));
    case SUBJECT_INSTANCE:
        return s->ec2_instance_id.n && value_meets(q, s->ec2_instance_id);
    case SUBJECT_VERSION:
        return s->agent_version.n && value_meets(q, s->agent_version);
    case SUBJECT_REGISTERED:
        return number_meets(q, (double)(s->registered_at / 1000), (double)q->seconds);
    case SUBJECT_RUNNING:
        break;
    }
    return query_number(q->values[0], &want) && number_meets(q, (double)s->running_tasks, want);
}

bool query_matches(const struct query *q, const struct query_subject *s)
{
    switch (q->kind) {
    case Q_AND:
        return query_matches(q->left, s) && query_matches(q->right, s);
    case Q_OR:
        return query_matches(q->left, s) || query_matches(q->right, s);
    case Q_NOT:
        return !query_matches(q->left, s);
    case Q_TEST:
        break;
    }
    bool negative =
        q->op == OP_NE || q->op == OP_NOT_IN || q->op == OP_ABSENT || q->op == OP_NO_MATCH;
    return subject_meets(q, s) != negative;
}

bool query_asks_tasks(const struct query *q)
{
    return q->asks_tasks;
}

struct gt_str query_text(const struct query *q)
{
    return q->text;
}
