/*
 * Image manifests, indexes and image configurations: OCI image-spec 1.1 and docker's schema 2.
 *
 * What is parsed comes from outside. Size, depth, number of values and number of descriptors are
 * capped before anything is built; duplicate members, text with NUL and digests that are not
 * digests are refused. Everything in a result lives in the arena that was given. The bytes
 * themselves are what a digest covers: keep them, never write a parsed document out again.
 */
#ifndef GT_LIB_OCI_MANIFEST_H
#define GT_LIB_OCI_MANIFEST_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/oci/digest.h"
#include "lib/oci/media.h"

#include <stdbool.h>
#include <stdint.h>

/* The most layers a manifest, and the most entries an index may name here. What a node unpacks is
 * further limited by GT_LIMIT_LAYERS. */
#define OCI_LIMIT_DESCRIPTORS 4096
#define OCI_LIMIT_JSON_VALUES 131072
#define OCI_LIMIT_JSON_DEPTH 32

struct oci_pair {
    struct gt_str key, value;
};
struct oci_pair_list {
    struct oci_pair *v;
    size_t n;
};
struct oci_str_list {
    struct gt_str *v;
    size_t n;
};

struct oci_platform {
    struct gt_str os, architecture, variant, os_version;
};

struct oci_descriptor {
    struct gt_str media_type;
    struct oci_digest digest;
    int64_t size; /* 0 .. GT_LIMIT_BLOB */
    struct gt_str artifact_type;
    struct oci_platform platform; /* of an index entry; empty where absent */
    struct oci_pair_list annotations;
    struct oci_str_list urls;
};
struct oci_descriptor_list {
    struct oci_descriptor *v;
    size_t n;
};

struct oci_manifest {
    bool is_index;
    bool has_subject;
    struct gt_str media_type; /* what it is served as; never empty */
    struct gt_str artifact_type;
    struct oci_descriptor config;         /* of a manifest */
    struct oci_descriptor_list layers;    /* of a manifest, lowest first */
    struct oci_descriptor_list manifests; /* of an index */
    struct oci_descriptor subject;
    struct oci_pair_list annotations;
};

/*
 * `content_type` is what the document was sent with; empty: unknown, then the document's own
 * mediaType or its members decide. A content type that contradicts the document's mediaType is
 * refused, as is docker's schema 1. -EINVAL (GT_ERR_INVALID) for a bad document, GT_ERR_TOO_LARGE
 * over a cap, GT_ERR_UNSUPPORTED for a format that Gantry does not take.
 */
int oci_manifest_parse(struct gt_str text, struct gt_str content_type, struct gt_arena *arena,
                       struct oci_manifest *ret, struct gt_err *err);

/*
 * The entry of an index for a platform, in Go's names ("linux", "amd64", "v8"); else the first that
 * names no platform at all, as tools write it that make images for one only; NULL when there is
 * none. An empty `variant` takes any; entries for attestations (os "unknown") never match. For
 * arm64, a missing variant and "v8" are the same.
 */
const struct oci_descriptor *oci_index_pick(const struct oci_manifest *index, const char *os,
                                            const char *architecture, const char *variant);
/* The architecture that this program was compiled for, in Go's name. */
const char *oci_host_architecture(void);

/* docker's extension to the configuration; times in nanoseconds, 0: inherit or default. */
struct oci_healthcheck {
    struct oci_str_list test; /* empty: none. {"NONE"}: switched off */
    int64_t interval, timeout, start_period;
    int64_t retries;
};

struct oci_image_config {
    struct oci_platform platform;
    struct gt_str created, author;
    struct gt_str user, working_dir, stop_signal;
    struct oci_str_list env; /* "KEY=value" */
    struct oci_str_list entrypoint, cmd, shell;
    struct oci_str_list exposed_ports; /* "80/tcp" */
    struct oci_str_list volumes;       /* absolute paths */
    struct oci_pair_list labels;
    struct oci_healthcheck healthcheck;
    struct oci_digest *diff_ids; /* of the unpacked layers, lowest first */
    size_t n_diff_ids;
};

int oci_image_config_parse(struct gt_str text, struct gt_arena *arena, struct oci_image_config *ret,
                           struct gt_err *err);

#endif
