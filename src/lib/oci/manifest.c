#include "lib/oci/manifest.h"

#include "lib/base/limits.h"
#include "lib/oci/document.h"

#include <errno.h>

static int descriptor_parse(const json_t *j, struct gt_arena *a, struct oci_descriptor *d,
                            struct gt_err *err)
{
    if (!json_is_object(j)) {
        return gt_err_set(err, GT_ERR_INVALID, "is not an object");
    }
    struct gt_str digest;
    json_t *platform;
    *d = (struct oci_descriptor){0};
    int r = oci_get_text(j, "mediaType", a, &d->media_type, err);
    r = r < 0 ? r : oci_get_text(j, "digest", a, &digest, err);
    r = r < 0 ? r : oci_get_number(j, "size", &d->size, err);
    r = r < 0 ? r : oci_get_text(j, "artifactType", a, &d->artifact_type, err);
    r = r < 0 ? r : oci_get_pairs(j, "annotations", a, &d->annotations, err);
    r = r < 0 ? r : oci_get_texts(j, "urls", a, &d->urls, err);
    r = r < 0 ? r : oci_get_object(j, "platform", &platform, err);
    if (r == 0 && platform) {
        r = oci_get_platform(platform, a, &d->platform, err);
    }
    r = r < 0 ? r : oci_digest_parse(digest, &d->digest, err);
    if (r < 0) {
        return r;
    }
    if (d->media_type.n == 0) {
        return gt_err_set(err, GT_ERR_INVALID, "has no mediaType");
    }
    if (!json_object_get(j, "size") || d->size < 0 || (uint64_t)d->size > GT_LIMIT_BLOB) {
        return gt_err_set(err, GT_ERR_INVALID, "has no size between 0 and %lu", GT_LIMIT_BLOB);
    }
    return 0;
}

static int descriptor_member(const json_t *doc, const char *name, struct gt_arena *a, bool *ret_has,
                             struct oci_descriptor *ret, struct gt_err *err)
{
    json_t *j;
    int r = oci_get_object(doc, name, &j, err);
    *ret_has = j != NULL;
    if (r < 0 || !j) {
        return r;
    }
    r = descriptor_parse(j, a, ret, err);
    return r < 0 ? gt_err_wrap(err, "%s", name) : 0;
}

static int descriptor_list(const json_t *doc, const char *name, struct gt_arena *a,
                           struct oci_descriptor_list *ret, struct gt_err *err)
{
    json_t *list;
    int r = oci_get_array(doc, name, &list, err);
    if (r < 0 || !list) {
        return r;
    }
    size_t n = json_array_size(list);
    if (n > OCI_LIMIT_DESCRIPTORS) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "'%s' has %zu entries, more than %d", name, n,
                          OCI_LIMIT_DESCRIPTORS);
    }
    struct oci_descriptor *v = gt_arena_try_alloc(a, n * sizeof(*v) + 1);
    if (!v) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "no room for '%s'", name);
    }
    for (size_t i = 0; i < n; i++) {
        r = descriptor_parse(json_array_get(list, i), a, &v[i], err);
        if (r < 0) {
            return gt_err_wrap(err, "%s[%zu]", name, i);
        }
    }
    *ret = (struct oci_descriptor_list){.v = v, .n = n};
    return 0;
}

static bool same_type(struct gt_str content_type, struct gt_str media_type)
{
    const char *semi = content_type.n ? memchr(content_type.p, ';', content_type.n) : NULL;
    if (semi) {
        content_type.n = (size_t)(semi - content_type.p);
    }
    return gt_str_eq(content_type, media_type);
}

/* What the document is: its own mediaType, what it was sent as, or by its members. */
static int decide_type(const json_t *doc, struct gt_str own, struct gt_str content_type,
                       struct gt_str *ret, struct gt_err *err)
{
    enum oci_media sent = oci_media_kind(content_type);
    if (oci_media_kind(own) == OCI_MEDIA_KIND_SCHEMA1 || sent == OCI_MEDIA_KIND_SCHEMA1 ||
        json_integer_value(json_object_get(doc, "schemaVersion")) == 1) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED,
                          "docker's image manifest version 1 is not supported");
    }
    if (own.n && sent != OCI_MEDIA_KIND_OTHER && !same_type(content_type, own)) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "it was sent as '" GT_STR_FMT "' but says that it is '" GT_STR_FMT "'",
                          GT_STR_ARG(content_type), GT_STR_ARG(own));
    }
    bool list = json_is_array(json_object_get(doc, "manifests"));
    bool image = json_is_object(json_object_get(doc, "config")) ||
                 json_is_array(json_object_get(doc, "layers"));
    if (own.n) {
        *ret = own;
    } else if (sent == OCI_MEDIA_KIND_MANIFEST || sent == OCI_MEDIA_KIND_INDEX) {
        const char *semi = memchr(content_type.p, ';', content_type.n);
        *ret = gt_str_n(content_type.p, semi ? (size_t)(semi - content_type.p) : content_type.n);
    } else {
        *ret = list ? GT_STR_LIT(OCI_MEDIA_INDEX) : GT_STR_LIT(OCI_MEDIA_MANIFEST);
    }
    enum oci_media kind = oci_media_kind(*ret);
    if (kind != OCI_MEDIA_KIND_MANIFEST && kind != OCI_MEDIA_KIND_INDEX) {
        return gt_err_set(err, GT_ERR_UNSUPPORTED, "'" GT_STR_FMT "' is not a manifest's type",
                          GT_STR_ARG(*ret));
    }
    /* A document that is both could be read as one thing here and as another elsewhere
     * (CVE-2021-41190). */
    if (list && image) {
        return gt_err_set(err, GT_ERR_INVALID, "it has the members of a manifest and of an index");
    }
    return 0;
}

