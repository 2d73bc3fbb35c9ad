/* What of the store's tables is on disk. Small files, each replaced as a whole; a table is what
 * its folder holds. What does not read back as it was written is left out and cleared away: the
 * worst that it costs is another pull. */
#include "node/image/store_priv.h"

#include "lib/base/file.h"
#include "lib/base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_FILE (256 * GT_KIB)

static void json_free(json_t *j)
{
    json_decref(j);
}
GT_DEFINE_AUTO(json, json_t *, json_free)

static const char *digest_text(const struct oci_digest *d, char to[static OCI_DIGEST_TEXT + 1])
{
    return oci_digest_text(d, to);
}

/* Replaces a file as a whole. Not synced: after a loss of power it is the old one, the new one or
 * nothing that could be read, and each of these is fine. */
static int write_text(int dirfd, const char *path, const char *text, struct gt_err *err)
{
    gt_auto_free char *tmp = gt_asprintf("%s.new", path);
    gt_auto_close int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : gt_write_full(fd, text, strlen(text));
    if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0) {
        r = -errno;
    }
    return r < 0 ? gt_err_errno(err, r, "write '%s'", path) : 0;
}

static int write_json(int dirfd, const char *path, json_t *doc, struct gt_err *err)
{
    gt_auto_free char *text = json_dumps(doc, JSON_COMPACT);
    GT_ASSERT(text);
    return write_text(dirfd, path, text, err);
}

void store_read_boot(struct image_store *s)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(64);
    gt_file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text, NULL);
    snprintf(s->boot, sizeof(s->boot), "%.*s", (int)strcspn(text.p ? text.p : "", "\n"),
             text.p ? text.p : "");
}

static json_t *read_json(int dirfd, const char *path)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(SMALL_FILE);
    if (gt_file_read(dirfd, path, &text, NULL) < 0 || text.n == 0) {
        return NULL;
    }
    return json_loadb(text.p, text.n, 0, NULL);
}

static bool read_digest(const json_t *doc, const char *name, struct oci_digest *to)
{
    const char *text = json_string_value(json_object_get(doc, name));
    return text && oci_digest_parse(gt_str(text), to, NULL) == 0;
}

static json_t *layer_json(const struct image_store *s, const struct layer *l)
{
    char text[OCI_DIGEST_TEXT + 1];
    json_t *blobs = json_array();
    for (size_t i = 0; i < l->n_blobs; i++) {
        json_array_append_new(blobs, json_string(digest_text(&l->blobs[i], text)));
    }
    json_t *doc = json_object();
    json_object_set_new(doc, "diffId", json_string(digest_text(&l->diff_id, text)));
    json_object_set_new(doc, "blobs", blobs);
    json_object_set_new(doc, "bytes", json_integer((json_int_t)l->bytes));
    json_object_set_new(doc, "files", json_integer((json_int_t)l->files));
    if (!l->durable) {
        json_object_set_new(doc, "boot", json_string(s->boot));
    }
    return doc;
}

int store_write_layer_file(struct image_store *s, const struct layer *l, const char *stem,
                           struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s.json", stem);
    gt_auto(json) json_t *doc = layer_json(s, l);
    return write_json(s->tmp_fd, path, doc, err);
}

int store_save_layer(struct image_store *s, const struct layer *l, struct gt_err *err)
{
    gt_auto_free char *path = gt_asprintf("%s.json", l->name);
    gt_auto(json) json_t *doc = layer_json(s, l);
    return write_json(s->layers_fd, path, doc, err);
}

int store_save_record(struct image_store *s, const struct record *rec, struct gt_err *err)
{
    char hex[OCI_DIGEST_HEX + 1], path[OCI_DIGEST_HEX + 16];
    oci_digest_hex(&rec->manifest, hex);
    snprintf(path, sizeof(path), "%s.config", hex);
    int r = write_text(s->images_fd, path, rec->config_text, err);
    if (r < 0) {
        return r;
    }
    snprintf(path, sizeof(path), "%s.manifest", hex);
    return write_text(s->images_fd, path, rec->manifest_text, err);
}

