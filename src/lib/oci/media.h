/* Media types of images, and what Gantry does with each. */
#ifndef GT_LIB_OCI_MEDIA_H
#define GT_LIB_OCI_MEDIA_H

#include "lib/base/str.h"

#define OCI_MEDIA_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_MEDIA_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_MEDIA_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_MEDIA_EMPTY "application/vnd.oci.empty.v1+json"
#define OCI_MEDIA_LAYER "application/vnd.oci.image.layer.v1.tar"
#define OCI_MEDIA_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_MEDIA_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define OCI_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define OCI_MEDIA_DOCKER_INDEX "application/vnd.docker.distribution.manifest.list.v2+json"
#define OCI_MEDIA_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define OCI_MEDIA_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define OCI_MEDIA_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define OCI_MEDIA_DOCKER_FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
#define OCI_MEDIA_DOCKER_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"
#define OCI_MEDIA_DOCKER_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"

enum oci_media {
    OCI_MEDIA_KIND_OTHER, /* an artifact's own type: stored, never interpreted */
    OCI_MEDIA_KIND_MANIFEST,
    OCI_MEDIA_KIND_INDEX,
    OCI_MEDIA_KIND_CONFIG,
    OCI_MEDIA_KIND_LAYER,
    OCI_MEDIA_KIND_LAYER_FOREIGN, /* not in the registry: fetched from its urls, or not at all */
    OCI_MEDIA_KIND_SCHEMA1,       /* docker's first format: refused everywhere */
};

enum oci_compression { OCI_PLAIN, OCI_GZIP, OCI_ZSTD };

/* Parameters after a ';' are ignored, letters compare without case. */
enum oci_media oci_media_kind(struct gt_str media_type);
/* Of a layer's media type, by its suffix; the unpacker still looks at the first bytes. */
enum oci_compression oci_media_compression(struct gt_str media_type);

#endif
