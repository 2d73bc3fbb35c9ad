/*
 * A pull, step by step: what is here already; what the reference means there; the layers; the
 * record. Layers are claimed in the store's table before they are fetched. A pull finishes and
 * publishes every layer that it has claimed before it waits for one that another pull has: so no
 * two wait for each other.
 */
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/oci/manifest.h"
#include "lib/oci/reference.h"
#include "node/image/layer_fetch.h"
#include "node/image/remote.h"
#include "node/image/store_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define INDEX_DEPTH_MAX 4
#define PROGRESS_MS 100
#define GRANTS_MAX 64 /* of 9 kB */
#define PULL_ARENA (64 * GT_MIB)

struct pull {
    struct image_store *store;
    const struct image_pull_options *o;
    struct remote *remote;
    struct gt_arena arena;
    struct oci_reference ref;
    char *name;                 /* host/repository:tag or @digest */
    struct oci_digest resolved; /* of what the reference names */
    struct gt_buf manifest, config;
    struct oci_manifest m;
    struct record *record; /* not in the table yet; holds the layers */
    pthread_mutex_t progress_lock;
};

/* One claimed layer and what became of it. */
struct claim {
    struct pull *pull;
    size_t index; /* in the manifest */
    struct layer *layer;
    char stem[32];
    bool fetched;
    struct unpacker_result result;
    int64_t told_ms;
};

/* Claims of one round, taken by threads one after another. */
struct round {
    struct pull *pull;
    struct claim *claims;
    size_t n;
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock;
    int result; /* of the first that did not succeed, with err */
    struct gt_err err;
};

static void tell(struct pull *p, enum image_progress_stage stage, const struct oci_digest *digest,
                 size_t layer, uint64_t done, uint64_t total)
{
    if (!p->o->progress) {
        return;
    }
    char text[OCI_DIGEST_TEXT + 1];
    struct image_progress step = {
        .stage = stage,
        .digest = oci_digest_text(digest, text),
        .done = done,
        .total = total,
        .layer = layer,
        .n_layers = p->m.layers.n,
    };
    pthread_mutex_lock(&p->progress_lock);
    p->o->progress(p->o->arg, &step);
    pthread_mutex_unlock(&p->progress_lock);
}

/* ---- manifest and configuration ---- */

static int fetch_manifest(struct pull *p, const char *what, const struct oci_digest *want,
                          struct oci_digest *ret_digest, struct gt_err *err)
{
    gt_auto_buf struct gt_buf type = GT_BUF_INIT(256);
    gt_buf_reset(&p->manifest);
    int r = remote_manifest(p->remote, what, &p->manifest, &type, err);
    if (r < 0) {
        return r;
    }
    oci_digest_of(p->manifest.p ? p->manifest.p : "", p->manifest.n, ret_digest);
    if (want && !oci_digest_eq(want, ret_digest)) {
        char got[OCI_DIGEST_TEXT + 1];
        return gt_err_set(err, GT_ERR_CORRUPT, "manifest %s has digest %s", what,
                          oci_digest_text(ret_digest, got));
    }
    r = oci_manifest_parse(gt_buf_view(&p->manifest), gt_buf_view(&type), &p->arena, &p->m, err);
    return r < 0 ? gt_err_wrap(err, "image %s", p->name) : 0;
}

/* From the reference to the manifest of this platform, through indexes. */
static int resolve(struct pull *p, struct gt_err *err)
{
    const char *os = p->o->os ? p->o->os : "linux";
    const char *arch = p->o->architecture ? p->o->architecture : oci_host_architecture();
    char text[OCI_DIGEST_TEXT + 1];
    struct oci_digest at;
    int r = p->ref.has_digest
                ? fetch_manifest(p, oci_digest_text(&p->ref.digest, text), &p->ref.digest, &at, err)
                : fetch_manifest(p, gt_arena_str(&p->arena, p->ref.tag), NULL, &at, err);
    p->resolved = at;
    for (int depth = 0; r == 0 && p->m.is_index; depth++) {
        const struct oci_descriptor *d =
            oci_index_pick(&p->m, os, arch, p->o->variant ? p->o->variant : "");
        if (!d || depth == INDEX_DEPTH_MAX) {
            return gt_err_set(err, GT_ERR_NOT_FOUND,
                              "image manifest does not contain descriptor matching platform "
                              "'%s/%s'",
                              os, arch);
        }
        struct oci_digest next = d->digest;
        r = fetch_manifest(p, oci_digest_text(&next, text), &next, &at, err);
    }
    return r;
}