void store_delete_record_files(struct image_store *s, const struct record *rec)
{
    char hex[OCI_DIGEST_HEX + 1], path[OCI_DIGEST_HEX + 16];
    oci_digest_hex(&rec->manifest, hex);
    snprintf(path, sizeof(path), "%s.manifest", hex);
    unlinkat(s->images_fd, path, 0);
    snprintf(path, sizeof(path), "%s.config", hex);
    unlinkat(s->images_fd, path, 0);
}

static void ref_path(const char *name, char to[static OCI_DIGEST_HEX + 16])
{
    struct oci_digest d;
    char hex[OCI_DIGEST_HEX + 1];
    oci_digest_of(name, strlen(name), &d);
    snprintf(to, OCI_DIGEST_HEX + 16, "%s.json", oci_digest_hex(&d, hex));
}

int store_save_ref(struct image_store *s, const struct ref *ref, struct gt_err *err)
{
    char text[OCI_DIGEST_TEXT + 1], path[OCI_DIGEST_HEX + 16];
    gt_auto(json) json_t *doc = json_object();
    json_object_set_new(doc, "name", json_string(ref->name));
    json_object_set_new(doc, "digest", json_string(digest_text(&ref->digest, text)));
    json_object_set_new(doc, "manifest", json_string(digest_text(&ref->manifest, text)));
    json_object_set_new(doc, "resolved", json_integer(ref->resolved_ms));
    ref_path(ref->name, path);
    return write_json(s->refs_fd, path, doc, err);
}

void store_delete_ref_file(struct image_store *s, const struct ref *ref)
{
    char path[OCI_DIGEST_HEX + 16];
    ref_path(ref->name, path);
    unlinkat(s->refs_fd, path, 0);
}

/* ---- loading ---- */

typedef void (*load_fn)(struct image_store *s, const char *stem);

static int each_file(struct image_store *s, int dirfd, const char *suffix, load_fn load,
                     struct gt_err *err)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = gt_err_errno(err, errno, "read the image store '%s'", s->dir);
        gt_closep(&fd);
        return r;
    }
    struct dirent *e;
    while ((e = readdir(dir))) {
        size_t n = strlen(e->d_name), m = strlen(suffix);
        if (n > m && strcmp(e->d_name + n - m, suffix) == 0) {
            gt_auto_free char *stem = gt_strndup(e->d_name, n - m);
            load(s, stem);
        }
    }
    closedir(dir);
    return 0;
}

static void load_layer(struct image_store *s, const char *stem)
{
    gt_auto_free char *path = gt_asprintf("%s.json", stem);
    gt_auto(json) json_t *doc = read_json(s->layers_fd, path);
    struct oci_digest diff_id, blob;
    struct stat st;
    if (!read_digest(doc, "diffId", &diff_id) || fstatat(s->layers_fd, stem, &st, 0) < 0 ||
        !S_ISDIR(st.st_mode)) {
        return;
    }
    /* Not yet durable when it was written: of an earlier boot it may have lost anything. */
    const char *boot = json_string_value(json_object_get(doc, "boot"));
    if (boot && (!s->boot[0] || strcmp(boot, s->boot) != 0)) {
        return;
    }
    struct layer *l = store_layer(s, &diff_id);
    if (strcmp(l->name, stem) != 0) {
        return;
    }
    json_t *blobs = json_object_get(doc, "blobs");
    for (size_t i = 0; i < json_array_size(blobs); i++) {
        const char *text = json_string_value(json_array_get(blobs, i));
        if (text && oci_digest_parse(gt_str(text), &blob, NULL) == 0) {
            layer_add_blob(l, &blob);
        }
    }
    l->bytes = (uint64_t)json_integer_value(json_object_get(doc, "bytes"));
    l->files = (uint64_t)json_integer_value(json_object_get(doc, "files"));
    l->durable = !boot;
    l->published = true;
}

