/*
 * Inside node/image: the store's tables. Everything here is guarded by store.lock, which is never
 * held over network or over more than a small file's I/O.
 */
#ifndef GT_NODE_IMAGE_STORE_PRIV_H
#define GT_NODE_IMAGE_STORE_PRIV_H

#include "lib/base/table.h"
#include "lib/oci/digest.h"
#include "node/image/image.h"

#include <pthread.h>

#define LAYER_NAME_LEN 28

/* A layer that is there, or being fetched by someone. Keyed by the hex digits of its diff_id. */
struct layer {
    struct oci_digest diff_id;
    char name[LAYER_NAME_LEN + 1];
    /* Blobs that were seen to unpack to it. An image that pairs the diff_id with another blob has
     * to prove it by fetching that. */
    struct oci_digest *blobs;
    size_t n_blobs;
    uint64_t bytes, files;
    bool published;
    bool durable;   /* its files are on stable storage; else it counts until the next boot only */
    bool fetching;  /* someone has claimed it; store.changed tells of the end */
    unsigned users; /* records that consist of it, and pulls that count on it */
};

/* An image, keyed by the hex digits of its manifest's digest. */
struct record {
    struct oci_digest manifest, config;
    char *manifest_text, *config_text;
    struct layer **layers; /* lowest first */
    size_t n_layers;
    unsigned refs;  /* references that lead here */
    unsigned holds; /* struct image out there */
    int64_t used_ms;
};

/* What a name was resolved to, keyed by the name in full. */
struct ref {
    char *name;
    struct oci_digest digest, manifest; /* the same unless digest is an index's */
    struct record *record;
    int64_t resolved_ms;
};

struct image_store {
    struct image_store_options o; /* with texts of its own */
    char *worker, *local_blobs, *ca_file;
    char *dir, *layers_dir; /* absolute */
    int fd, layers_fd, images_fd, refs_fd, tmp_fd;
    uint64_t tmp_serial;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct gt_table layers, records, refs;
    char boot[40]; /* names this boot of the kernel */
    pthread_t syncer;
    pthread_cond_t published; /* a layer, for the syncer; or stop */
    bool has_syncer, stop;
    struct gt_table grants; /* by principal and repository; struct remote_grant */
    struct remote_pool *pool;
};

/* ---- files.c: the tables' files ---- */
int store_load(struct image_store *s, struct gt_err *err);
/* Writes tmp/<stem>.json, for the rename. */
int store_write_layer_file(struct image_store *s, const struct layer *l, const char *stem,
                           struct gt_err *err);
/* The same for a layer that is published already. */
int store_save_layer(struct image_store *s, const struct layer *l, struct gt_err *err);
int store_save_record(struct image_store *s, const struct record *rec, struct gt_err *err);
int store_save_ref(struct image_store *s, const struct ref *ref, struct gt_err *err);
void store_delete_record_files(struct image_store *s, const struct record *rec);
void store_delete_ref_file(struct image_store *s, const struct ref *ref);
void store_read_boot(struct image_store *s);
/* Moves what lies in layers/ and is no published layer into tmp/gone-*. Returns how many. */
int store_bury_strays(struct image_store *s);

/* ---- store.c ---- */
struct layer *store_layer(struct image_store *s,
                          const struct oci_digest *diff_id); /* finds, makes */
bool layer_has_blob(const struct layer *l, const struct oci_digest *blob);
void layer_add_blob(struct layer *l, const struct oci_digest *blob);
/* Parses manifest and configuration, checks that they belong together, takes the layers. */
int record_new(struct image_store *s, struct gt_str manifest, struct gt_str config,
               struct record **ret, struct gt_err *err);
void record_free(struct record *rec); /* gives the layers back */
struct record *store_record(struct image_store *s, const struct oci_digest *manifest);
void store_forget_grants(struct image_store *s);
bool record_complete(const struct record *rec);
/* Points `name` to the record; takes over nothing. */
int store_set_ref(struct image_store *s, const char *name, const struct oci_digest *digest,
                  struct record *rec, struct gt_err *err);
/* Removes from disk and table what nothing uses. Called with the lock, which it may let go of.
 * Returns how many layers went. */
int store_sweep(struct image_store *s);
struct oci_reference;
struct ref *store_find_ref(struct image_store *s, const struct oci_reference *r);

void store_clear_graves(struct image_store *s); /* removes tmp/gone-*; without the lock */

/* ---- sync.c: makes layers durable, in the background ---- */
void store_sync_start(struct image_store *s);
void store_sync_stop(struct image_store *s);

/* ---- view.c ---- */
/* With the lock: a new struct image that holds `rec`. */
int image_view(struct image_store *s, struct record *rec, const struct ref *ref,
               const char *reference, struct image **ret, struct gt_err *err);
void record_touch(struct image_store *s, struct record *rec); /* it was used now */

#endif
