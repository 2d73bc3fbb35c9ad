#include "lib/oci/media.h"

#include "lib/base/mem.h"

#include <strings.h>

static const struct {
    const char *type;
    enum oci_media kind;
} known[] = {
    {OCI_MEDIA_MANIFEST, OCI_MEDIA_KIND_MANIFEST},
    {OCI_MEDIA_INDEX, OCI_MEDIA_KIND_INDEX},
    {OCI_MEDIA_CONFIG, OCI_MEDIA_KIND_CONFIG},
    {OCI_MEDIA_LAYER, OCI_MEDIA_KIND_LAYER},
    {OCI_MEDIA_LAYER_GZIP, OCI_MEDIA_KIND_LAYER},
    {OCI_MEDIA_LAYER_ZSTD, OCI_MEDIA_KIND_LAYER},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar", OCI_MEDIA_KIND_LAYER_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", OCI_MEDIA_KIND_LAYER_FOREIGN},
    {"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", OCI_MEDIA_KIND_LAYER_FOREIGN},
    {OCI_MEDIA_DOCKER_MANIFEST, OCI_MEDIA_KIND_MANIFEST},
    {OCI_MEDIA_DOCKER_INDEX, OCI_MEDIA_KIND_INDEX},
    {OCI_MEDIA_DOCKER_CONFIG, OCI_MEDIA_KIND_CONFIG},
    {OCI_MEDIA_DOCKER_LAYER, OCI_MEDIA_KIND_LAYER},
    {OCI_MEDIA_DOCKER_LAYER_GZIP, OCI_MEDIA_KIND_LAYER},
    {OCI_MEDIA_DOCKER_FOREIGN, OCI_MEDIA_KIND_LAYER_FOREIGN},
    {OCI_MEDIA_DOCKER_SCHEMA1, OCI_MEDIA_KIND_SCHEMA1},
    {OCI_MEDIA_DOCKER_SCHEMA1_SIGNED, OCI_MEDIA_KIND_SCHEMA1},
};

static struct gt_str essence(struct gt_str t)
{
    const char *semi = t.n ? memchr(t.p, ';', t.n) : NULL;
    if (semi) {
        t.n = (size_t)(semi - t.p);
    }
    while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t')) {
        t.n--;
    }
    return t;
}

enum oci_media oci_media_kind(struct gt_str media_type)
{
    struct gt_str t = essence(media_type);
    for (size_t i = 0; i < GT_ARRAY_LEN(known); i++) {
        if (strlen(known[i].type) == t.n && strncasecmp(known[i].type, t.p, t.n) == 0) {
            return known[i].kind;
        }
    }
    return OCI_MEDIA_KIND_OTHER;
}

static bool ends(struct gt_str t, const char *suffix)
{
    size_t n = strlen(suffix);
    return t.n >= n && memcmp(t.p + t.n - n, suffix, n) == 0;
}

enum oci_compression oci_media_compression(struct gt_str media_type)
{
    struct gt_str t = essence(media_type);
    if (ends(t, "+gzip") || ends(t, ".gzip")) {
        return OCI_GZIP;
    }
    if (ends(t, "+zstd") || ends(t, ".zstd")) {
        return OCI_ZSTD;
    }
    return OCI_PLAIN;
}
