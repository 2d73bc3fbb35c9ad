#include "node/image/store_priv.h"

#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/oci/manifest.h"
#include "lib/oci/reference.h"
#include "node/image/remote.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD_ARENA (32 * GT_MIB)

/* ---- layers ---- */

struct layer *store_layer(struct image_store *s, const struct oci_digest *diff_id)
{
    char hex[OCI_DIGEST_HEX + 1];
    oci_digest_hex(diff_id, hex);
    struct layer *l = gt_table_get(&s->layers, gt_str(hex));
    if (!l) {
        l = gt_new(struct layer);
        l->diff_id = *diff_id;
        memcpy(l->name, hex, LAYER_NAME_LEN);
        gt_table_put(&s->layers, gt_str(hex), l);
    }
    return l;
}

bool layer_has_blob(const struct layer *l, const struct oci_digest *blob)
{
    for (size_t i = 0; i < l->n_blobs; i++) {
        if (oci_digest_eq(&l->blobs[i], blob)) {
            return true;
        }
    }
    return false;
}

void layer_add_blob(struct layer *l, const struct oci_digest *blob)
{
    if (!layer_has_blob(l, blob)) {
        l->blobs = gt_realloc(l->blobs, (l->n_blobs + 1) * sizeof(*l->blobs));
        l->blobs[l->n_blobs++] = *blob;
    }
}

static void layer_free(struct layer *l)
{
    free(l->blobs);
    free(l);
}

/* ---- records ---- */

int record_new(struct image_store *s, struct gt_str manifest, struct gt_str config,
               struct record **ret, struct gt_err *err)
{
    struct gt_arena arena;
    gt_arena_init(&arena, RECORD_ARENA);
    struct oci_manifest m;
    struct oci_image_config c;
    struct oci_digest config_digest;
    int r = oci_manifest_parse(manifest, (struct gt_str){0}, &arena, &m, err);
    if (r == 0) {
        r = oci_image_config_parse(config, &arena, &c, err);
    }
    oci_digest_of(config.p, config.n, &config_digest);
    if (r == 0 && (m.is_index || !oci_digest_eq(&config_digest, &m.config.digest))) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "image configuration is not the manifest's");
    } else if (r == 0 && m.layers.n != c.n_diff_ids) {
        r = gt_err_set(err, GT_ERR_CORRUPT, "manifest has %zu layers, configuration %zu",
                       m.layers.n, c.n_diff_ids);
    } else if (r == 0 && m.layers.n > GT_LIMIT_LAYERS) {
        r = gt_err_set(err, GT_ERR_LIMIT, "image has %zu layers, more than %d", m.layers.n,
                       GT_LIMIT_LAYERS);
    }
    if (r == 0) {
        struct record *rec = gt_new(struct record);
        oci_digest_of(manifest.p, manifest.n, &rec->manifest);
        rec->config = config_digest;
        rec->manifest_text = gt_strndup(manifest.p, manifest.n);
        rec->config_text = gt_strndup(config.p, config.n);
        rec->n_layers = m.layers.n;
        rec->layers = gt_new_array(struct layer *, m.layers.n + 1);
        for (size_t i = 0; i < m.layers.n; i++) {
            rec->layers[i] = store_layer(s, &c.diff_ids[i]);
            rec->layers[i]->users++;
        }
        *ret = rec;
    }
    gt_arena_fini(&arena);
    return r;
}

void record_free(struct record *rec)
{
    for (size_t i = 0; i < rec->n_layers; i++) {
        rec->layers[i]->users--;
    }
    free(rec->layers);
    free(rec->manifest_text);
    free(rec->config_text);
    free(rec);
}

struct record *store_record(struct image_store *s, const struct oci_digest *manifest)
{
    char hex[OCI_DIGEST_HEX + 1];
    return gt_table_get(&s->records, gt_str(oci_digest_hex(manifest, hex)));
}

bool record_complete(const struct record *rec)
{
    for (size_t i = 0; i < rec->n_layers; i++) {
        if (!rec->layers[i]->published) {
            return false;
        }
    }
    return true;
}

/* ---- references ---- */

static void ref_free(struct ref *ref)
{
    free(ref->name);
    free(ref);
}

