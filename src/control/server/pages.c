#include "control/server/pages.h"

#include "lib/base/mem.h"
#include "lib/wire/token.h"

/* The text of a member; NULL: the shape has none of this name. */
static struct gt_str *text_at(const struct wire_shape *shape, const char *member, void *value)
{
    for (uint32_t i = 0; member && shape && i < shape->n_members; i++) {
        const struct wire_member *m = &shape->members[i];
        if (gt_streq(m->name, member) && m->shape->type == WIRE_STRING) {
            return (struct gt_str *)((char *)value + m->offset);
        }
    }
    return NULL;
}

static struct wire_token_scope scope_of(const struct pages *p, const struct wire_op *op,
                                        const void *in)
{
    struct wire_token_scope s = {.principal = p->principal, .operation = op->name};
    wire_token_params(op, in, s.params);
    return s;
}

int pages_open(const struct pages *p, const struct wire_op *op, void *in, struct gt_arena *arena,
               struct gt_err *err)
{
    struct gt_str *token = text_at(op->in, op->page.in, in);
    if (!token || !token->p) {
        return 0;
    }
    struct wire_token_scope s = scope_of(p, op, in);
    return wire_token_open(p->key, &s, *token, arena, token, err);
}

void pages_seal(const struct pages *p, const struct wire_op *op, const void *in, void *out,
                struct gt_arena *arena)
{
    struct gt_str *token = text_at(op->out, op->page.out, out);
    if (!token || !token->p) {
        return;
    }
    struct wire_token_scope s = scope_of(p, op, in);
    *token = wire_token_seal(p->key, &s, *token, arena);
}
