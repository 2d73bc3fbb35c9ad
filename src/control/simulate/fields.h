/*
 * From a document to structs: a table of fields says for each name what may be there and where it
 * goes. Unknown fields, missing ones and values out of bounds are refused, with their place.
 */
#ifndef GT_CONTROL_SIMULATE_FIELDS_H
#define GT_CONTROL_SIMULATE_FIELDS_H

#include "control/simulate/document.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const char *name; /* of the document */
    struct gt_arena *arena;
    struct gt_err *err;
    void *context; /* of the fields' functions */
};

struct field;
/* Puts `value` where `to` points. `where` is the field's whole name, "nodes.count". */
typedef int field_fn(struct reader *r, const char *where, const struct doc *value,
                     const struct field *f, void *to);
struct field {
    const char *name; /* NULL ends the table */
    field_fn *read;
    size_t at; /* in the struct */
    bool required;
    int64_t low, high; /* bounds of numbers and times; of how many in a list */
    const void *more;  /* of `read` */
};

/* Each member of the mapping goes into the struct `to`. `where` "": the document itself. */
int fields_read(struct reader *r, const char *where, const struct doc *map,
                const struct field *fields, void *to);

field_fn field_int;    /* int64_t */
field_fn field_seed;   /* uint64_t */
field_fn field_number; /* double, low to high */
field_fn field_cpu;    /* int64_t units: 512, 2 vCPU */
field_fn field_memory; /* int64_t MiB: 512, 4 GB */
field_fn field_time;   /* int64_t ms: 250ms, 90s, 5m, 1h30m, 2d */
field_fn field_span;   /* struct span: a time, or two: 5s..20s */
field_fn field_name;   /* gt_str: letters, digits, '-' and '_', at most 255 */
field_fn field_text;   /* gt_str: at most `high` bytes */
field_fn field_word;   /* gt_str: one of `more`, words that end with NULL */
field_fn field_bool;   /* bool */
field_fn field_names;  /* struct texts: one name, or a list of them */

/* A time as it is written: "1h30m". False: it is none. */
bool time_parse(struct gt_str text, int64_t *ret_ms);

/* "<place>: <where> <what is wrong>". Returns -EINVAL. */
int field_wrong(struct reader *r, const char *where, const struct doc *at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A list of f->low to f->high entries: room for so many of `size` bytes more, all zero, behind the
 * *n that the array at *v (a pointer) has. */
int field_list(struct reader *r, const char *where, const struct doc *value, const struct field *f,
               size_t size, void *v, size_t *n);

#endif