static int manifest_fields(const json_t *doc, struct gt_arena *a, struct oci_manifest *m,
                           struct gt_err *err)
{
    if (m->is_index) {
        if (!json_is_array(json_object_get(doc, "manifests"))) {
            return gt_err_set(err, GT_ERR_INVALID, "an index without 'manifests'");
        }
        return descriptor_list(doc, "manifests", a, &m->manifests, err);
    }
    bool has_config;
    int r = descriptor_member(doc, "config", a, &has_config, &m->config, err);
    if (r < 0) {
        return r;
    }
    if (!has_config) {
        return gt_err_set(err, GT_ERR_INVALID, "a manifest without 'config'");
    }
    if (!json_is_array(json_object_get(doc, "layers"))) {
        return gt_err_set(err, GT_ERR_INVALID, "a manifest without 'layers'");
    }
    return descriptor_list(doc, "layers", a, &m->layers, err);
}

int oci_manifest_parse(struct gt_str text, struct gt_str content_type, struct gt_arena *arena,
                       struct oci_manifest *ret, struct gt_err *err)
{
    gt_auto(json) json_t *doc = oci_document_load(text, GT_LIMIT_MANIFEST, "the manifest", err);
    if (!doc) {
        return text.n > GT_LIMIT_MANIFEST ? -EMSGSIZE : -EINVAL;
    }
    struct oci_manifest m = {0};
    int64_t version;
    struct gt_str own, type;
    int r = oci_get_number(doc, "schemaVersion", &version, err);
    r = r < 0 ? r : oci_get_text(doc, "mediaType", arena, &own, err);
    r = r < 0 ? r : decide_type(doc, own, content_type, &type, err);
    if (r == 0 && version != 2) {
        r = gt_err_set(err, GT_ERR_INVALID, "'schemaVersion' is not 2");
    }
    if (r == 0) {
        m.is_index = oci_media_kind(type) == OCI_MEDIA_KIND_INDEX;
        m.media_type = gt_str_n(gt_arena_str(arena, type), type.n);
        r = oci_get_text(doc, "artifactType", arena, &m.artifact_type, err);
    }
    r = r < 0 ? r : manifest_fields(doc, arena, &m, err);
    r = r < 0 ? r : descriptor_member(doc, "subject", arena, &m.has_subject, &m.subject, err);
    r = r < 0 ? r : oci_get_pairs(doc, "annotations", arena, &m.annotations, err);
    if (r < 0) {
        (void)gt_err_wrap(err, "manifest");
        return r;
    }
    *ret = m;
    return 0;
}

static bool variant_matches(const struct oci_platform *p, const char *variant)
{
    if (!variant || !*variant || gt_str_is(p->variant, variant)) {
        return true;
    }
    return gt_str_is(p->architecture, "arm64") && strcmp(variant, "v8") == 0 && p->variant.n == 0;
}

const struct oci_descriptor *oci_index_pick(const struct oci_manifest *index, const char *os,
                                            const char *architecture, const char *variant)
{
    const struct oci_descriptor *any = NULL;
    for (size_t i = 0; i < index->manifests.n; i++) {
        const struct oci_descriptor *d = &index->manifests.v[i];
        if (!any && d->platform.os.n == 0 && d->platform.architecture.n == 0) {
            any = d;
        }
        if (gt_str_is(d->platform.os, os) && gt_str_is(d->platform.architecture, architecture) &&
            variant_matches(&d->platform, variant)) {
            return d;
        }
    }
    return any;
}

const char *oci_host_architecture(void)
{
#if defined(__x86_64__)
    return "amd64";
#elif defined(__aarch64__)
    return "arm64";
#elif defined(__arm__)
    return "arm";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return "ppc64le";
#elif defined(__s390x__)
    return "s390x";
#else
    return "unknown";
#endif
}
