#include "store/registry/registry.h"

#include "gt_test.h"
#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"

#include <fcntl.h>
#include <unistd.h>

#define REPO GT_STR_LIT("1/r/web#1")
#define OTHER GT_STR_LIT("1/r/other#2")
#define FUTURE (INT64_MAX / 2)

static char dir[64];
static struct registry *reg;
static struct gt_arena arena;

static void reopen(void)
{
    struct gt_err err = GT_ERR_INIT;
    registry_close(reg);
    reg = NULL;
    gt_assert_ok(registry_open(dir, &reg, &err), err);
}

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/gt-registry-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    gt_arena_init(&arena, 16 * GT_MIB);
    reopen();
    return 0;
}

static int teardown(void **state)
{
    registry_close(reg);
    reg = NULL;
    gt_arena_fini(&arena);
    return gt_remove_tree(AT_FDCWD, dir, NULL);
}

static struct oci_digest blob(struct gt_str repo, const char *text)
{
    struct oci_digest d;
    struct gt_err err = GT_ERR_INIT;
    oci_digest_of(text, strlen(text), &d);
    gt_assert_ok(blobs_put(registry_blobs(reg), text, strlen(text), &d, &err), err);
    gt_assert_ok(registry_blob_link(reg, repo, &d, (int64_t)strlen(text), 1000, &err), err);
    return d;
}

static const char *manifest(const char *config, const char *layer)
{
    struct oci_digest c, l;
    char ct[OCI_DIGEST_TEXT + 1], lt[OCI_DIGEST_TEXT + 1];
    oci_digest_of(config, strlen(config), &c);
    oci_digest_of(layer, strlen(layer), &l);
    return gt_arena_printf(&arena,
                           "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI_MEDIA_CONFIG
                           "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[{\"mediaType\":"
                           "\"" OCI_MEDIA_LAYER "\",\"digest\":\"%s\",\"size\":%zu}]}",
                           oci_digest_text(&c, ct), strlen(config), oci_digest_text(&l, lt),
                           strlen(layer));
}

static const char *index_of(const struct oci_digest *d, size_t size)
{
    char text[OCI_DIGEST_TEXT + 1];
    return gt_arena_printf(&arena,
                           "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":"
                           "\"" OCI_MEDIA_MANIFEST "\",\"digest\":\"%s\",\"size\":%zu}]}",
                           oci_digest_text(d, text), size);
}

static int put(struct gt_str repo, const char *text, const char *tag, bool immutable,
               struct oci_digest *ret)
{
    struct oci_manifest m;
    struct oci_digest missing;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(oci_manifest_parse(gt_str(text), (struct gt_str){0}, &arena, &m, &err), err);
    struct registry_put p = {.text = gt_str(text),
                             .manifest = &m,
                             .tag = gt_str(tag),
                             .immutable_tags = immutable,
                             .now_ms = 2000};
    return registry_manifest_put(reg, repo, &p, ret, &missing, &err);
}

static int get(struct gt_str repo, const char *tag, struct registry_manifest *m)
{
    return registry_manifest_get(reg, repo, NULL, gt_str(tag), true, &arena, m, NULL);
}

GT_TEST(keeps_a_manifest)
{
    struct oci_digest d;
    struct registry_manifest m;
    const char *text = manifest("{}", "layer");
    assert_int_equal(put(REPO, text, "v1", false, &d), -ENOENT);
    blob(REPO, "{}");
    blob(OTHER, "layer");
    assert_int_equal(put(REPO, text, "v1", false, &d), -ENOENT);
    blob(REPO, "layer");
    assert_int_equal(put(REPO, text, "v1", false, &d), 0);
    assert_int_equal(put(REPO, text, "v1", false, &d), 0);
    reopen();
    assert_int_equal(get(REPO, "v1", &m), 0);
    assert_true(gt_str_is(m.body, text));
    assert_true(gt_str_is(m.media_type, OCI_MEDIA_MANIFEST));
    assert_true(gt_str_is(m.config_type, OCI_MEDIA_CONFIG));
    assert_int_equal(m.image_size, 7);
    assert_int_equal(m.pushed_ms, 2000);
    assert_int_equal(get(REPO, "v2", &m), -ENOENT);
    assert_int_equal(get(OTHER, "v1", &m), -ENOENT);
    assert_int_equal(registry_manifest_get(reg, REPO, &d, gt_str(""), false, &arena, &m, NULL), 0);
    assert_int_equal(m.body.n, 0);
}

