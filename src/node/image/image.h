/*
 * The image store of a node: pulls images from Gantry's registry or any OCI or Docker registry,
 * lays each layer down once, and keeps what runs from being deleted.
 *
 * A pull resolves the reference to a manifest (an index gives the one for this platform), fetches
 * manifest and configuration, and then all missing layers at the same time. The bytes of a layer
 * are hashed here as they arrive and go straight to a sandboxed worker (gantry-unpack) that
 * inflates, hashes and unpacks them; no compressed blob is stored. A layer is published by rename
 * only when the digest of the manifest and the diff_id of the configuration both hold. Its files
 * reach stable storage soon afterwards; a loss of power before that makes it another pull. Layers
 * are shared by diff_id; two pulls that want one layer at the same time fetch it once.
 *
 * On disk, under options.dir (mode 0700, owned by this store alone, locked while open):
 *   layers/<28 hex digits of diff_id>      the files of a layer, whiteouts as overlayfs has them
 *   layers/<28 hex digits of diff_id>.json its full diff_id, the blobs it came from, its size;
 * until it is durable also the boot of the kernel it belongs to images/<64 hex digits>.manifest the
 * manifest, byte for byte; .config beside it refs/<64 hex digits>.json              what a
 * reference was resolved to, and when tmp/                                   what is being pulled;
 * emptied when the store is opened
 *
 * Every function may be called from any thread at any time. Errors of image_pull() are worded as
 * ECS shows them: err.msg begins with "CannotPullContainerError: ".
 */
#ifndef GT_NODE_IMAGE_IMAGE_H
#define GT_NODE_IMAGE_IMAGE_H

#include "lib/base/err.h"
#include "lib/base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_store;

struct image_store_options {
    const char *dir;         /* made when missing */
    const char *worker;      /* gantry-unpack; NULL: the one beside this executable */
    const char *local_blobs; /* folder of the blob store of a Gantry server on this machine: a
                                layer that is there is read from the file (<dir>/sha256/ab/<hex>),
                                its digest checked all the same; NULL: none */
    const char *ca_file;     /* PEM file of further trusted authorities; NULL: the system's */
    unsigned parallel;       /* layers at a time for each pull; 0: 4 */
    unsigned retries;        /* attempts after the first for what may pass by itself; 0: 4 */
    unsigned timeout_ms;     /* longest time without (nearly) a byte; 0: 30000 */
};

/* -EBUSY when another process has the store open. */
int image_store_open(const struct image_store_options *options, struct image_store **ret_store,
                     struct gt_err *err);
/* No pull may be under way and every image must have been unref'd. NULL is allowed. */
void image_store_close(struct image_store *s);
GT_DEFINE_AUTO(image_store, struct image_store *, image_store_close)

/*
 * An image whose layers are all there. Immutable. While a reference is held, neither the image
 * nor a layer of it can be removed; the agent holds one for each container that runs from it, and
 * takes them again with image_find() when it comes back, before anything may be removed.
 */
struct image {
    char *reference;       /* as asked for */
    char *name;            /* in full: host/repository:tag or host/repository@digest */
    char *digest;          /* what the reference was resolved to: a manifest or an index */
    char *manifest_digest; /* the manifest of this platform; often the same */
    char *config_digest;   /* docker's image id */

    /* Lists end with NULL and are never NULL themselves. "" or an empty list: not given. */
    char **entrypoint, **cmd, **env;
    char *user, *workdir, *stop_signal;
    char **exposed_ports; /* "80/tcp" */
    char **volumes;       /* paths in the container */
    char **labels;        /* "key=value" */
    char **healthcheck;   /* {"NONE"}, {"CMD", ...} or {"CMD-SHELL", ...} */
    int64_t health_interval_ms, health_timeout_ms, health_start_period_ms;
    int health_retries;
    char *os, *architecture;

