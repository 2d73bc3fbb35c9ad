/* Inside lib/oci: a JSON document from outside, capped before jansson sees it, and its members
 * copied into an arena. */
#ifndef GT_LIB_OCI_DOCUMENT_H
#define GT_LIB_OCI_DOCUMENT_H

#include "lib/base/mem.h"
#include "lib/oci/manifest.h"

#include <jansson.h>

/* The object in `text`, or NULL with err. The caller releases it with json_decref. */
json_t *oci_document_load(struct gt_str text, size_t cap, const char *what, struct gt_err *err);

static inline void oci_json_decref(json_t *j)
{
    json_decref(j);
}
GT_DEFINE_AUTO(json, json_t *, oci_json_decref)

/* Each takes a member that may be absent or null (the result is then empty); a value of another
 * type is an error that names the member. */
int oci_get_text(const json_t *obj, const char *name, struct gt_arena *a, struct gt_str *ret,
                 struct gt_err *err);
int oci_get_number(const json_t *obj, const char *name, int64_t *ret, struct gt_err *err);
int oci_get_texts(const json_t *obj, const char *name, struct gt_arena *a, struct oci_str_list *ret,
                  struct gt_err *err);
/* The keys of an object whose values do not matter (volumes, exposed ports). */
int oci_get_keys(const json_t *obj, const char *name, struct gt_arena *a, struct oci_str_list *ret,
                 struct gt_err *err);
int oci_get_pairs(const json_t *obj, const char *name, struct gt_arena *a,
                  struct oci_pair_list *ret, struct gt_err *err);
int oci_get_platform(const json_t *obj, struct gt_arena *a, struct oci_platform *ret,
                     struct gt_err *err);
/* An object or an array; NULL in *ret where absent. */
int oci_get_object(const json_t *obj, const char *name, json_t **ret, struct gt_err *err);
int oci_get_array(const json_t *obj, const char *name, json_t **ret, struct gt_err *err);

#endif