int store_set_ref(struct image_store *s, const char *name, const struct oci_digest *digest,
                  struct record *rec, struct gt_err *err)
{
    struct ref *ref = gt_table_get(&s->refs, gt_str(name));
    if (ref && ref->record == rec && oci_digest_eq(&ref->digest, digest)) {
        ref->resolved_ms = gt_clock_real_ms(); /* nothing that a restart should remember */
        return 0;
    }
    ref = gt_new(struct ref);
    ref->name = gt_strdup(name);
    ref->digest = *digest;
    ref->manifest = rec->manifest;
    ref->record = rec;
    ref->resolved_ms = gt_clock_real_ms();
    int r = store_save_ref(s, ref, err);
    if (r < 0) {
        ref_free(ref);
        return r;
    }
    rec->refs++;
    struct ref *old = gt_table_put(&s->refs, gt_str(name), ref);
    if (old) {
        old->record->refs--;
        ref_free(old);
    }
    return 0;
}

/* ---- what nothing uses ---- */

/* Takes the layer out of the way under the lock; its tree is removed without it. */
static void bury(struct image_store *s, const struct layer *l)
{
    char to[64], json[LAYER_NAME_LEN + 8];
    snprintf(to, sizeof(to), "gone-%llu", (unsigned long long)s->tmp_serial++);
    snprintf(json, sizeof(json), "%s.json", l->name);
    if (renameat(s->layers_fd, l->name, s->tmp_fd, to) == 0) {
        unlinkat(s->layers_fd, json, 0);
    }
}

void store_clear_graves(struct image_store *s)
{
    int fd = openat(s->tmp_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        gt_closep(&fd);
        return;
    }
    struct dirent *e;
    while ((e = readdir(dir))) {
        if (strncmp(e->d_name, "gone-", 5) == 0) {
            gt_remove_tree(s->tmp_fd, e->d_name, NULL);
        }
    }
    closedir(dir);
}

int store_sweep(struct image_store *s)
{
    int gone = 0;
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->records, &it));) {
        struct record *rec = e->value;
        if (rec->refs == 0 && rec->holds == 0) {
            store_delete_record_files(s, rec);
            gt_table_del(&s->records, gt_str_n(e->key, e->key_len));
            record_free(rec);
        }
    }
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->layers, &it));) {
        struct layer *l = e->value;
        if (l->users > 0 || l->fetching) {
            continue;
        }
        if (l->published) {
            bury(s, l);
            gone++;
        }
        gt_table_del(&s->layers, gt_str_n(e->key, e->key_len));
        layer_free(l);
    }
    if (gone > 0) {
        pthread_mutex_unlock(&s->lock);
        store_clear_graves(s);
        pthread_mutex_lock(&s->lock);
    }
    return gone;
}

/* ---- open and close ---- */

static char *worker_beside_us(void)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n < 0 ? 0 : n] = '\0';
    char *slash = strrchr(self, '/');
    return gt_asprintf("%.*s/gantry-unpack", slash ? (int)(slash - self) : 1, slash ? self : ".");
}

static int open_folder(struct image_store *s, const char *name, int *ret_fd, struct gt_err *err)
{
    if (mkdirat(s->fd, name, 0700) < 0 && errno != EEXIST) {
        return gt_err_errno(err, errno, "make '%s/%s'", s->dir, name);
    }
    *ret_fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return *ret_fd < 0 ? gt_err_errno(err, errno, "open '%s/%s'", s->dir, name) : 0;
}

static int open_folders(struct image_store *s, const char *dir, struct gt_err *err)
{
    int r = gt_mkdirs(dir, 0700, err);
    if (r < 0) {
        return r;
    }
    s->dir = realpath(dir, NULL);
    s->fd = s->dir ? open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (s->fd < 0) {
        return gt_err_errno(err, errno, "open '%s'", dir);
    }
    if (flock(s->fd, LOCK_EX | LOCK_NB) < 0) {
        return gt_err_set(err, GT_ERR_CONFLICT, "image store '%s' is in use by another process",
                          dir);
    }
    /* set-id programs of images are nobody's but the containers' */
    fchmod(s->fd, 0700);
    s->layers_dir = gt_asprintf("%s/layers", s->dir);
    gt_remove_tree(s->fd, "tmp", NULL);
    const struct {
        const char *name;
        int *fd;
    } folders[] = {{"layers", &s->layers_fd},
                   {"images", &s->images_fd},
                   {"refs", &s->refs_fd},
                   {"tmp", &s->tmp_fd}};
    for (size_t i = 0; i < GT_ARRAY_LEN(folders); i++) {
        r = open_folder(s, folders[i].name, folders[i].fd, err);
        if (r < 0) {
            return r;
        }
    }
    store_read_boot(s);
    r = store_load(s, err);
    if (r == 0) {
        store_bury_strays(s);
    }
    return r;
}