    /* For overlayfs: the topmost layer first, as lowerdir wants them. All are children of one
     * folder (layers_dir) with names of at most 28 bytes, so that 127 of them, relative to it,
     * fit the page that mount(2) takes. */
    char *layers_dir;
    char **layer_dirs;  /* absolute */
    char **layer_names; /* relative to layers_dir */
    size_t n_layers;

    uint64_t size;        /* bytes of the unpacked layers together */
    int64_t pulled_ms;    /* since 1970 */
    int64_t last_used_ms; /* when last pulled or found */
};

struct image *image_ref(struct image *im);
void image_unref(struct image *im); /* NULL is allowed */
GT_DEFINE_AUTO(image, struct image *, image_unref)

struct image_credentials {
    char username[256];
    char password[8192]; /* an ECR token is about 2 kB */
};

enum image_progress_stage {
    IMAGE_RESOLVED,       /* digest is the manifest's */
    IMAGE_LAYER_WAITING,  /* another pull fetches it */
    IMAGE_LAYER_FETCHING, /* done of total compressed bytes */
    IMAGE_LAYER_DONE,     /* published; fetched now, or (total 0) there before */
};

struct image_progress {
    enum image_progress_stage stage;
    const char *digest;
    uint64_t done, total;
    size_t layer, n_layers; /* layer counts from 0, lowest first */
};

struct image_pull_options {
    const char *reference; /* "nginx", "localhost:4566/web:1", "host/repo@sha256:..." */
    /* Asked once a registry wants to know who is there; `host` is "name[:port]". Returns 0, or
     * -ENOENT to go on anonymously. Called on the pulling thread. NULL: always anonymous. */
    int (*credentials)(void *arg, const char *host, struct image_credentials *to);
    /* Calls never overlap; may come from other threads than the caller's, about ten a second. */
    void (*progress)(void *arg, const struct image_progress *p);
    void *arg; /* for both */
    /* Who asks: pulls with the same text share what a registry granted (tokens, credentials), so
     * that asking it again takes one exchange on a kept connection. NULL: nothing is shared. */
    const char *principal;
    /* Resolve a tag again even when it was resolved before. A digest that is here never asks. */
    bool always;
    /* Plain HTTP for a registry that is not loopback (loopback hosts always try it). */
    bool plain_http;
    const char *os, *architecture, *variant; /* NULL: this machine's */
    atomic_bool *cancel;                     /* set by another thread: gives up soon; may be NULL */
};

/*
 * Blocks until the image is there, or gives up. The image belongs to the caller.
 *
 * kind of err: NOT_FOUND (no such repository, tag, manifest or layer), DENIED (the registry wants
 * other credentials), CORRUPT (digest, size or archive is not what it says), LIMIT (a cap of
 * limits.h), UNAVAILABLE (registry cannot be reached or breaks off), INVALID (reference), INTERNAL
 * and others with sys_errno (full disk).
 */
int image_pull(struct image_store *s, const struct image_pull_options *options,
               struct image **ret_image, struct gt_err *err);

/* An image that is here, by digest ("host/repo@sha256:..." or "sha256:..."), by image id, or by a
 * tag as it was resolved last; no network. -ENOENT when it is not here or not complete. */
int image_find(struct image_store *s, const char *reference, struct image **ret_image,
               struct gt_err *err);

/* Whether the reference leads to something here, for who must not block: false as well when the
 * store is busy at this moment. */
bool image_here(struct image_store *s, const char *reference);

/* Every reference that is here, sorted by name; an image with two tags comes twice. The caller
 * unrefs each and frees the array. */
int image_list(struct image_store *s, struct image ***ret_images, size_t *ret_n,
               struct gt_err *err);

/* Forgets a reference; with its last one the image goes, and with the last image each layer.
 * -EBUSY while the image is held. A digest ("sha256:...") or id forgets all references to it. */
int image_remove(struct image_store *s, const char *reference, struct gt_err *err);

/* Removes layers and images that no reference leads to (left behind by a crash). Returns how many
 * layers went, or a negative errno. */
int image_prune(struct image_store *s, struct gt_err *err);

#endif