GT_TEST(moves_tags_unless_they_are_immutable)
{
    struct oci_digest a, b;
    struct registry_manifest m;
    blob(REPO, "{}");
    blob(REPO, "l1");
    blob(REPO, "l2");
    assert_int_equal(put(REPO, manifest("{}", "l1"), "v", false, &a), 0);
    assert_int_equal(put(REPO, manifest("{}", "l2"), "v", true, &b), -EEXIST);
    assert_int_equal(put(REPO, manifest("{}", "l1"), "v", true, &b), 0);
    assert_int_equal(put(REPO, manifest("{}", "l2"), "v", false, &b), 0);
    assert_int_equal(get(REPO, "v", &m), 0);
    assert_true(oci_digest_eq(&m.digest, &b));
    assert_int_equal(registry_tag_delete(reg, REPO, GT_STR_LIT("v"), true, 1, &a, NULL), 0);
    assert_true(oci_digest_eq(&a, &b));
    assert_int_equal(registry_manifest_get(reg, REPO, &b, gt_str(""), false, &arena, &m, NULL),
                     -ENOENT);
    assert_int_equal(registry_tag_delete(reg, REPO, GT_STR_LIT("v"), true, 1, &a, NULL), -ENOENT);
}

GT_TEST(keeps_an_index_and_its_manifests)
{
    struct oci_digest a, b;
    struct registry_manifest m;
    blob(REPO, "{}");
    blob(REPO, "l1");
    oci_digest_of("x", 1, &a);
    const char *child = manifest("{}", "l1");
    assert_int_equal(put(REPO, index_of(&a, 1), "i", false, &b), -ENOENT);
    assert_int_equal(put(REPO, child, "", false, &a), 0);
    assert_int_equal(put(REPO, index_of(&a, strlen(child) + 1), "i", false, &b), -EINVAL);
    assert_int_equal(put(REPO, index_of(&a, strlen(child)), "i", false, &b), 0);
    assert_int_equal(get(REPO, "i", &m), 0);
    assert_int_equal(m.image_size, 4);
    assert_int_equal(registry_manifest_delete(reg, REPO, &a, 0, NULL), -EBUSY);
    assert_int_equal(registry_manifest_delete(reg, REPO, &b, 0, NULL), 0);
    assert_int_equal(registry_manifest_delete(reg, REPO, &a, 0, NULL), 0);
    assert_int_equal(registry_manifest_delete(reg, REPO, &a, 0, NULL), -ENOENT);
    assert_int_equal(get(REPO, "i", &m), -ENOENT);
}

GT_TEST(mounts_only_what_is_there)
{
    struct oci_digest d = blob(REPO, "l1"), none;
    int64_t size;
    oci_digest_of("none", 4, &none);
    assert_int_equal(registry_blob_find(reg, OTHER, &d, &size, NULL), -ENOENT);
    assert_int_equal(registry_blob_mount(reg, OTHER, REPO, &d, 1, NULL), -ENOENT);
    assert_int_equal(registry_blob_mount(reg, REPO, OTHER, &none, 1, NULL), -ENOENT);
    assert_int_equal(registry_blob_mount(reg, REPO, OTHER, &d, 1, NULL), 0);
    assert_int_equal(registry_blob_find(reg, OTHER, &d, &size, NULL), 0);
    assert_int_equal(size, 2);
}