static void load_record(struct image_store *s, const char *stem)
{
    gt_auto_buf struct gt_buf manifest = GT_BUF_INIT(GT_LIMIT_MANIFEST);
    gt_auto_buf struct gt_buf config = GT_BUF_INIT(GT_LIMIT_IMAGE_CONFIG);
    char path[OCI_DIGEST_HEX + 16], hex[OCI_DIGEST_HEX + 1];
    struct record *rec;
    struct stat st;
    if (strlen(stem) != OCI_DIGEST_HEX) {
        return;
    }
    snprintf(path, sizeof(path), "%s.config", stem);
    if (gt_file_read(s->images_fd, path, &config, NULL) < 0) {
        return;
    }
    snprintf(path, sizeof(path), "%s.manifest", stem);
    if (gt_file_read(s->images_fd, path, &manifest, NULL) < 0 ||
        fstatat(s->images_fd, path, &st, 0) < 0 ||
        record_new(s, gt_buf_view(&manifest), gt_buf_view(&config), &rec, NULL) < 0) {
        return;
    }
    /* Both digests were computed anew: a damaged file is not taken for an image. */
    if (strcmp(oci_digest_hex(&rec->manifest, hex), stem) != 0 || !record_complete(rec)) {
        record_free(rec);
        return;
    }
    rec->used_ms = st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    gt_table_put(&s->records, gt_str(hex), rec);
}

static void load_ref(struct image_store *s, const char *stem)
{
    gt_auto_free char *path = gt_asprintf("%s.json", stem);
    gt_auto(json) json_t *doc = read_json(s->refs_fd, path);
    const char *name = json_string_value(json_object_get(doc, "name"));
    struct oci_digest digest, manifest;
    if (!name || !read_digest(doc, "digest", &digest) || !read_digest(doc, "manifest", &manifest)) {
        return;
    }
    struct record *rec = store_record(s, &manifest);
    if (!rec) {
        return;
    }
    struct ref *ref = gt_new(struct ref);
    ref->name = gt_strdup(name);
    ref->digest = digest;
    ref->manifest = manifest;
    ref->record = rec;
    ref->resolved_ms = json_integer_value(json_object_get(doc, "resolved"));
    rec->refs++;
    GT_ASSERT(!gt_table_put(&s->refs, gt_str(name), ref));
}

static bool is_layer(struct image_store *s, const char *name)
{
    struct gt_table_entry *e;
    size_t n = strlen(name);
    if (n > 5 && strcmp(name + n - 5, ".json") == 0) {
        n -= 5;
    }
    for (struct gt_table_iter it = {0}; (e = gt_table_next(&s->layers, &it));) {
        const struct layer *l = e->value;
        if (l->published && strlen(l->name) == n && memcmp(l->name, name, n) == 0) {
            return true;
        }
    }
    return false;
}

int store_bury_strays(struct image_store *s)
{
    int gone = 0, fd = openat(s->layers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        gt_closep(&fd);
        return 0;
    }
    struct dirent *e;
    while ((e = readdir(dir))) {
        if (e->d_name[0] == '.' || is_layer(s, e->d_name)) {
            continue;
        }
        char to[64];
        snprintf(to, sizeof(to), "gone-%llu", (unsigned long long)s->tmp_serial++);
        gone += renameat(s->layers_fd, e->d_name, s->tmp_fd, to) == 0;
    }
    closedir(dir);
    return gone;
}

int store_load(struct image_store *s, struct gt_err *err)
{
    int r = each_file(s, s->layers_fd, ".json", load_layer, err);
    if (r == 0) {
        r = each_file(s, s->images_fd, ".manifest", load_record, err);
    }
    return r < 0 ? r : each_file(s, s->refs_fd, ".json", load_ref, err);
}
