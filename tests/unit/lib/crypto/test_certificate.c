#include "gt_test.h"

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/crypto/certificate.h"

#define DAY_MS (24 * 3600 * (int64_t)1000)

static const char *const names[] = {"localhost", "a.example", "10.1.2.3", "::1"};

static void make(struct gt_certificate *ca, struct gt_certificate *c, int64_t now)
{
    struct gt_err err;
    gt_assert_ok(gt_certificate_authority("an authority", now, 3650 * DAY_MS, ca, &err), err);
    gt_assert_ok(gt_certificate_issue(ca, names, GT_ARRAY_LEN(names), now, 90 * DAY_MS, c, &err),
                 err);
}

GT_TEST(a_certificate_fits_its_authority_and_names)
{
    struct gt_certificate ca = GT_CERTIFICATE_INIT, c = GT_CERTIFICATE_INIT,
                          other = GT_CERTIFICATE_INIT;
    struct gt_err err;
    int64_t now = gt_clock_real_ms();
    make(&ca, &c, now);
    assert_true(gt_certificate_fits(&c, &ca, names, GT_ARRAY_LEN(names)));
    assert_false(gt_certificate_fits(&c, &ca, (const char *const[]){"b.example"}, 1));
    assert_false(gt_certificate_fits(&c, &ca, (const char *const[]){"10.1.2.4"}, 1));
    assert_int_equal(gt_certificate_end(&c) / 1000, (now + 90 * DAY_MS) / 1000);
    gt_assert_ok(gt_certificate_authority("an authority", now, DAY_MS, &other, &err), err);
    assert_false(gt_certificate_fits(&c, &other, names, 1));
    struct gt_certificate mixed = {.pem = c.pem, .key = other.key};
    assert_false(gt_certificate_fits(&mixed, &ca, names, 1));
    gt_certificate_fini(&ca);
    gt_certificate_fini(&c);
    gt_certificate_fini(&other);
}

GT_TEST(the_hash_is_of_the_certificate_and_not_of_its_text)
{
    struct gt_certificate ca = GT_CERTIFICATE_INIT, c = GT_CERTIFICATE_INIT;
    char a[GT_SHA256_HEX], b[GT_SHA256_HEX];
    struct gt_err err;
    make(&ca, &c, gt_clock_real_ms());
    gt_assert_ok(gt_certificate_hash(gt_buf_view(&ca.pem), a, &err), err);
    gt_auto_free char *noted = gt_asprintf("# ours\n%s\n%s", ca.pem.p, c.pem.p);
    gt_assert_ok(gt_certificate_hash(gt_str(noted), b, &err), err);
    assert_string_equal(a, b);
    gt_assert_ok(gt_certificate_hash(gt_buf_view(&c.pem), b, &err), err);
    assert_string_not_equal(a, b);
    assert_true(gt_certificate_hash(GT_STR_LIT("nothing"), b, &err) < 0);
    assert_true(gt_certificate_hash(gt_str(NULL), b, &err) < 0);
    gt_certificate_fini(&ca);
    gt_certificate_fini(&c);
}

GT_TEST(damaged_files_are_not_used)
{
    struct gt_certificate ca = GT_CERTIFICATE_INIT, c = GT_CERTIFICATE_INIT,
                          none = GT_CERTIFICATE_INIT;
    struct gt_err err;
    make(&ca, &c, gt_clock_real_ms());
    for (size_t n = 0; n < c.pem.n - 1; n += 7) {
        struct gt_certificate cut = {.pem = c.pem, .key = c.key};
        cut.pem.n = n;
        assert_false(gt_certificate_fits(&cut, &ca, names, 1));
    }
    assert_int_equal(gt_certificate_end(&none), 0);
    assert_true(gt_certificate_issue(&none, names, 1, 0, DAY_MS, &none, &err) < 0);
    gt_certificate_fini(&ca);
    gt_certificate_fini(&c);
    gt_certificate_fini(&none);
}

GT_RUN(GT_CASE(a_certificate_fits_its_authority_and_names),
       GT_CASE(the_hash_is_of_the_certificate_and_not_of_its_text),
       GT_CASE(damaged_files_are_not_used))
