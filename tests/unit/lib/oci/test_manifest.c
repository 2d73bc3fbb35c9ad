#include "lib/oci/manifest.h"

#include "gt_test.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

#define D1 "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define CONFIG                                                                                     \
    "\"config\":{\"mediaType\":\"" OCI_MEDIA_CONFIG "\",\"digest\":\"" D1 "\",\"size\":3}"
#define LAYER "{\"mediaType\":\"" OCI_MEDIA_LAYER_GZIP "\",\"digest\":\"" D1 "\",\"size\":0}"

static int parse(const char *text, const char *type, struct gt_arena *a, struct oci_manifest *m,
                 struct gt_err *err)
{
    *err = GT_ERR_INIT;
    return oci_manifest_parse(gt_str(text), gt_str(type), a, m, err);
}

GT_TEST(reads_a_manifest)
{
    struct gt_arena a;
    struct oci_manifest m;
    struct gt_err err;
    gt_arena_init(&a, GT_MIB);
    gt_assert_ok(parse("{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER "," LAYER
                       "],\"annotations\":{\"k\":\"v\"},\"subject\":" LAYER "}",
                       OCI_MEDIA_MANIFEST, &a, &m, &err),
                 err);
    assert_false(m.is_index);
    assert_true(gt_str_is(m.media_type, OCI_MEDIA_MANIFEST));
    assert_int_equal(m.layers.n, 2);
    assert_int_equal(m.config.size, 3);
    assert_true(m.has_subject);
    assert_true(gt_str_is(m.annotations.v[0].value, "v"));
    char text[OCI_DIGEST_TEXT + 1];
    assert_string_equal(oci_digest_text(&m.config.digest, text), D1);
    gt_arena_fini(&a);
}

GT_TEST(reads_an_index_and_picks)
{
    struct gt_arena a;
    struct oci_manifest m;
    struct gt_err err;
    gt_arena_init(&a, GT_MIB);
    gt_assert_ok(
        parse("{\"schemaVersion\":2,\"manifests\":["
              "{\"mediaType\":\"" OCI_MEDIA_MANIFEST "\",\"digest\":\"" D1
              "\",\"size\":1,\"platform\":{\"os\":\"unknown\",\"architecture\":\"unknown\"}},"
              "{\"mediaType\":\"" OCI_MEDIA_MANIFEST "\",\"digest\":\"" D1
              "\",\"size\":2,\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"}},"
              "{\"mediaType\":\"" OCI_MEDIA_MANIFEST "\",\"digest\":\"" D1
              "\",\"size\":3,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
              "", &a, &m, &err),
        err);
    assert_true(m.is_index);
    assert_true(gt_str_is(m.media_type, OCI_MEDIA_INDEX));
    assert_int_equal(oci_index_pick(&m, "linux", "amd64", "")->size, 3);
    assert_int_equal(oci_index_pick(&m, "linux", "arm64", "v8")->size, 2);
    assert_null(oci_index_pick(&m, "windows", "amd64", ""));
    gt_arena_fini(&a);
}

GT_TEST(refuses_what_is_not_one)
{
    static const struct {
        const char *text, *type;
    } bad[] = {
        {"", ""},
        {"[]", ""},
        {"{}", ""},
        {"{\"schemaVersion\":1," CONFIG ",\"layers\":[]}", ""},
        {"{\"schemaVersion\":2,\"layers\":[]}", ""},
        {"{\"schemaVersion\":2," CONFIG "}", ""},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"layers\":[]}", ""},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"manifests\":[]}", ""},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[7]}", ""},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":{}}", ""},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", OCI_MEDIA_INDEX},
        {"{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_MANIFEST "\"," CONFIG ",\"layers\":[]}",
         OCI_MEDIA_INDEX},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", OCI_MEDIA_DOCKER_SCHEMA1},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"sha256:00\",\"size\":"
         "1},\"layers\":[]}",
         ""},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"" D1
         "\",\"size\":-1},\"layers\":[]}",
         ""},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"x\",\"digest\":\"" D1
         "\"},\"layers\":[]}",
         ""},
        {"{\"schemaVersion\":2,\"mediaType\":\"text/plain\"," CONFIG ",\"layers\":[]}", ""},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(bad); i++) {
        struct gt_arena a;
        struct oci_manifest m;
        struct gt_err err;
        gt_arena_init(&a, GT_MIB);
        if (parse(bad[i].text, bad[i].type, &a, &m, &err) == 0) {
            fail_msg("taken: %s", bad[i].text);
        }
        assert_true(err.kind != GT_ERR_NONE);
        gt_arena_fini(&a);
    }
}

