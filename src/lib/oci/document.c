#include "lib/oci/document.h"

#include "lib/base/limits.h"

#include <errno.h>

/* Counts what the text could make a parser build, without building it: nesting and the number of
 * values. What is not JSON is left for the parser to say. */
static int check_cost(struct gt_str text, const char *what, struct gt_err *err)
{
    size_t depth = 0, values = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (quoted) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                quoted = false;
            }
            continue;
        }
        if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            values++;
            depth++;
        } else if (c == ',' || c == ':') {
            values++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
        if (depth > OCI_LIMIT_JSON_DEPTH) {
            return gt_err_set(err, GT_ERR_TOO_LARGE, "%s is nested deeper than %d", what,
                              OCI_LIMIT_JSON_DEPTH);
        }
        if (values > OCI_LIMIT_JSON_VALUES) {
            return gt_err_set(err, GT_ERR_TOO_LARGE, "%s has more than %d values", what,
                              OCI_LIMIT_JSON_VALUES);
        }
    }
    return 0;
}

json_t *oci_document_load(struct gt_str text, size_t cap, const char *what, struct gt_err *err)
{
    if (text.n > cap) {
        (void)gt_err_set(err, GT_ERR_TOO_LARGE, "%s has %zu bytes, more than %zu", what, text.n,
                         cap);
        return NULL;
    }
    if (check_cost(text, what, err) < 0) {
        return NULL;
    }
    json_error_t why;
    json_t *doc = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &why);
    if (!doc) {
        (void)gt_err_set(err, GT_ERR_INVALID, "%s is not JSON: line %d, column %d: %s", what,
                         why.line, why.column, why.text);
        return NULL;
    }
    if (!json_is_object(doc)) {
        (void)gt_err_set(err, GT_ERR_INVALID, "%s is not a JSON object", what);
        json_decref(doc);
        return NULL;
    }
    return doc;
}

static const json_t *member(const json_t *obj, const char *name)
{
    const json_t *v = json_object_get(obj, name);
    return json_is_null(v) ? NULL : v;
}

static int mistyped(struct gt_err *err, const char *name, const char *want)
{
    return gt_err_set(err, GT_ERR_INVALID, "'%s' is not %s", name, want);
}

static int copy_text(struct gt_str s, const char *name, struct gt_arena *a, struct gt_str *ret,
                     struct gt_err *err)
{
    char *to = gt_arena_try_alloc(a, s.n + 1);
    if (!to) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "no room for '%s'", name);
    }
    memcpy(to, s.p, s.n);
    *ret = gt_str_n(to, s.n);
    return 0;
}

static int text_of(const json_t *v, const char *name, struct gt_arena *a, struct gt_str *ret,
                   struct gt_err *err)
{
    if (!json_is_string(v)) {
        return mistyped(err, name, "a text");
    }
    return copy_text(gt_str_n(json_string_value(v), json_string_length(v)), name, a, ret, err);
}

static void *array_of(struct gt_arena *a, size_t n, size_t size, const char *name,
                      struct gt_err *err)
{
    void *p = gt_arena_try_alloc(a, n * size + 1);
    if (!p) {
        (void)gt_err_set(err, GT_ERR_TOO_LARGE, "no room for '%s'", name);
    }
    return p;
}

int oci_get_text(const json_t *obj, const char *name, struct gt_arena *a, struct gt_str *ret,
                 struct gt_err *err)
{
    const json_t *v = member(obj, name);
    *ret = (struct gt_str){0};
    return v ? text_of(v, name, a, ret, err) : 0;
}

int oci_get_number(const json_t *obj, const char *name, int64_t *ret, struct gt_err *err)
{
    const json_t *v = member(obj, name);
    *ret = 0;
    if (v && !json_is_integer(v)) {
        return mistyped(err, name, "a whole number");
    }
    if (v) {
        *ret = json_integer_value(v);
    }
    return 0;
}

int oci_get_object(const json_t *obj, const char *name, json_t **ret, struct gt_err *err)
{
    json_t *v = json_object_get(obj, name);
    *ret = json_is_null(v) ? NULL : v;
    return *ret && !json_is_object(*ret) ? mistyped(err, name, "an object") : 0;
}

int oci_get_array(const json_t *obj, const char *name, json_t **ret, struct gt_err *err)
{
    json_t *v = json_object_get(obj, name);
    *ret = json_is_null(v) ? NULL : v;
    return *ret && !json_is_array(*ret) ? mistyped(err, name, "a list") : 0;
}

int oci_get_texts(const json_t *obj, const char *name, struct gt_arena *a, struct oci_str_list *ret,
                  struct gt_err *err)
{
    json_t *list;
    *ret = (struct oci_str_list){0};
    int r = oci_get_array(obj, name, &list, err);
    if (r < 0 || !list) {
        return r;
    }
    size_t n = json_array_size(list);
    struct gt_str *v = array_of(a, n, sizeof(*v), name, err);
    if (!v) {
        return -EMSGSIZE;
    }
    for (size_t i = 0; i < n; i++) {
        r = text_of(json_array_get(list, i), name, a, &v[i], err);
        if (r < 0) {
            return r;
        }
    }
    *ret = (struct oci_str_list){.v = v, .n = n};
    return 0;
}

int oci_get_pairs(const json_t *obj, const char *name, struct gt_arena *a,
                  struct oci_pair_list *ret, struct gt_err *err)
{
    json_t *map;
    *ret = (struct oci_pair_list){0};
    int r = oci_get_object(obj, name, &map, err);
    if (r < 0 || !map) {
        return r;
    }
    struct oci_pair *v = array_of(a, json_object_size(map), sizeof(*v), name, err);
    if (!v) {
        return -EMSGSIZE;
    }
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        r = copy_text(gt_str(key), name, a, &v[n].key, err);
        r = r < 0 ? r : text_of(value, name, a, &v[n].value, err);
        if (r < 0) {
            return r;
        }
        n++;
    }
    *ret = (struct oci_pair_list){.v = v, .n = n};
    return 0;
}

int oci_get_keys(const json_t *obj, const char *name, struct gt_arena *a, struct oci_str_list *ret,
                 struct gt_err *err)
{
    json_t *map;
    *ret = (struct oci_str_list){0};
    int r = oci_get_object(obj, name, &map, err);
    if (r < 0 || !map) {
        return r;
    }
    struct gt_str *v = array_of(a, json_object_size(map), sizeof(*v), name, err);
    if (!v) {
        return -EMSGSIZE;
    }
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        r = copy_text(gt_str(key), name, a, &v[n++], err);
        if (r < 0) {
            return r;
        }
    }
    *ret = (struct oci_str_list){.v = v, .n = n};
    return 0;
}

int oci_get_platform(const json_t *obj, struct gt_arena *a, struct oci_platform *ret,
                     struct gt_err *err)
{
    int r = oci_get_text(obj, "os", a, &ret->os, err);
    r = r < 0 ? r : oci_get_text(obj, "architecture", a, &ret->architecture, err);
    r = r < 0 ? r : oci_get_text(obj, "variant", a, &ret->variant, err);
    return r < 0 ? r : oci_get_text(obj, "os.version", a, &ret->os_version, err);
}