struct config_sink {
    struct gt_buf *to;
};

static int take_config(void *arg, const void *data, size_t n, struct gt_err *err)
{
    struct config_sink *c = arg;
    gt_buf_add(c->to, data, n);
    return gt_buf_ok(c->to) ? 0 : gt_err_set(err, GT_ERR_LIMIT, "image configuration is too large");
}

static int read_local(struct pull *p, const struct oci_descriptor *d)
{
    gt_auto_close int fd = local_blob_open(p->store->local_blobs, &d->digest, d->size);
    if (fd < 0) {
        return fd;
    }
    char *to = gt_buf_reserve(&p->config, (size_t)d->size);
    if (!to || gt_read_full(fd, to, (size_t)d->size) != d->size) {
        return -EIO;
    }
    p->config.n += (size_t)d->size;
    return 0;
}

static int fetch_config(struct pull *p, struct gt_err *err)
{
    const struct oci_descriptor *d = &p->m.config;
    char text[OCI_DIGEST_TEXT + 1];
    if ((uint64_t)d->size > GT_LIMIT_IMAGE_CONFIG) {
        return gt_err_set(err, GT_ERR_LIMIT, "image configuration of %lld bytes is too large",
                          (long long)d->size);
    }
    int r = read_local(p, d);
    if (r < 0) {
        struct config_sink sink = {&p->config};
        gt_buf_reset(&p->config);
        r = remote_blob(p->remote, oci_digest_text(&d->digest, text), (uint64_t)d->size,
                        take_config, &sink, err);
    }
    return r < 0 ? gt_err_wrap(err, "image configuration") : 0;
}

/* ---- layers ---- */

static void on_fetched(void *arg, uint64_t done)
{
    struct claim *c = arg;
    const struct oci_descriptor *d = &c->pull->m.layers.v[c->index];
    int64_t now = gt_clock_mono_ms();
    if (now - c->told_ms >= PROGRESS_MS) {
        c->told_ms = now;
        tell(c->pull, IMAGE_LAYER_FETCHING, &d->digest, c->index, done, (uint64_t)d->size);
    }
}

static int run_claim(struct round *round, struct claim *c, struct gt_err *err)
{
    struct pull *p = c->pull;
    if (p->o->cancel && atomic_load(p->o->cancel)) {
        gt_err_set(err, GT_ERR_CONFLICT, "cancelled");
        return -ECANCELED;
    }
    struct layer_fetch f = {
        .remote = p->remote,
        .worker = p->store->worker,
        .local_blobs = p->store->local_blobs,
        .tmp = p->store->tmp_fd,
        .stem = c->stem,
        .blob = &p->m.layers.v[c->index],
        .diff_id = &c->layer->diff_id,
        .stop = &round->stop,
        .progress = on_fetched,
        .arg = c,
    };
    int r = layer_fetch(&f, err);
    if (r == 0) {
        c->result = f.result;
        c->fetched = true;
    }
    return r;
}

static void *round_thread(void *arg)
{
    struct round *round = arg;
    size_t i;
    while (!atomic_load(&round->stop) && (i = atomic_fetch_add(&round->next, 1)) < round->n) {
        struct gt_err err = GT_ERR_INIT;
        int r = run_claim(round, &round->claims[i], &err);
        if (r < 0) {
            pthread_mutex_lock(&round->lock);
            if (round->result == 0) {
                round->result = r;
                round->err = err;
            }
            pthread_mutex_unlock(&round->lock);
            atomic_store(&round->stop, true);
        }
    }
    return NULL;
}

/* With the store's lock. */
static int publish_one(struct image_store *s, struct claim *c, const struct oci_digest *blob,
                       struct gt_err *err)
{
    struct layer *l = c->layer;
    char json[64], tmp_json[64];
    layer_add_blob(l, blob);
    if (l->published) {
        return store_save_layer(s, l, err); /* it was fetched to prove one more blob */
    }
    snprintf(tmp_json, sizeof(tmp_json), "%s.json", c->stem);
    snprintf(json, sizeof(json), "%s.json", l->name);
    if (renameat(s->tmp_fd, tmp_json, s->layers_fd, json) < 0 ||
        renameat(s->tmp_fd, c->stem, s->layers_fd, l->name) < 0) {
        return gt_err_errno(err, errno, "publish layer '%s'", l->name);
    }
    l->published = true;
    l->durable = false;
    return 0;
}