int image_store_open(const struct image_store_options *options, struct image_store **ret_store,
                     struct gt_err *err)
{
    gt_auto(image_store) struct image_store *s = gt_new(struct image_store);
    s->fd = s->layers_fd = s->images_fd = s->refs_fd = s->tmp_fd = -1;
    s->o = *options;
    s->o.parallel = options->parallel ? options->parallel : 4;
    s->o.retries = options->retries ? options->retries : 4;
    s->o.timeout_ms = options->timeout_ms ? options->timeout_ms : 30000;
    s->worker = options->worker ? gt_strdup(options->worker) : worker_beside_us();
    s->local_blobs = options->local_blobs ? gt_strdup(options->local_blobs) : NULL;
    s->ca_file = options->ca_file ? gt_strdup(options->ca_file) : NULL;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    pthread_cond_init(&s->published, NULL);
    gt_table_init(&s->layers);
    gt_table_init(&s->records);
    gt_table_init(&s->refs);
    gt_table_init(&s->grants);
    s->pool = remote_pool_new();
    int r = open_folders(s, options->dir, err);
    if (r < 0) {
        return r;
    }
    store_sync_start(s);
    *ret_store = gt_steal_ptr(s);
    return 0;
}

void store_forget_grants(struct image_store *s)
{
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->grants, &it));) {
        remote_grant_free(e->value);
        gt_table_del(&s->grants, gt_str_n(e->key, e->key_len));
    }
}

void image_store_close(struct image_store *s)
{
    if (!s) {
        return;
    }
    store_sync_stop(s);
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->refs, &it));) {
        ref_free(e->value);
    }
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->records, &it));) {
        struct record *rec = e->value;
        GT_ASSERT(rec->holds == 0);
        record_free(rec);
    }
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->layers, &it));) {
        layer_free(e->value);
    }
    store_forget_grants(s);
    gt_table_fini(&s->grants);
    remote_pool_free(s->pool);
    gt_table_fini(&s->refs);
    gt_table_fini(&s->records);
    gt_table_fini(&s->layers);
    pthread_cond_destroy(&s->changed);
    pthread_cond_destroy(&s->published);
    pthread_mutex_destroy(&s->lock);
    int *fds[] = {&s->tmp_fd, &s->refs_fd, &s->images_fd, &s->layers_fd, &s->fd};
    for (size_t i = 0; i < GT_ARRAY_LEN(fds); i++) {
        gt_closep(fds[i]);
    }
    free(s->worker);
    free(s->local_blobs);
    free(s->ca_file);
    free(s->layers_dir);
    free(s->dir);
    free(s);
}

/* ---- questions ---- */

/* Of several references to an image the one that sorts first, so that answers repeat. */
static struct ref *ref_to(struct image_store *s, const struct record *rec)
{
    struct ref *best = NULL;
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->refs, &it));) {
        struct ref *ref = e->value;
        if (ref->record == rec && (!best || strcmp(ref->name, best->name) < 0)) {
            best = ref;
        }
    }
    return best;
}

static struct record *record_by_digest(struct image_store *s, const struct oci_digest *d)
{
    struct record *rec = store_record(s, d);
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; !rec && (e = gt_table_next(&s->refs, &it));) {
        struct ref *ref = e->value;
        rec = oci_digest_eq(&ref->digest, d) ? ref->record : NULL;
    }
    for (struct gt_table_iter it = {0}; !rec && (e = gt_table_next(&s->records, &it));) {
        struct record *one = e->value;
        rec = oci_digest_eq(&one->config, d) ? one : NULL;
    }
    return rec;
}

struct ref *store_find_ref(struct image_store *s, const struct oci_reference *r)
{
    gt_auto_free char *repo =
        gt_asprintf(GT_STR_FMT "/" GT_STR_FMT, GT_STR_ARG(r->host), GT_STR_ARG(r->repository));
    if (!r->has_digest) {
        gt_auto_free char *name = gt_asprintf("%s:" GT_STR_FMT, repo, GT_STR_ARG(r->tag));
        return gt_table_get(&s->refs, gt_str(name));
    }
    /* By digest: any reference of this repository that led there. */
    size_t n = strlen(repo);
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->refs, &it));) {
        struct ref *ref = e->value;
        bool ours =
            strncmp(ref->name, repo, n) == 0 && (ref->name[n] == ':' || ref->name[n] == '@');
        if (ours && (oci_digest_eq(&ref->digest, &r->digest) ||
                     oci_digest_eq(&ref->manifest, &r->digest))) {
            return ref;
        }
    }
    return NULL;
}

