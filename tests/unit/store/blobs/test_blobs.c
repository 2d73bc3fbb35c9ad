#include "store/blobs/blobs.h"

#include "gt_test.h"
#include "lib/base/clock.h"
#include "lib/base/fail.h"
#include "lib/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUTURE (INT64_MAX / 2)

static char dir[64];

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/gt-blobs-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    return gt_remove_tree(AT_FDCWD, dir, NULL);
}

static struct blobs *store_open(const char *name)
{
    char path[128];
    struct blobs *b = NULL;
    struct gt_err err = GT_ERR_INIT;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    gt_assert_ok(blobs_open(path, &b, &err), err);
    return b;
}

static struct oci_digest digest(const char *text)
{
    struct oci_digest d;
    oci_digest_of(text, strlen(text), &d);
    return d;
}

static int count_fn(void *arg, const struct oci_digest *d, int64_t size, int64_t mtime)
{
    ++*(int *)arg;
    return 0;
}

static int count(struct blobs *b)
{
    int n = 0;
    assert_int_equal(blobs_each(b, count_fn, &n, NULL), 0);
    return n;
}

static void assert_holds(struct blobs *b, const char *text)
{
    struct oci_digest d = digest(text);
    struct gt_err err = GT_ERR_INIT;
    int64_t size = -1;
    char have[64] = "";
    int fd = blobs_get(b, &d, &size, &err);
    gt_assert_ok(fd, err);
    assert_int_equal(size, strlen(text));
    assert_int_equal(gt_read_full(fd, have, sizeof(have) - 1), size);
    assert_string_equal(have, text);
    close(fd);
}

GT_TEST(keeps_what_was_put)
{
    gt_auto(blobs) struct blobs *b = store_open("a");
    struct oci_digest d = digest("hello"), none = digest("none");
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(blobs_put(b, "hello", 5, &d, &err), err);
    gt_assert_ok(blobs_put(b, "hello", 5, &d, &err), err);
    assert_holds(b, "hello");
    assert_int_equal(count(b), 1);
    assert_int_equal(blobs_get(b, &none, NULL, &err), -ENOENT);
    assert_int_equal(blobs_stat(b, &none, NULL, &err), -ENOENT);
    assert_int_equal(blobs_touch(b, &none, &err), -ENOENT);
    assert_int_equal(blobs_put(b, "hullo", 5, &d, &err), -EBADMSG);
    gt_assert_ok(blobs_delete(b, &d, &err), err);
    gt_assert_ok(blobs_delete(b, &d, &err), err);
    assert_int_equal(count(b), 0);
    struct blobs *second;
    char path[128];
    snprintf(path, sizeof(path), "%s/a", dir);
    assert_int_equal(blobs_open(path, &second, &err), -EBUSY);
}

GT_TEST(resumes_after_a_restart)
{
    struct blobs *b = store_open("a");
    struct blob_upload *u, *again;
    struct gt_err err = GT_ERR_INIT;
    char id[BLOBS_UPLOAD_ID + 1];
    gt_assert_ok(blobs_upload_new(b, GT_STR_LIT("me"), &u, &err), err);
    memcpy(id, blob_upload_id(u), sizeof(id));
    gt_assert_ok(blob_upload_write(u, "hel", 3, &err), err);
    gt_assert_ok(blob_upload_sync(u, &err), err);
    assert_int_equal(blobs_upload_take(b, gt_str(id), GT_STR_LIT("me"), &again, &err), -EBUSY);
    blob_upload_release(u);
    blobs_close(b);

    b = store_open("a");
    assert_int_equal(blobs_upload_take(b, gt_str(id), GT_STR_LIT("you"), &u, &err), -ENOENT);
    assert_int_equal(blobs_upload_take(b, GT_STR_LIT("../../../../etc/passwd/and/so/on"),
                                       GT_STR_LIT("me"), &u, &err),
                     -ENOENT);
    gt_assert_ok(blobs_upload_take(b, gt_str(id), GT_STR_LIT("me"), &u, &err), err);
    assert_int_equal(blob_upload_size(u), 3);
    gt_assert_ok(blob_upload_write(u, "lo", 2, &err), err);
    blob_upload_release(u);
    gt_assert_ok(blobs_upload_take(b, gt_str(id), GT_STR_LIT("me"), &u, &err), err);
    struct oci_digest d = digest("hello");
    gt_assert_ok(blob_upload_commit(u, &d, &err), err);
    assert_holds(b, "hello");
    assert_int_equal(blobs_upload_take(b, gt_str(id), GT_STR_LIT("me"), &u, &err), -ENOENT);
    blobs_close(b);
}

