/* struct image from a record: what the store hands out. */
#include "node/image/store_priv.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/oci/manifest.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define VIEW_ARENA (64 * GT_MIB)

/* All texts of an image lie in its arena. */
struct view {
    struct image image;
    struct image_store *store;
    struct record *record;
    atomic_uint refs;
    struct gt_arena arena;
};

static char *copy(struct view *v, struct gt_str s)
{
    return gt_arena_str(&v->arena, s);
}

static char **copy_list(struct view *v, const struct oci_str_list *l)
{
    char **to = gt_arena_array(&v->arena, char *, l->n + 1);
    for (size_t i = 0; i < l->n; i++) {
        to[i] = copy(v, l->v[i]);
    }
    return to;
}

static char **copy_pairs(struct view *v, const struct oci_pair_list *l)
{
    char **to = gt_arena_array(&v->arena, char *, l->n + 1);
    for (size_t i = 0; i < l->n; i++) {
        to[i] = gt_arena_printf(&v->arena, GT_STR_FMT "=" GT_STR_FMT, GT_STR_ARG(l->v[i].key),
                                GT_STR_ARG(l->v[i].value));
    }
    return to;
}

static char *copy_digest(struct view *v, const struct oci_digest *d)
{
    char text[OCI_DIGEST_TEXT + 1];
    return gt_arena_strdup(&v->arena, oci_digest_text(d, text));
}

static void fill_config(struct view *v, const struct oci_image_config *c)
{
    struct image *im = &v->image;
    im->entrypoint = copy_list(v, &c->entrypoint);
    im->cmd = copy_list(v, &c->cmd);
    im->env = copy_list(v, &c->env);
    im->user = copy(v, c->user);
    im->workdir = copy(v, c->working_dir);
    im->stop_signal = copy(v, c->stop_signal);
    im->exposed_ports = copy_list(v, &c->exposed_ports);
    im->volumes = copy_list(v, &c->volumes);
    im->labels = copy_pairs(v, &c->labels);
    im->healthcheck = copy_list(v, &c->healthcheck.test);
    im->health_interval_ms = c->healthcheck.interval / 1000000;
    im->health_timeout_ms = c->healthcheck.timeout / 1000000;
    im->health_start_period_ms = c->healthcheck.start_period / 1000000;
    im->health_retries = (int)GT_MAX(0, GT_MIN(c->healthcheck.retries, 1000));
    im->os = copy(v, c->platform.os);
    im->architecture = copy(v, c->platform.architecture);
}

static void fill_layers(struct view *v, const struct image_store *s)
{
    const struct record *rec = v->record;
    struct image *im = &v->image;
    im->layers_dir = gt_arena_strdup(&v->arena, s->layers_dir);
    im->n_layers = rec->n_layers;
    im->layer_dirs = gt_arena_array(&v->arena, char *, rec->n_layers + 1);
    im->layer_names = gt_arena_array(&v->arena, char *, rec->n_layers + 1);
    for (size_t i = 0; i < rec->n_layers; i++) {
        const struct layer *l = rec->layers[rec->n_layers - 1 - i];
        im->layer_names[i] = gt_arena_strdup(&v->arena, l->name);
        im->layer_dirs[i] = gt_arena_printf(&v->arena, "%s/%s", s->layers_dir, l->name);
        im->size += l->bytes;
    }
}

void record_touch(struct image_store *s, struct record *rec)
{
    char hex[OCI_DIGEST_HEX + 1], path[OCI_DIGEST_HEX + 16];
    snprintf(path, sizeof(path), "%s.manifest", oci_digest_hex(&rec->manifest, hex));
    rec->used_ms = gt_clock_real_ms();
    utimensat(s->images_fd, path, NULL, 0);
}

int image_view(struct image_store *s, struct record *rec, const struct ref *ref,
               const char *reference, struct image **ret, struct gt_err *err)
{
    struct gt_arena parse;
    gt_arena_init(&parse, VIEW_ARENA);
    struct oci_image_config c;
    int r = oci_image_config_parse(gt_str(rec->config_text), &parse, &c, err);
    if (r == 0) {
        struct view *v = gt_new(struct view);
        gt_arena_init(&v->arena, VIEW_ARENA);
        v->store = s;
        v->record = rec;
        atomic_init(&v->refs, 1);
        rec->holds++;
        struct image *im = &v->image;
        im->reference = gt_arena_strdup(&v->arena, reference);
        im->name = gt_arena_strdup(&v->arena, ref ? ref->name : reference);
        im->digest = copy_digest(v, ref ? &ref->digest : &rec->manifest);
        im->manifest_digest = copy_digest(v, &rec->manifest);
        im->config_digest = copy_digest(v, &rec->config);
        im->pulled_ms = ref ? ref->resolved_ms : 0;
        im->last_used_ms = rec->used_ms;
        fill_config(v, &c);
        fill_layers(v, s);
        *ret = im;
    }
    gt_arena_fini(&parse);
    return r;
}

struct image *image_ref(struct image *im)
{
    struct view *v = GT_CONTAINER_OF(im, struct view, image);
    atomic_fetch_add(&v->refs, 1);
    return im;
}

void image_unref(struct image *im)
{
    if (!im) {
        return;
    }
    struct view *v = GT_CONTAINER_OF(im, struct view, image);
    if (atomic_fetch_sub(&v->refs, 1) > 1) {
        return;
    }
    pthread_mutex_lock(&v->store->lock);
    GT_ASSERT(v->record->holds > 0);
    v->record->holds--;
    pthread_mutex_unlock(&v->store->lock);
    gt_arena_fini(&v->arena);
    free(v);
}
