/*
 * What a registry knows beside its blobs: which blobs a repository may show, its manifests, its
 * tags, and who refers to whom. An SQLite file (<dir>/registry.db) beside the blob store
 * (<dir>/blobs). Every function that changes something returns when the change is durable;
 * a reader sees nothing that is not.
 *
 * A repository is named by a text of the caller's that is never used again after the repository
 * was deleted ("<account>/<region>/<name>#<id>"); it need not be announced. Whether it exists is
 * the core's business.
 *
 * Invariants, kept in each transaction: a manifest's blobs are linked to its repository, an
 * index's manifests are in its repository, a tag's manifest is in its repository.
 *
 * Any function may be called from any thread and may block on the disk.
 */
#ifndef GT_STORE_REGISTRY_REGISTRY_H
#define GT_STORE_REGISTRY_REGISTRY_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/oci/manifest.h"
#include "store/blobs/blobs.h"

#include <stdbool.h>
#include <stdint.h>

struct registry;

int registry_open(const char *dir, struct registry **ret, struct gt_err *err);
void registry_close(struct registry *r); /* NULL is allowed */
GT_DEFINE_AUTO(registry, struct registry *, registry_close)
struct blobs *registry_blobs(struct registry *r);

/* -- blobs of a repository -- */

/* After the blob's upload was committed. */
int registry_blob_link(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       int64_t size, int64_t now_ms, struct gt_err *err);
/* -ENOENT when the repository has no such blob, whatever other repositories have. */
int registry_blob_find(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       int64_t *ret_size, struct gt_err *err);
/* Somebody who was told that the blob is there may count on it: when no manifest of the repository
 * needs it and its link is older than `before_ms`, the link is made young. -ENOENT as above. */
int registry_blob_seen(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       int64_t before_ms, int64_t now_ms, struct gt_err *err);
/* Links what `from` has. -ENOENT as above. */
int registry_blob_mount(struct registry *r, struct gt_str from, struct gt_str repo,
                        const struct oci_digest *d, int64_t now_ms, struct gt_err *err);
/* -ENOENT; -EBUSY (GT_ERR_CONFLICT) while a manifest of the repository needs it. */
int registry_blob_unlink(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                         struct gt_err *err);

/* -- manifests and tags -- */

struct registry_manifest {
    struct oci_digest digest;
    struct gt_str media_type;
    struct gt_str artifact_type; /* the manifest's own */
    struct gt_str config_type;   /* the configuration's media type; empty for an index */
    int64_t size;                /* of the document */
    int64_t image_size;          /* configuration and layers; of an index: its largest manifest's */
    int64_t pushed_ms;
    struct gt_str body; /* the document; empty when it was not asked for */
};

#define REGISTRY_LIMIT_TAGS 1000 /* of one manifest */

struct registry_put {
    struct gt_str text;                  /* the document, byte for byte */
    const struct oci_manifest *manifest; /* the same, parsed */
    struct gt_str tag;                   /* empty: none */
    bool immutable_tags;                 /* a tag that exists is not moved */
    int64_t now_ms;
};
/*
 * Keeps a manifest and points the tag at it, in one step. Putting the same again changes nothing.
 * -ENOENT with *ret_missing when it names a blob or manifest that the repository has not; -EINVAL
 * when it names one with another size than it has; -EEXIST when the tag is another manifest's and
 * tags are immutable; -EDQUOT (GT_ERR_LIMIT) when the manifest has REGISTRY_LIMIT_TAGS already;
 * -ESTALE (GT_ERR_NOT_FOUND) when the repository is being deleted.
 */
int registry_manifest_put(struct registry *r, struct gt_str repo, const struct registry_put *put,
                          struct oci_digest *ret_digest, struct oci_digest *ret_missing,
                          struct gt_err *err);

/* By digest, or by tag when `digest` is NULL. -ENOENT. */
int registry_manifest_get(struct registry *r, struct gt_str repo, const struct oci_digest *digest,
                          struct gt_str tag, bool with_body, struct gt_arena *arena,
                          struct registry_manifest *ret, struct gt_err *err);
/* Up to `limit` manifests whose subject is `d` (it need not be there), or indexes that name it,
 * without their bodies, by digest, after `after` (NULL: from the start). */
int registry_referrers(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                       const struct oci_digest *after, size_t limit, struct gt_arena *arena,
                       struct registry_manifest **ret_v, size_t *ret_n, struct gt_err *err);
int registry_indexes_of(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                        size_t limit, struct gt_arena *arena, struct registry_manifest **ret_v,
                        size_t *ret_n, struct gt_err *err);
/* With its tags. -ENOENT; -EBUSY (GT_ERR_CONFLICT) while an index needs it. */
int registry_manifest_delete(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                             int64_t now_ms, struct gt_err *err);
/* The manifest stays, unless this was its last tag, `last_deletes` is set, and no index needs it.
 * -ENOENT. */
int registry_tag_delete(struct registry *r, struct gt_str repo, struct gt_str tag,
                        bool last_deletes, int64_t now_ms, struct oci_digest *ret_digest,
                        struct gt_err *err);

/* Up to `limit` tags after `after`, in the order of their bytes. */
int registry_tags(struct registry *r, struct gt_str repo, struct gt_str after, size_t limit,
                  struct gt_arena *arena, struct oci_str_list *ret, struct gt_err *err);
/* The tags of one manifest. */
int registry_tags_of(struct registry *r, struct gt_str repo, const struct oci_digest *d,
                     struct gt_arena *arena, struct oci_str_list *ret, struct gt_err *err);

enum registry_filter { REGISTRY_ANY, REGISTRY_TAGGED, REGISTRY_UNTAGGED };

/* Up to `limit` manifests without their bodies, by digest, after `after` (NULL: from the start). */
int registry_manifests(struct registry *r, struct gt_str repo, const struct oci_digest *after,
                       enum registry_filter filter, size_t limit, struct gt_arena *arena,
                       struct registry_manifest **ret_v, size_t *ret_n, struct gt_err *err);

/* -- repositories -- */

/* Nothing can be pushed to it from now on, until unseal or the end of the process.
 * -ENOTEMPTY (GT_ERR_CONFLICT) when `only_empty` and it has manifests. For deleting one: seal, let
 * the core forget it, drop. */
int registry_repo_seal(struct registry *r, struct gt_str repo, bool only_empty, struct gt_err *err);
void registry_repo_unseal(struct registry *r, struct gt_str repo);
/* Forgets its tags, manifests and links. */
int registry_repo_drop(struct registry *r, struct gt_str repo, struct gt_err *err);
/* Every repository that has or had something; for dropping those that the core does not know. */
int registry_repos(struct registry *r, struct gt_arena *arena, struct oci_str_list *ret,
                   struct gt_err *err);

/* Unlinks blobs that no manifest of their repository needs and nobody linked since `before_ms`,
 * then deletes blobs without a link, and expires uploads unused since then. Safe at any time when
 * `before_ms` is well in the past (an hour): longer ago than any push takes from a blob to its
 * manifest. Returns how many blobs went. */
int registry_collect(struct registry *r, int64_t before_ms, struct gt_err *err);

#endif