GT_TEST(lists_in_pages)
{
    struct oci_digest d;
    struct oci_str_list tags;
    struct registry_manifest *v;
    size_t n;
    blob(REPO, "{}");
    blob(REPO, "l1");
    blob(REPO, "l2");
    assert_int_equal(put(REPO, manifest("{}", "l1"), "b", false, &d), 0);
    assert_int_equal(put(REPO, manifest("{}", "l1"), "a", false, &d), 0);
    assert_int_equal(put(REPO, manifest("{}", "l1"), "c", false, &d), 0);
    assert_int_equal(registry_tags(reg, REPO, gt_str(""), 2, &arena, &tags, NULL), 0);
    assert_int_equal(tags.n, 2);
    assert_true(gt_str_is(tags.v[0], "a"));
    assert_int_equal(registry_tags(reg, REPO, tags.v[1], 2, &arena, &tags, NULL), 0);
    assert_int_equal(tags.n, 1);
    assert_true(gt_str_is(tags.v[0], "c"));
    assert_int_equal(registry_tags_of(reg, REPO, &d, &arena, &tags, NULL), 0);
    assert_int_equal(tags.n, 3);
    assert_int_equal(put(REPO, manifest("{}", "l2"), "", false, &d), 0);
    static const size_t want[] = {
        [REGISTRY_ANY] = 2, [REGISTRY_TAGGED] = 1, [REGISTRY_UNTAGGED] = 1};
    for (int f = REGISTRY_ANY; f <= REGISTRY_UNTAGGED; f++) {
        assert_int_equal(
            registry_manifests(reg, REPO, NULL, (enum registry_filter)f, 10, &arena, &v, &n, NULL),
            0);
        assert_int_equal(n, want[f]);
    }
    assert_int_equal(registry_manifests(reg, REPO, NULL, REGISTRY_ANY, 1, &arena, &v, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(
        registry_manifests(reg, REPO, &v[0].digest, REGISTRY_ANY, 10, &arena, &v, &n, NULL), 0);
    assert_int_equal(n, 1);
}

GT_TEST(deletes_a_repository)
{
    struct oci_digest d;
    struct oci_str_list repos;
    struct registry_manifest m;
    blob(REPO, "{}");
    blob(REPO, "l1");
    assert_int_equal(put(REPO, manifest("{}", "l1"), "v", false, &d), 0);
    assert_int_equal(registry_repo_seal(reg, REPO, true, NULL), -ENOTEMPTY);
    assert_int_equal(registry_repo_seal(reg, REPO, false, NULL), 0);
    assert_int_equal(put(REPO, manifest("{}", "l1"), "w", false, &d), -ESTALE);
    registry_repo_unseal(reg, REPO);
    assert_int_equal(put(REPO, manifest("{}", "l1"), "w", false, &d), 0);
    assert_int_equal(registry_repos(reg, &arena, &repos, NULL), 0);
    assert_int_equal(repos.n, 1);
    assert_int_equal(registry_repo_drop(reg, REPO, NULL), 0);
    assert_int_equal(registry_repo_drop(reg, REPO, NULL), 0);
    assert_int_equal(get(REPO, "v", &m), -ENOENT);
    assert_int_equal(registry_collect(reg, FUTURE, NULL), 2);
}

GT_TEST(collects_what_nobody_needs)
{
    struct oci_digest d, lone = blob(REPO, "lone");
    struct registry_manifest m;
    int64_t size;
    blob(REPO, "{}");
    blob(REPO, "l1");
    assert_int_equal(put(REPO, manifest("{}", "l1"), "v", false, &d), 0);
    assert_int_equal(registry_blob_unlink(reg, OTHER, &lone, NULL), -ENOENT);
    assert_int_equal(registry_collect(reg, 500, NULL), 0);
    assert_int_equal(registry_collect(reg, FUTURE, NULL), 1);
    assert_int_equal(registry_blob_find(reg, REPO, &lone, &size, NULL), -ENOENT);
    assert_int_equal(get(REPO, "v", &m), 0);
    struct oci_digest l1;
    oci_digest_of("l1", 2, &l1);
    assert_int_equal(registry_blob_unlink(reg, REPO, &l1, NULL), -EBUSY);
    assert_int_equal(blobs_stat(registry_blobs(reg), &l1, NULL, NULL), 0);
    assert_int_equal(registry_manifest_delete(reg, REPO, &d, FUTURE, NULL), 0);
    /* the links' grace began with the deletion */
    assert_int_equal(registry_collect(reg, FUTURE, NULL), 0);
    assert_int_equal(registry_collect(reg, FUTURE + 1, NULL), 2);
}

/* A push that finds a blob does not send it: from then on it counts on it. */
GT_TEST(keeps_what_was_seen)
{
    struct oci_digest d, l1 = blob(REPO, "l1"), lone = blob(REPO, "lone");
    int64_t size;
    blob(REPO, "{}");
    assert_int_equal(registry_blob_seen(reg, REPO, &l1, 500, 5000, NULL), 0);
    assert_int_equal(registry_blob_seen(reg, REPO, &lone, 5000, 9000, NULL), 0);
    assert_int_equal(registry_blob_seen(reg, OTHER, &lone, 5000, 9000, NULL), -ENOENT);
    assert_int_equal(registry_collect(reg, 6000, NULL), 0); /* the files are of now */
    assert_int_equal(registry_blob_find(reg, REPO, &l1, &size, NULL), -ENOENT);
    assert_int_equal(registry_blob_find(reg, REPO, &lone, &size, NULL), 0);
    assert_int_equal(registry_blob_seen(reg, REPO, &l1, 5000, 9000, NULL), -ENOENT);
    /* what a manifest needs is safe anyway, and not written to */
    blob(REPO, "{}");
    blob(REPO, "l1");
    assert_int_equal(put(REPO, manifest("{}", "l1"), "v", false, &d), 0);
    assert_int_equal(registry_blob_seen(reg, REPO, &l1, 5000, 9000, NULL), 0);
    assert_int_equal(registry_manifest_delete(reg, REPO, &d, 1000, NULL), 0);
    (void)registry_collect(reg, 6000, NULL);
    assert_int_equal(registry_blob_find(reg, REPO, &l1, &size, NULL), -ENOENT);
}

GT_TEST(a_failed_commit_leaves_nothing)
{
    struct oci_digest d;
    struct registry_manifest m;
    blob(REPO, "{}");
    blob(REPO, "l1");
    for (long n = 1;; n++) {
        gt_fail_nth(n);
        int r = put(REPO, manifest("{}", "l1"), "v", false, &d);
        bool fired = gt_fail_fired();
        gt_fail_nth(0);
        if (!fired) {
            assert_int_equal(r, 0);
            assert_true(n > 2);
            break;
        }
        assert_true(r < 0);
        assert_int_equal(get(REPO, "v", &m), -ENOENT);
    }
    assert_int_equal(get(REPO, "v", &m), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
GT_RUN(CASE(keeps_a_manifest), CASE(moves_tags_unless_they_are_immutable),
       CASE(keeps_an_index_and_its_manifests), CASE(mounts_only_what_is_there),
       CASE(lists_in_pages), CASE(deletes_a_repository), CASE(collects_what_nobody_needs),
       CASE(keeps_what_was_seen), CASE(a_failed_commit_leaves_nothing))