GT_TEST(expires_uploads)
{
    gt_auto(blobs) struct blobs *b = store_open("a");
    struct blob_upload *u, *v;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(blobs_upload_new(b, GT_STR_LIT("me"), &u, &err), err);
    gt_assert_ok(blobs_upload_new(b, GT_STR_LIT("me"), &v, &err), err);
    blob_upload_release(v);
    assert_int_equal(blobs_expire_uploads(b, 1000, &err), 0);
    assert_int_equal(blobs_expire_uploads(b, FUTURE, &err), 1); /* u is in use */
    blob_upload_cancel(u);
    assert_int_equal(blobs_expire_uploads(b, FUTURE, &err), 0);
}

GT_TEST(shares_by_link)
{
    gt_auto(blobs) struct blobs *a = store_open("a");
    gt_auto(blobs) struct blobs *b = store_open("b");
    struct oci_digest d = digest("hello"), none = digest("none");
    struct gt_err err = GT_ERR_INIT;
    char path[128];
    snprintf(path, sizeof(path), "%s/a", dir);
    gt_assert_ok(blobs_put(a, "hello", 5, &d, &err), err);
    gt_assert_ok(blobs_link(b, &d, path, &err), err);
    gt_assert_ok(blobs_link(b, &d, path, &err), err);
    assert_int_equal(blobs_link(b, &none, path, &err), -ENOENT);
    gt_assert_ok(blobs_delete(a, &d, &err), err);
    assert_holds(b, "hello");
}

GT_TEST(spares_the_young)
{
    gt_auto(blobs) struct blobs *b = store_open("a");
    struct oci_digest d = digest("hello");
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(blobs_put(b, "hello", 5, &d, &err), err);
    int64_t before = gt_clock_real_ms() - 1000;
    assert_int_equal(blobs_delete_older(b, &d, before, &err), 0);
    assert_holds(b, "hello");
    assert_int_equal(blobs_delete_older(b, &d, FUTURE, &err), 1);
    assert_int_equal(blobs_delete_older(b, &d, FUTURE, &err), 1);
}

/* Every failure point of a push leaves either the whole blob or none, and a push that can be made
 * again. */
GT_TEST(survives_every_failure)
{
    gt_auto(blobs) struct blobs *b = store_open("a");
    struct oci_digest d = digest("hello");
    int walked = 0;
    for (long n = 1;; n++, walked++) {
        struct gt_err err = GT_ERR_INIT;
        assert_int_equal(blobs_delete(b, &d, &err), 0);
        gt_fail_nth(n);
        int r = blobs_put(b, "hello", 5, &d, &err);
        bool fired = gt_fail_fired();
        gt_fail_nth(0);
        if (!fired) {
            assert_int_equal(r, 0);
            break;
        }
        assert_true(r < 0);
        assert_true(err.kind != GT_ERR_NONE);
        if (blobs_stat(b, &d, NULL, NULL) == 0) {
            assert_holds(b, "hello");
        }
        gt_assert_ok(blobs_put(b, "hello", 5, &d, &err), err);
        assert_holds(b, "hello");
    }
    assert_true(walked >= 4);
    assert_int_equal(blobs_expire_uploads(b, FUTURE, NULL), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
GT_RUN(CASE(keeps_what_was_put), CASE(resumes_after_a_restart), CASE(expires_uploads),
       CASE(shares_by_link), CASE(spares_the_young), CASE(survives_every_failure))