/* What `text` names: a digest alone, or a reference. */
static int lookup(struct image_store *s, const char *text, struct ref **ret_ref,
                  struct record **ret_rec, struct gt_err *err)
{
    struct oci_digest d;
    *ret_ref = NULL;
    *ret_rec = NULL;
    if (strncmp(text, "sha256:", 7) == 0 && oci_digest_parse(gt_str(text), &d, NULL) == 0) {
        *ret_rec = record_by_digest(s, &d);
        *ret_ref = *ret_rec ? ref_to(s, *ret_rec) : NULL;
    } else {
        struct gt_arena arena;
        struct oci_reference ref;
        gt_arena_init(&arena, GT_MIB);
        int r = oci_reference_parse(gt_str(text), &ref, err);
        if (r == 0) {
            oci_reference_default(&ref, &arena);
            *ret_ref = store_find_ref(s, &ref);
            *ret_rec = *ret_ref ? (*ret_ref)->record : NULL;
        }
        gt_arena_fini(&arena);
        if (r < 0) {
            return r;
        }
    }
    return *ret_rec ? 0 : gt_err_set(err, GT_ERR_NOT_FOUND, "no image '%s' is here", text);
}

int image_find(struct image_store *s, const char *reference, struct image **ret_image,
               struct gt_err *err)
{
    struct ref *ref;
    struct record *rec;
    pthread_mutex_lock(&s->lock);
    int r = lookup(s, reference, &ref, &rec, err);
    if (r == 0) {
        record_touch(s, rec);
        r = image_view(s, rec, ref, reference, ret_image, err);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

bool image_here(struct image_store *s, const char *reference)
{
    struct ref *ref;
    struct record *rec;
    if (pthread_mutex_trylock(&s->lock) != 0) {
        return false;
    }
    int r = lookup(s, reference, &ref, &rec, NULL);
    pthread_mutex_unlock(&s->lock);
    return r == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(struct image *const *)a)->name, (*(struct image *const *)b)->name);
}

int image_list(struct image_store *s, struct image ***ret_images, size_t *ret_n, struct gt_err *err)
{
    pthread_mutex_lock(&s->lock);
    struct image **v = gt_new_array(struct image *, s->refs.count + 1);
    size_t n = 0;
    int r = 0;
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; r == 0 && (e = gt_table_next(&s->refs, &it));) {
        struct ref *ref = e->value;
        r = image_view(s, ref->record, ref, ref->name, &v[n], err);
        n += r == 0;
    }
    pthread_mutex_unlock(&s->lock);
    if (r < 0) {
        for (size_t i = 0; i < n; i++) {
            image_unref(v[i]);
        }
        free(v);
        return r;
    }
    qsort(v, n, sizeof(struct image *), by_name);
    *ret_images = v;
    *ret_n = n;
    return 0;
}

static void drop_ref(struct image_store *s, struct ref *ref)
{
    store_delete_ref_file(s, ref);
    gt_table_del(&s->refs, gt_str(ref->name));
    ref->record->refs--;
    ref_free(ref);
}

int image_remove(struct image_store *s, const char *reference, struct gt_err *err)
{
    struct ref *ref;
    struct record *rec;
    pthread_mutex_lock(&s->lock);
    int r = lookup(s, reference, &ref, &rec, err);
    bool all = strncmp(reference, "sha256:", 7) == 0;
    if (r == 0 && rec->holds > 0 && (all || rec->refs == 1)) {
        r = gt_err_set(err, GT_ERR_CONFLICT, "image '%s' is in use", reference);
    }
    if (r == 0) {
        do {
            drop_ref(s, ref);
        } while (all && (ref = ref_to(s, rec)));
        store_sweep(s);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

int image_prune(struct image_store *s, struct gt_err *err)
{
    (void)err;
    pthread_mutex_lock(&s->lock);
    int strays = store_bury_strays(s);
    int n = store_sweep(s);
    pthread_mutex_unlock(&s->lock);
    store_clear_graves(s);
    return n + strays;
}
