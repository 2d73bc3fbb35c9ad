/*
 * The wire layer: AWS shapes as C structs, and the tables that one codec walks for every protocol.
 *
 * tools/gen_api.py makes from api/<service>.json the header lib/wire/gen/<service>.h: a struct for
 * every shape, `struct <svc>_<op>_in` and `_out` for every operation, and for each of these a
 * descriptor (struct wire_shape). How a model's types look in C:
 *
 *   string, enum, blob      struct gt_str x          absent: x.p == NULL (blob: the decoded bytes)
 *   integer, long           int64_t x; bool has_x
 *   timestamp               int64_t x; bool has_x    milliseconds since 1970, UTC
 *   boolean                 bool x; bool has_x
 *   float, double           double x; bool has_x
 *   structure               pointer, NULL: absent
 *   list                    struct { T *v; size_t n; bool has; }        structures lie inline
 *   map                     struct { struct { struct gt_str key; T value; } *v; size_t n; bool has;
 * }
 *
 * On output a list or map is written when `has` is set or n > 0. Decoded values live in the arena
 * that the decoder was given; text of a JSON request without escapes points into the request.
 */
#ifndef GT_LIB_WIRE_WIRE_H
#define GT_LIB_WIRE_WIRE_H

#include "lib/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sets a scalar and its has_ flag. */
#define WIRE_SET(s, member, val) ((s)->member = (val), (s)->has_##member = true)

struct wire_str_list {
    struct gt_str *v;
    size_t n;
    bool has;
};
struct wire_int_list {
    int64_t *v;
    size_t n;
    bool has;
};
struct wire_double_list {
    double *v;
    size_t n;
    bool has;
};
struct wire_bool_list {
    bool *v;
    size_t n;
    bool has;
};
struct wire_str_pair {
    struct gt_str key, value;
};
struct wire_str_map {
    struct wire_str_pair *v;
    size_t n;
    bool has;
};
struct wire_int_pair {
    struct gt_str key;
    int64_t value;
};
struct wire_int_map {
    struct wire_int_pair *v;
    size_t n;
    bool has;
};
/* What every list and map looks like to the codec. */
struct wire_list {
    void *v;
    size_t n;
    bool has;
};

enum wire_type {
    WIRE_STRING,
    WIRE_BLOB,
    WIRE_INTEGER, /* 32 bits on the wire */
    WIRE_LONG,
    WIRE_TIMESTAMP,
    WIRE_BOOLEAN,
    WIRE_DOUBLE,
    WIRE_STRUCTURE,
    WIRE_LIST,
    WIRE_MAP,
};

enum wire_location { /* where a REST protocol puts a member */
                     WIRE_IN_BODY,
                     WIRE_IN_URI,
                     WIRE_IN_QUERY,
                     WIRE_IN_HEADER,
                     WIRE_IN_HEADERS,
                     WIRE_IN_STATUS,
};

enum wire_time_format {
    WIRE_TIME_DEFAULT, /* the protocol's: epoch seconds in JSON, ISO 8601 in XML and queries */
    WIRE_TIME_UNIX,
    WIRE_TIME_ISO8601,
    WIRE_TIME_RFC822,
};

struct wire_shape;

struct wire_member {
    const char *name; /* as the model has it; in messages the first letter is in lower case */
    const char *wire; /* in JSON and XML, and in queries unless `query` */
    const char *query;
    const struct wire_shape *shape;
    uint32_t offset;     /* of the value in the struct */
    uint32_t has_offset; /* of has_x, for integers, booleans, doubles, timestamps */
    uint16_t wire_len;
    uint8_t location;    /* enum wire_location */
    uint8_t time_format; /* enum wire_time_format */
    bool required, flattened, idempotency_token;
};

/* A regular expression of a model, compiled when it is first needed and kept. */
struct wire_pattern {
    const char *text;
    void *compiled; /* atomic */
};

enum {
    WIRE_HAS_MIN = 1,
    WIRE_HAS_MAX = 2,
    WIRE_SENSITIVE = 4,
    WIRE_ALLOW_NUL = 8, /* text may hold U+0000; everywhere else it is refused when decoded */
};

struct wire_shape {
    const char *name; /* NULL: the empty input or output of an operation that has none */
    enum wire_type type;
    uint32_t size;                     /* bytes of the C value: the struct, or the list's header */
    const struct wire_member *members; /* structure, in the model's order */
    uint32_t n_members;
    uint32_t flags;
    const struct wire_shape *of;  /* a list's element, a map's value */
    const struct wire_shape *key; /* a map's key: a string */
    uint32_t elem_size;           /* bytes of one element or pair */
    uint32_t value_offset;        /* of the value in a pair */
    const char *elem_name;        /* XML element of a list; NULL: "member" */
    int64_t min, max;             /* value, code points, elements */
    const char *const *enums;     /* NULL-terminated, sorted as in the model */
    struct wire_pattern *pattern;
};

/* An exception that a service's model declares. */
struct wire_error {
    const char *shape; /* the exception's name */
    const char *code;  /* as sent */
    uint16_t status;
    bool fault; /* the server's, not the sender's */
};

enum wire_protocol { WIRE_JSON, WIRE_QUERY, WIRE_REST_JSON, WIRE_REST_XML, WIRE_EC2 };

struct wire_service;

struct wire_op {
    const char *name; /* "RunTask" */
    const struct wire_service *service;
    const struct wire_shape *in, *out;
    const char *wrapper; /* XML element around the result; NULL: none */
    const char *method;  /* REST; else "POST" */
    const char *uri;     /* REST template; else "/" */
    uint16_t status;     /* of a success */
    uint16_t index;      /* in service->ops, and in the table <svc>_ops of the control plane */
    bool unsigned_ok;    /* the model lets it be called without a signature */
    struct {
        const char *in, *out, *limit, *items; /* members; NULL: not paginated */
    } page;
    const struct wire_error *const *errors; /* NULL-terminated */
};

/* How a service words a request that breaks its model. */
enum wire_validation_style {
    WIRE_STYLE_CORAL, /* "1 validation error detected: Value 'x' at 'y' failed to satisfy ..." */
    WIRE_STYLE_ECR,   /* "Invalid parameter at 'y' failed to satisfy constraint: '...'" */
};

struct wire_service {
    const char *name;    /* as in api/<name>.json */
    const char *id;      /* "ECS" */
    const char *version; /* "2014-11-13" */
    enum wire_protocol protocol;
    const char *json_version;  /* "1.1"; NULL unless JSON */
    const char *target_prefix; /* X-Amz-Target before the dot; NULL: none */
    const char *signing;       /* service in the credential scope */
    const char *xmlns;
    const struct wire_op *const *ops;
    size_t n_ops;
    const struct wire_error *errors;
    size_t n_errors;
    /* From api/<name>.overlay.json */
    const char *validation_code;  /* exception for a request that breaks the model */
    const char *unsupported_code; /* exception for an operation that Gantry has not */
    enum wire_validation_style style;
};

extern const struct wire_shape wire_string_shape, wire_blob_shape, wire_integer_shape,
    wire_long_shape, wire_timestamp_shape, wire_boolean_shape, wire_double_shape;

#endif
