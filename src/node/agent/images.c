/*
 * House-keeping of the image store. Layers and images that nothing leads to (of pulls that came to
 * nothing, of tags that moved on) go with every round. Images that no container runs from stay, for
 * the next task, until the disk is nearly full: then those that were not used for longest go.
 */
#include "node/agent/images.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "node/agent/node.h"

#include <stdio.h>
#include <sys/statvfs.h>

enum {
    EVERY_MS = 10 * 60 * 1000,
    FULL_PERCENT = 85,   /* of the file system: removing begins ... */
    ENOUGH_PERCENT = 80, /* ... and ends */
};

struct victim {
    char *name;
    int64_t used_ms;
};

static int by_use(const void *a, const void *b)
{
    const struct victim *x = a, *y = b;
    return (x->used_ms > y->used_ms) - (x->used_ms < y->used_ms);
}

/* Names of all images, the one unused for longest first. Free each and the array. */
static size_t victims(struct image_store *s, struct victim **ret)
{
    struct image **images = NULL;
    size_t n = 0;
    *ret = NULL;
    if (image_list(s, &images, &n, NULL) < 0) {
        return 0;
    }
    struct victim *v = gt_new_array(struct victim, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i] = (struct victim){gt_strdup(images[i]->name), images[i]->last_used_ms};
        image_unref(images[i]);
    }
    free(images);
    qsort(v, n, sizeof *v, by_use);
    *ret = v;
    return n;
}

static unsigned used_percent(const char *dir)
{
    struct statvfs st;
    if (statvfs(dir, &st) < 0 || st.f_blocks == 0) {
        return 0;
    }
    /* As df: what only root may use is not there. */
    uint64_t used = st.f_blocks - st.f_bfree, all = used + st.f_bavail;
    return all ? (unsigned)(used * 100 / all) : 100;
}

/* Removes images that no container runs from until `enough` says so. Returns how many went. */
static unsigned remove_unused(struct image_store *s, bool (*enough)(const char *dir),
                              const char *dir)
{
    struct victim *v;
    unsigned gone = 0;
    size_t n = victims(s, &v);
    for (size_t i = 0; i < n; i++) {
        if (!enough || !enough(dir)) {
            gone += image_remove(s, v[i].name, NULL) == 0;
        }
        free(v[i].name);
    }
    free(v);
    return gone;
}

static bool room_enough(const char *dir)
{
    return used_percent(dir) < ENOUGH_PERCENT;
}

unsigned images_prune(struct image_store *s)
{
    unsigned gone = remove_unused(s, NULL, NULL);
    image_prune(s, NULL);
    return gone;
}

struct tidy {
    struct image_store *images;
    char *dir;
    int layers;
    unsigned gone;
};

static void tidy_work(void *arg)
{
    struct tidy *t = arg;
    t->layers = image_prune(t->images, NULL);
    if (used_percent(t->dir) >= FULL_PERCENT) {
        t->gone = remove_unused(t->images, room_enough, t->dir);
    }
}

static void tidy_done(struct node *n, void *arg)
{
    struct tidy *t = arg;
    n->images_tidying = false;
    if (t->layers > 0) {
        gt_info("image store: removed %d layers that no image has", t->layers);
    }
    if (t->gone > 0) {
        gt_info("image store: the disk was fuller than %d %%: removed %u unused images",
                FULL_PERCENT, t->gone);
    }
    free(t->dir);
    free(t);
}

/* Not before the tasks of an earlier agent were found again: they hold their images from then on.
 */
void node_images_tick(struct node *n)
{
    int64_t now = gt_clock_mono_ms();
    if (!n->ready || n->images_tidying || now < n->images_due_ms) {
        return;
    }
    bool first = n->images_due_ms == 0;
    n->images_due_ms = now + EVERY_MS;
    if (first) {
        return;
    }
    struct tidy *t = gt_new(struct tidy);
    *t = (struct tidy){.images = n->images, .dir = gt_asprintf("%s/agent/images", n->o.state_dir)};
    n->images_tidying = true;
    node_work_apart(n, tidy_work, tidy_done, t, NULL);
}