static int publish(struct round *round, struct gt_err *err)
{
    struct image_store *s = round->pull->store;
    size_t fetched = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < round->n; i++) {
        struct claim *c = &round->claims[i];
        if (!c->fetched) {
            continue;
        }
        fetched++;
        struct oci_digest blob = round->pull->m.layers.v[c->index].digest;
        struct layer l = {
            .diff_id = c->layer->diff_id, /* never changes; the rest is the lock's */
            .blobs = &blob,
            .n_blobs = 1,
            .bytes = c->result.bytes,
            .files = c->result.files,
        };
        r = store_write_layer_file(s, &l, c->stem, err);
    }
    if (r < 0 || fetched == 0) {
        return r;
    }
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; r == 0 && i < round->n; i++) {
        struct claim *c = &round->claims[i];
        if (c->fetched) {
            c->layer->bytes = c->result.bytes;
            c->layer->files = c->result.files;
            r = publish_one(s, c, &round->pull->m.layers.v[c->index].digest, err);
        }
    }
    pthread_cond_signal(&s->published);
    pthread_mutex_unlock(&s->lock);
    return r;
}

/* Nobody may wait for these claims any longer, whatever became of them. */
static void release(struct round *round)
{
    struct pull *p = round->pull;
    struct image_store *s = p->store;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < round->n; i++) {
        round->claims[i].layer->fetching = false;
    }
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < round->n; i++) {
        struct claim *c = &round->claims[i];
        gt_auto_free char *json = gt_asprintf("%s.json", c->stem);
        gt_remove_tree(s->tmp_fd, c->stem, NULL); /* what was published is not there any more */
        unlinkat(s->tmp_fd, json, 0);
        if (c->fetched) {
            const struct oci_descriptor *d = &p->m.layers.v[c->index];
            tell(p, IMAGE_LAYER_DONE, &d->digest, c->index, (uint64_t)d->size, (uint64_t)d->size);
        }
    }
}

static int run_round(struct pull *p, struct claim *claims, size_t n, struct gt_err *err)
{
    struct round round = {.pull = p, .claims = claims, .n = n};
    pthread_mutex_init(&round.lock, NULL);
    pthread_t threads[64];
    size_t wanted = GT_MIN(n, GT_MIN((size_t)p->store->o.parallel, GT_ARRAY_LEN(threads)));
    size_t started = 0;
    while (started < wanted && pthread_create(&threads[started], NULL, round_thread, &round) == 0) {
        started++;
    }
    if (started == 0) {
        round_thread(&round);
    }
    for (size_t i = 0; i < started; i++) {
        pthread_join(threads[i], NULL);
    }
    struct gt_err publish_err = GT_ERR_INIT;
    int r = publish(&round, &publish_err);
    if (round.result < 0) {
        r = round.result;
        publish_err = round.err;
    }
    if (r < 0 && err) {
        *err = publish_err;
    }
    release(&round);
    pthread_mutex_destroy(&round.lock);
    return r;
}

static bool layer_wanted(const struct pull *p, size_t i)
{
    const struct layer *l = p->record->layers[i];
    return !l->published || !layer_has_blob(l, &p->m.layers.v[i].digest);
}

/* Claims what nobody fetches. Returns whether something is left that others do. */
static bool claim_layers(struct pull *p, struct claim *claims, size_t *ret_n)
{
    struct image_store *s = p->store;
    bool waiting = false;
    size_t n = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < p->record->n_layers; i++) {
        struct layer *l = p->record->layers[i];
        if (!layer_wanted(p, i)) {
            continue;
        }
        if (l->fetching) {
            waiting = true;
            continue;
        }
        l->fetching = true;
        claims[n] = (struct claim){.pull = p, .index = i, .layer = l};
        snprintf(claims[n].stem, sizeof(claims[n].stem), "%llu",
                 (unsigned long long)s->tmp_serial++);
        n++;
    }
    pthread_mutex_unlock(&s->lock);
    *ret_n = n;
    return waiting;
}