GT_TEST(refuses_bombs)
{
    struct gt_arena a;
    struct oci_manifest m;
    struct gt_err err;
    gt_arena_init(&a, 8 * GT_MIB);
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(8 * GT_MIB);
    for (int i = 0; i < 100000; i++) {
        gt_buf_puts(&b, "[");
    }
    assert_true(parse(b.p, "", &a, &m, &err) < 0);
    assert_int_equal(err.kind, GT_ERR_TOO_LARGE);
    gt_buf_reset(&b);
    gt_buf_puts(&b, "{\"schemaVersion\":2,\"manifests\":[0");
    for (int i = 0; i < 1000000; i++) {
        gt_buf_puts(&b, ",0");
    }
    gt_buf_puts(&b, "]}");
    assert_true(parse(b.p, "", &a, &m, &err) < 0);
    assert_int_equal(err.kind, GT_ERR_TOO_LARGE);
    gt_buf_reset(&b);
    gt_buf_puts(&b, "{\"schemaVersion\":2," CONFIG ",\"layers\":[" LAYER);
    for (int i = 0; i < OCI_LIMIT_DESCRIPTORS; i++) {
        gt_buf_puts(&b, "," LAYER);
    }
    gt_buf_puts(&b, "]}");
    assert_true(parse(b.p, "", &a, &m, &err) < 0);
    assert_int_equal(err.kind, GT_ERR_TOO_LARGE);
    gt_arena_fini(&a);
}

GT_TEST(reads_a_configuration)
{
    static const char text[] =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"www\",\"Env\":[\"A="
        "b\"]"
        ",\"Entrypoint\":[\"/bin/x\"],\"Cmd\":null,\"ExposedPorts\":{\"80/tcp\":{}},\"Volumes\":{"
        "\"/data\":{}},\"WorkingDir\":\"/"
        "srv\",\"StopSignal\":\"SIGQUIT\",\"Healthcheck\":{\"Test\":"
        "[\"CMD\",\"true\"],\"Interval\":5000000000,\"Retries\":3}},\"rootfs\":{\"type\":"
        "\"layers\","
        "\"diff_ids\":[\"" D1 "\"]}}";
    struct gt_arena a;
    struct oci_image_config c;
    struct gt_err err = GT_ERR_INIT;
    gt_arena_init(&a, GT_MIB);
    gt_assert_ok(oci_image_config_parse(gt_str(text), &a, &c, &err), err);
    assert_true(gt_str_is(c.user, "www"));
    assert_true(gt_str_is(c.entrypoint.v[0], "/bin/x"));
    assert_int_equal(c.cmd.n, 0);
    assert_true(gt_str_is(c.exposed_ports.v[0], "80/tcp"));
    assert_true(gt_str_is(c.volumes.v[0], "/data"));
    assert_int_equal(c.healthcheck.interval, 5000000000);
    assert_int_equal(c.healthcheck.retries, 3);
    assert_int_equal(c.n_diff_ids, 1);
    assert_true(oci_image_config_parse(gt_str("{\"config\":[]}"), &a, &c, &err) < 0);
    assert_true(
        oci_image_config_parse(gt_str("{\"rootfs\":{\"diff_ids\":[\"x\"]}}"), &a, &c, &err) < 0);
    gt_arena_fini(&a);
}

GT_TEST(digests)
{
    struct oci_digest d;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(oci_digest_parse(gt_str(D1), &d, &err), err);
    struct oci_digest empty;
    oci_digest_of(NULL, 0, &empty);
    assert_true(oci_digest_eq(&d, &empty));
    assert_int_equal(oci_digest_parse(gt_str("sha512:abc"), &d, &err), -ENOTSUP);
    assert_int_equal(oci_digest_parse(gt_str("sha256:../../etc"), &d, &err), -EINVAL);
    assert_int_equal(oci_digest_parse(gt_str("sha256:E3B0c44298fc1c149afbf4c8996fb92427ae41e4649b93"
                                             "4ca495991b7852b855"),
                                      &d, &err),
                     -EINVAL);
    assert_int_equal(oci_media_kind(gt_str(OCI_MEDIA_INDEX "; charset=utf-8")),
                     OCI_MEDIA_KIND_INDEX);
    assert_int_equal(oci_media_compression(gt_str(OCI_MEDIA_DOCKER_LAYER_GZIP)), OCI_GZIP);
    assert_int_equal(oci_media_compression(gt_str(OCI_MEDIA_LAYER_ZSTD)), OCI_ZSTD);
}

GT_RUN(GT_CASE(reads_a_manifest), GT_CASE(reads_an_index_and_picks),
       GT_CASE(refuses_what_is_not_one), GT_CASE(refuses_bombs), GT_CASE(reads_a_configuration),
       GT_CASE(digests))
