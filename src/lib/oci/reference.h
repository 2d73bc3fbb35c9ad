/*
 * Names of images: [host[:port]/]repository[:tag][@digest], by the grammar of the distribution
 * specification and docker's rule for what is a host: the first component if it has a '.' or a
 * ':', or is "localhost".
 */
#ifndef GT_LIB_OCI_REFERENCE_H
#define GT_LIB_OCI_REFERENCE_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/oci/digest.h"

#define OCI_LIMIT_NAME 256 /* of a repository, as ECR has it, and of a host */
#define OCI_LIMIT_TAG 128

/* Texts are views into what was parsed. */
struct oci_reference {
    struct gt_str host; /* with its port, IPv6 in brackets; empty: none was given */
    struct gt_str repository;
    struct gt_str tag; /* empty: none was given */
    bool has_digest;
    struct oci_digest digest;
};

int oci_reference_parse(struct gt_str text, struct oci_reference *ret, struct gt_err *err);
/* docker's defaults for what was left out: host "docker.io", "library/" before a repository of one
 * component there, tag "latest" where neither tag nor digest was given. */
void oci_reference_default(struct oci_reference *ref, struct gt_arena *arena);

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/...)* of at most 256 bytes. Such a name holds no "..", no
 * empty component and begins with no '/'. */
bool oci_name_valid(struct gt_str name);
/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
bool oci_tag_valid(struct gt_str tag);
/* name or address, with an optional port 1..65535 */
bool oci_host_valid(struct gt_str host);

#endif
