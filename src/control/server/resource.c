#include "control/server/resource.h"

#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/wire/arn.h"

/* A template in its parts: literal, {container}, literal, {id}, literal. */
struct template
{
    struct gt_str prefix, container, between, id, suffix;
    bool has_container, has_id;
};

static struct gt_str cut(struct gt_str *rest, char at)
{
    const char *p = rest->n ? memchr(rest->p, at, rest->n) : NULL;
    struct gt_str head = gt_str_n(rest->p, p ? (size_t)(p - rest->p) : rest->n);
    *rest = p ? gt_str_n(p + 1, rest->n - head.n - 1) : (struct gt_str){0};
    return head;
}

static struct template split(const char *text)
{
    struct template t = {0};
    struct gt_str rest = gt_str(text);
    bool two = strchr(text, '{') != strrchr(text, '{');
    t.prefix = cut(&rest, '{');
    if (two) {
        t.has_container = true;
        t.container = cut(&rest, '}');
        t.between = cut(&rest, '{');
    }
    t.has_id = rest.p != NULL;
    if (t.has_id) {
        t.id = cut(&rest, '}');
        t.suffix = rest;
    }
    return t;
}

const struct wire_member *resource_member(const struct wire_shape *shape, struct gt_str name)
{
    for (uint32_t i = 0; shape && i < shape->n_members; i++) {
        if (gt_str_is(name, shape->members[i].name)) {
            return &shape->members[i];
        }
    }
    return NULL;
}

/* The texts of "member", "one|other" or "member=default". */
static void values_of(struct gt_str what, const struct wire_shape *shape, const void *in,
                      struct gt_arena *a, struct gt_str **ret, size_t *ret_n)
{
    struct gt_str names = cut(&what, '='), otherwise = what;
    while (names.n) {
        const struct wire_member *m = resource_member(shape, cut(&names, '|'));
        GT_ASSERT(m); /* a template names what there is: the test of all of them */
        const void *value = (const char *)in + m->offset;
        const struct gt_str *text = value;
        const struct wire_str_list *list = value;
        if (m->shape->type == WIRE_STRING && text->n) {
            *ret = gt_arena_new(a, struct gt_str);
            (*ret)[0] = *text;
            *ret_n = 1;
            return;
        }
        if (m->shape->type == WIRE_LIST && list->n) {
            *ret = list->v;
            *ret_n = list->n;
            return;
        }
    }
    *ret = gt_arena_new(a, struct gt_str);
    (*ret)[0] = otherwise.n ? otherwise : GT_STR_LIT("*");
    *ret_n = 1;
}

static struct gt_str head_of(const struct resource_scope *s, struct gt_arena *a)
{
    return gt_str(gt_arena_printf(a, "arn:aws:%s:" GT_STR_FMT ":" GT_STR_FMT ":", s->service,
                                  GT_STR_ARG(s->region), GT_STR_ARG(s->account)));
}

/* What follows after the type in an ARN of ours; false: it is another's. */
static bool own_id(struct gt_str head, struct gt_str prefix, struct gt_str arn, struct gt_str *ret)
{
    if (!gt_str_starts(arn, head)) {
        return false;
    }
    struct gt_str rest = gt_str_n(arn.p + head.n, arn.n - head.n);
    if (!gt_str_starts(rest, prefix)) {
        return false;
    }
    *ret = gt_str_n(rest.p + prefix.n, rest.n - prefix.n);
    if (ret->n > 2 && memcmp(ret->p + ret->n - 2, ":*", 2) == 0) { /* log groups' ARNs end so */
        ret->n -= 2;
    }
    return true;
}

/* A log group is named by an ARN of the template's type, a cluster by one of its own. */
static struct gt_str container_of(const struct template *t, struct gt_str head, struct gt_str said)
{
    struct gt_str id;
    if (!arn_is(said)) {
        return said;
    }
    if (own_id(head, t->prefix, said, &id)) {
        return id;
    }
    const char *slash = memrchr(said.p, '/', said.n);
    return slash ? gt_str_n(slash + 1, said.n - (size_t)(slash + 1 - said.p)) : said;
}

static struct gt_str build(const struct template *t, struct gt_str head, struct gt_str container,
                           struct gt_str id, struct gt_arena *a)
{
    bool path = gt_str_is(t->between, "/"); /* "cluster/id" */
    if (!t->prefix.n && !t->has_container) {
        return id;
    }
    if ((path || !t->has_container) && arn_is(id) && !own_id(head, t->prefix, id, &id)) {
        return id;
    }
    const char *slash = path && id.n ? memchr(id.p, '/', id.n) : NULL;
    if (slash) {
        container = gt_str_n(id.p, (size_t)(slash - id.p));
        id = gt_str_n(slash + 1, id.n - container.n - 1);
    }
    const struct gt_str parts[] = {head, t->prefix, container, t->between, id, t->suffix};
    size_t n = 1;
    for (size_t i = 0; i < GT_ARRAY_LEN(parts); i++) {
        n += parts[i].n;
    }
    return gt_str_concat(parts, GT_ARRAY_LEN(parts), gt_arena_alloc(a, n), n);
}

/* Each is copied, with its container, and looked up: a caller could make that as dear as it likes.
 */
static int check_sizes(const struct gt_str *ids, size_t n, size_t container, struct gt_err *err)
{
    size_t longest = container;
    if (n > GT_LIMIT_CALL_RESOURCES) {
        return gt_err_set(err, GT_ERR_INVALID, "At most %d resources can be named at once.",
                          GT_LIMIT_CALL_RESOURCES);
    }
    for (size_t i = 0; i < n; i++) {
        longest = GT_MAX(longest, ids[i].n);
    }
    return longest <= GT_LIMIT_CALL_TEXT
               ? 0
               : gt_err_set(err, GT_ERR_INVALID, "The name of a resource is too long.");
}

int resources_of(const struct resource_scope *scope, const char *template_,
                 const struct wire_shape *shape, const void *in, struct gt_arena *arena,
                 struct gt_str **ret, size_t *ret_n, struct gt_err *err)
{
    static struct gt_str none[1];
    struct gt_str *ids = none, *containers = none, container;
    size_t n = 1, one;
    if (!template_) {
        *ret = gt_arena_new(arena, struct gt_str);
        **ret = GT_STR_LIT("*");
        *ret_n = 1;
        return 0;
    }
    struct template t = split(template_);
    struct gt_str head = head_of(scope, arena);
    if (t.has_container) {
        values_of(t.container, shape, in, arena, &containers, &one);
    }
    if (t.has_id) {
        values_of(t.id, shape, in, arena, &ids, &n);
    }
    int r = check_sizes(ids, n, containers[0].n, err);
    if (r < 0) {
        return r;
    }
    container = container_of(&t, head, containers[0]);
    *ret = gt_arena_array(arena, struct gt_str, n);
    *ret_n = n;
    for (size_t i = 0; i < n; i++) {
        (*ret)[i] = build(&t, head, container, ids[i], arena);
    }
    return 0;
}
