/*
 * Records: what the core keeps under a key, as bytes.
 *
 * A record's schema is in schema/<area>.json (see the README there); tools/gen_records.py makes of
 * it a struct and a descriptor. The code here walks descriptors.
 *
 * Encoding. Header: u16 (little-endian) type id, a hash of the record's name; varint version. Then
 * fields in rising order of their numbers, each a varint tag (number << 3 | form) and
 *   form 0: a varint (bool; i64 in zigzag)      form 1: 8 bytes little-endian (f64)
 *   form 2: a varint length and so many bytes (str, bytes, a nested struct, all of a list<i64>;
 *           once for each element of list<str> and list<struct>)
 * Zero and empty are not written. Fields with unknown numbers are kept as they came, after the
 * known ones, so that a record survives being read and written by an older release. The same
 * struct always gives the same bytes.
 */
#ifndef GT_STORE_RECORD_RECORD_H
#define GT_STORE_RECORD_RECORD_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct rec_str_list {
    struct gt_str *v;
    size_t n;
};

struct rec_i64_list {
    int64_t *v;
    size_t n;
};

enum rec_type {
    REC_STR, /* text or bytes: struct gt_str */
    REC_I64,
    REC_BOOL,
    REC_F64,
    REC_STRUCT, /* a pointer; NULL is absent */
    REC_LIST_STR,
    REC_LIST_I64,
    REC_LIST_STRUCT,
};

struct rec_field {
    uint32_t n; /* rising in desc->fields */
    enum rec_type type;
    uint32_t offset;
    const char *name;
    const struct rec_desc *sub; /* of REC_STRUCT and REC_LIST_STRUCT */
};

/* Descriptor of a record or of a struct inside one. */
struct rec_desc {
    const char *name;
    uint16_t id;      /* 0 for a struct that is no record */
    uint32_t version; /* what this release writes */
    uint32_t size;
    uint32_t version_offset; /* of uint32_t version_; records only */
    uint32_t unknown_offset; /* of struct gt_str unknown_ */
    const struct rec_field *fields;
    size_t n_fields;
};

enum { REC_MAX_DEPTH = 16 };

/* Every record of every schema, NULL-terminated, for what must show records without knowing them.
 */
extern const struct rec_desc *const rec_all[];
const struct rec_desc *rec_desc_by_id(uint16_t id); /* NULL: not of this release */

/* Appends the encoded record. A record that was decoded from a newer version keeps that version. */
void rec_encode(const struct rec_desc *desc, const void *rec, struct gt_buf *to);

/* A new struct in the arena. Its text points into `bytes`, which must live as long: copy first
 * where that is not so. -EBADMSG for bytes that are no such record, -EMSGSIZE when the arena is
 * full; never aborts, so that bytes from anywhere may be tried. */
int rec_decode(const struct rec_desc *desc, struct gt_str bytes, struct gt_arena *arena,
               void **ret_rec, struct gt_err *err);

/* The type id in an encoded record's header; 0 when there is none. */
uint16_t rec_id(struct gt_str bytes);

/* The record as one line of JSON, for people: {"name":"web","tags":[...]}. */
void rec_show(const struct rec_desc *desc, const void *rec, struct gt_buf *to);

/* What is different between two structs of the same record; NULL is one without anything in it.
 * Names of fields are paths, "containers[1].reason"; values are JSON, empty where there is none,
 * and end in dots after REC_DIFF_MAX bytes. All text lives only during the call. */
enum { REC_DIFF_MAX = 4096 };
typedef void rec_diff_fn(void *arg, const char *field, struct gt_str from, struct gt_str to);
void rec_diff(const struct rec_desc *desc, const void *a, const void *b, rec_diff_fn *fn,
              void *arg);

#endif