static int wait_for_others(struct pull *p, struct gt_err *err)
{
    struct image_store *s = p->store;
    if (p->o->cancel && atomic_load(p->o->cancel)) {
        gt_err_set(err, GT_ERR_CONFLICT, "cancelled");
        return -ECANCELED;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 200 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&s->lock);
    bool free_one = false;
    for (size_t i = 0; !free_one && i < p->record->n_layers; i++) {
        free_one = layer_wanted(p, i) && !p->record->layers[i]->fetching;
    }
    if (!free_one) {
        pthread_cond_timedwait(&s->changed, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static void tell_what_is_here(struct pull *p)
{
    for (size_t i = 0; i < p->record->n_layers; i++) {
        pthread_mutex_lock(&p->store->lock);
        bool wanted = layer_wanted(p, i), fetching = p->record->layers[i]->fetching;
        pthread_mutex_unlock(&p->store->lock);
        if (!wanted || fetching) {
            tell(p, wanted ? IMAGE_LAYER_WAITING : IMAGE_LAYER_DONE, &p->m.layers.v[i].digest, i, 0,
                 0);
        }
    }
}

static int fetch_layers(struct pull *p, struct gt_err *err)
{
    gt_auto_free struct claim *claims = gt_new_array(struct claim, p->record->n_layers + 1);
    tell_what_is_here(p);
    for (;;) {
        size_t n;
        bool waiting = claim_layers(p, claims, &n);
        if (n == 0 && !waiting) {
            return 0;
        }
        int r = n > 0 ? run_round(p, claims, n, err) : wait_for_others(p, err);
        if (r < 0) {
            return r;
        }
    }
}

/* ---- the whole ---- */

/* With the lock: the record goes into the table, unless another pull was quicker. */
static int keep_record(struct pull *p, struct record **ret, struct gt_err *err)
{
    struct image_store *s = p->store;
    struct record *there = store_record(s, &p->record->manifest);
    if (!there) {
        int r = store_save_record(s, p->record, err);
        if (r < 0) {
            return r;
        }
        char hex[OCI_DIGEST_HEX + 1];
        there = gt_steal_ptr(p->record);
        gt_table_put(&s->records, gt_str(oci_digest_hex(&there->manifest, hex)), there);
    }
    *ret = there;
    return 0;
}

/* With the lock: the reference leads to the record from now on. */
static int point(struct pull *p, struct record *rec, struct image **ret, struct gt_err *err)
{
    struct image_store *s = p->store;
    int r = store_set_ref(s, p->name, &p->resolved, rec, err);
    if (r == 0) {
        record_touch(s, rec);
        r = image_view(s, rec, gt_table_get(&s->refs, gt_str(p->name)), p->o->reference, ret, err);
    }
    return r;
}

static int conclude(struct pull *p, struct image **ret, struct gt_err *err)
{
    struct record *rec;
    pthread_mutex_lock(&p->store->lock);
    int r = keep_record(p, &rec, err);
    if (r == 0) {
        r = point(p, rec, ret, err);
    }
    pthread_mutex_unlock(&p->store->lock);
    return r;
}

/* The manifest was asked for, and is one that is here. */
static int conclude_known(struct pull *p, struct image **ret, struct gt_err *err)
{
    struct oci_digest manifest;
    oci_digest_of(p->manifest.p, p->manifest.n, &manifest);
    pthread_mutex_lock(&p->store->lock);
    struct record *rec = store_record(p->store, &manifest);
    int r = rec ? point(p, rec, ret, err) : -ENOENT;
    pthread_mutex_unlock(&p->store->lock);
    return r;
}

static int find_here(struct pull *p, struct image **ret, struct gt_err *err)
{
    struct image_store *s = p->store;
    if (p->o->always && !p->ref.has_digest) {
        return -ENOENT;
    }
    pthread_mutex_lock(&s->lock);
    struct ref *ref = store_find_ref(s, &p->ref);
    int r = -ENOENT;
    if (ref) {
        record_touch(s, ref->record);
        r = image_view(s, ref->record, ref, p->o->reference, ret, err);
    }
    pthread_mutex_unlock(&s->lock);
    return r;
}

static int make_record(struct pull *p, struct gt_err *err)
{
    int r = fetch_config(p, err);
    if (r < 0) {
        return r;
    }
    pthread_mutex_lock(&p->store->lock);
    r = record_new(p->store, gt_buf_view(&p->manifest), gt_buf_view(&p->config), &p->record, err);
    pthread_mutex_unlock(&p->store->lock);
    return r;
}

static int pull_remote(struct pull *p, struct image **ret, struct gt_err *err)
{
    int r = resolve(p, err);
    if (r < 0) {
        return r;
    }
    tell(p, IMAGE_RESOLVED, &p->resolved, 0, 0, 0);
    r = conclude_known(p, ret, err);
    if (r != -ENOENT) {
        return r;
    }
    r = make_record(p, err);
    if (r == 0) {
        r = fetch_layers(p, err);
    }
    return r < 0 ? r : conclude(p, ret, err);
}

static int parse_name(struct pull *p, struct gt_err *err)
{
    int r = oci_reference_parse(gt_str(p->o->reference), &p->ref, err);
    if (r < 0) {
        return r;
    }
    oci_reference_default(&p->ref, &p->arena);
    char text[OCI_DIGEST_TEXT + 1];
    const char *host = gt_arena_str(&p->arena, p->ref.host);
    const char *repo = gt_arena_str(&p->arena, p->ref.repository);
    p->name = p->ref.has_digest ? gt_arena_printf(&p->arena, "%s/%s@%s", host, repo,
                                                  oci_digest_text(&p->ref.digest, text))
                                : gt_arena_printf(&p->arena, "%s/%s:" GT_STR_FMT, host, repo,
                                                  GT_STR_ARG(p->ref.tag));
    return 0;
}

static void pull_fini(struct pull *p)
{
    if (p->record) {
        pthread_mutex_lock(&p->store->lock);
        record_free(p->record); /* layers that came stay, for the next attempt, until a sweep */
        pthread_mutex_unlock(&p->store->lock);
    }
    gt_buf_fini(&p->manifest);
    gt_buf_fini(&p->config);
    gt_arena_fini(&p->arena);
    pthread_mutex_destroy(&p->progress_lock);
}

/* A token is for one repository. */
static const char *grant_key(struct pull *p)
{
    return p->o->principal
               ? gt_arena_printf(&p->arena, "%s\n" GT_STR_FMT "/" GT_STR_FMT, p->o->principal,
                                 GT_STR_ARG(p->ref.host), GT_STR_ARG(p->ref.repository))
               : NULL;
}

static void keep_grant(struct pull *p, const char *key)
{
    struct image_store *s = p->store;
    struct remote_grant *grant = key ? remote_granted(p->remote) : NULL;
    if (!grant) {
        return;
    }
    pthread_mutex_lock(&s->lock);
    if (s->grants.count >= GRANTS_MAX) {
        store_forget_grants(s);
    }
    remote_grant_free(gt_table_put(&s->grants, gt_str(key), grant));
    pthread_mutex_unlock(&s->lock);
}

static int pull_named(struct pull *p, struct image **ret, struct gt_err *err)
{
    int r = parse_name(p, err);
    if (r < 0) {
        return r;
    }
    r = find_here(p, ret, err);
    if (r != -ENOENT) {
        return r;
    }
    const struct image_store *s = p->store;
    struct remote_options options = {
        .host = gt_arena_str(&p->arena, p->ref.host),
        .repository = gt_arena_str(&p->arena, p->ref.repository),
        .ca_file = s->ca_file,
        .retries = s->o.retries,
        .timeout_ms = s->o.timeout_ms,
        .plain_http = p->o->plain_http,
        .credentials = p->o->credentials,
        .arg = p->o->arg,
        .cancel = p->o->cancel,
        .pool = s->pool,
    };
    /* The grant may go while the remote is made from it: hence the lock. */
    pthread_mutex_lock(&p->store->lock);
    const char *key = grant_key(p);
    options.grant = key ? gt_table_get(&p->store->grants, gt_str(key)) : NULL;
    gt_auto(remote) struct remote *remote = remote_new(&options);
    pthread_mutex_unlock(&p->store->lock);
    p->remote = remote;
    r = pull_remote(p, ret, err);
    keep_grant(p, key);
    return r;
}

int image_pull(struct image_store *s, const struct image_pull_options *options,
               struct image **ret_image, struct gt_err *err)
{
    struct pull p = {
        .store = s,
        .o = options,
        .manifest = GT_BUF_INIT(GT_LIMIT_MANIFEST),
        .config = GT_BUF_INIT(GT_LIMIT_IMAGE_CONFIG),
    };
    pthread_mutex_init(&p.progress_lock, NULL);
    gt_arena_init(&p.arena, PULL_ARENA);
    int r = pull_named(&p, ret_image, err);
    pull_fini(&p);
    return r < 0 ? gt_err_wrap(err, "CannotPullContainerError") : 0;
}
