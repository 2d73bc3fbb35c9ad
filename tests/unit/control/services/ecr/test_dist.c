/* The distribution API and the ECR API over one store, without a network. */
#include "control/services/ecr/ecr.h"
#include "control/services/ecr/token.h"
#include "control/services/gen/ecr_handlers.h"

#include "fake_front.h"
#include "gt_test.h"
#include "lib/base/base64.h"
#include "lib/base/clock.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/oci/manifest.h"
#include "store/registry/registry.h"

#include <fcntl.h>

#define REPO "team/web"

static const unsigned char secret[32] = "0123456789abcdef0123456789abcdef";
static char dir[64], basic[2048];
static struct ecr_store *store;
static struct fake_front *front;
static struct fake_answer answer;

static void authorize(const char *key, int64_t expires)
{
    gt_auto_buf struct gt_buf plain = GT_BUF_INIT(4096), code = GT_BUF_INIT(4096);
    gt_buf_puts(&plain, "AWS:");
    assert_int_equal(ecr_token_make(secret, gt_str(key), GT_STR_LIT("000000000000"),
                                    GT_STR_LIT("us-east-1"), (struct gt_str){0}, expires, &plain),
                     0);
    gt_base64_encode(plain.p, plain.n, &code);
    snprintf(basic, sizeof(basic), "Basic %s", code.p);
}

static int create(const char *name, bool immutable)
{
    struct gt_err err = GT_ERR_INIT;
    struct data_req *rq = fake_data(front);
    struct ecr_create_repository_in in = {.repository_name = gt_str(name)};
    struct ecr_create_repository_out out = {0};
    if (immutable) {
        in.image_tag_mutability = GT_STR_LIT("IMMUTABLE");
    }
    int r = ecr_create_repository(rq, &in, &out, &err);
    if (r == 0) {
        assert_true(gt_str_is(out.repository->repository_name, name));
    } else {
        assert_string_equal(gt_err_aws_name(&err), "RepositoryAlreadyExistsException");
    }
    fake_data_done(rq);
    return r;
}

static int setup(void **state)
{
    struct gt_err err = GT_ERR_INIT;
    snprintf(dir, sizeof(dir), "/tmp/gt-ecr-XXXXXX");
    if (!mkdtemp(dir)) {
        return -1;
    }
    struct ecr_store_options o = {.dir = dir, .host = "127.0.0.1:4566", .secret = secret};
    gt_assert_ok(ecr_store_open(&o, &store, &err), err);
    front = fake_front_new(store, secret);
    authorize("AKIAROOT", gt_clock_real_ms() + 60000);
    assert_int_equal(create(REPO, false), 0);
    return 0;
}

static int teardown(void **state)
{
    fake_front_free(front);
    ecr_store_close(store);
    return gt_remove_tree(AT_FDCWD, dir, NULL);
}

/* One request with the token and up to one more header; returns the status. */
static int ask(const char *method, const char *path, const char *query, const char *header,
               const char *value, const char *body)
{
    struct fake_request rq = {.method = method,
                              .path = path,
                              .query = query,
                              .headers = {"authorization", basic, header, value},
                              .body = body,
                              .n = body ? strlen(body) : 0,
                              .piece = 3};
    fake_route(front, &ecr_routes[0], &rq, &answer);
    return answer.status;
}

#define V2 "/v2/" REPO "/"

static bool says(const char *code)
{
    char text[64];
    snprintf(text, sizeof(text), "\"code\":\"%s\"", code);
    return strstr(answer.body, text) != NULL;
}

static const char *digest_of(const char *text)
{
    static char out[4][OCI_DIGEST_TEXT + 1];
    static unsigned next;
    struct oci_digest d;
    oci_digest_of(text, strlen(text), &d);
    return oci_digest_text(&d, out[next++ % 4]);
}

/* The value of a header of the last answer. */
static char *header_of(const char *name)
{
    static char value[512];
    char key[64];
    snprintf(key, sizeof(key), "%s: ", name);
    const char *at = strstr(answer.headers, key);
    assert_non_null(at);
    at += strlen(key);
    snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\n"), at);
    return value;
}

static char *query_of(const char *digest)
{
    static char text[128];
    snprintf(text, sizeof(text), "digest=%s", digest);
    return text;
}

static void push_blob(const char *text)
{
    assert_int_equal(ask("POST", V2 "blobs/uploads/", query_of(digest_of(text)), NULL, NULL, text),
                     201);
}

static char *manifest_of(const char *layer)
{
    static char text[1024];
    snprintf(text, sizeof(text),
             "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_MANIFEST
             "\",\"config\":{\"mediaType\":\"" OCI_MEDIA_CONFIG
             "\",\"digest\":\"%s\",\"size\":2},\"layers\":[{\"mediaType\":\"" OCI_MEDIA_LAYER
             "\",\"digest\":\"%s\",\"size\":%zu}]}",
             digest_of("{}"), digest_of(layer), strlen(layer));
    return text;
}

static char *push_image(const char *tag, const char *layer)
{
    char path[128];
    push_blob("{}");
    push_blob(layer);
    snprintf(path, sizeof(path), V2 "manifests/%s", tag);
    assert_int_equal(ask("PUT", path, NULL, "content-type", OCI_MEDIA_MANIFEST, manifest_of(layer)),
                     201);
    return header_of("Docker-Content-Digest");
}

GT_TEST(wants_to_know_who_is_there)
{
    assert_int_equal(ask("GET", "/v2/", NULL, NULL, NULL, NULL), 200);
    struct fake_request rq = {.method = "GET", .path = "/v2/", .headers = {"host", "x:1"}};
    fake_route(front, &ecr_routes[0], &rq, &answer);
    assert_int_equal(answer.status, 401);
    assert_true(says("UNAUTHORIZED"));
    assert_string_equal(header_of("WWW-Authenticate"),
                        "Basic realm=\"http://x:1/\",service=\"ecr.amazonaws.com\"");
    authorize("AKIAROOT", gt_clock_real_ms() - 1);
    assert_int_equal(ask("GET", "/v2/", NULL, NULL, NULL, NULL), 401);
    authorize("AKIAGONE", gt_clock_real_ms() + 60000);
    assert_int_equal(ask("GET", "/v2/", NULL, NULL, NULL, NULL), 401);
    authorize("AKIANODE", gt_clock_real_ms() + 60000);
    assert_int_equal(ask("GET", "/v2/", NULL, NULL, NULL, NULL), 200);
    assert_int_equal(ask("GET", V2 "tags/list", NULL, NULL, NULL, NULL), 403);
    assert_int_equal(ask("GET", V2 "manifests/1", NULL, NULL, NULL, NULL),
                     403); /* it has no task */
    assert_true(says("DENIED"));
    assert_int_equal(ask("POST", V2 "blobs/uploads/", NULL, NULL, NULL, NULL), 403);
    assert_true(says("DENIED"));
    basic[20] ^= 1;
    assert_int_equal(ask("GET", "/v2/", NULL, NULL, NULL, NULL), 401);
    snprintf(basic, sizeof(basic), "Bearer x");
    assert_int_equal(ask("GET", "/v2/", NULL, NULL, NULL, NULL), 401);
}

GT_TEST(refuses_bad_requests)
{
    static const struct {
        const char *method, *path, *query, *header, *value, *body;
        int status;
        const char *code;
    } rows[] = {
        {"GET", "/v2/nope/tags/list", NULL, NULL, NULL, NULL, 404, "NAME_UNKNOWN"},
        {"POST", "/v2/nope/blobs/uploads/", NULL, NULL, NULL, NULL, 404, "NAME_UNKNOWN"},
        {"PUT", "/v2/nope/manifests/x", NULL, NULL, NULL, "{}", 404, "NAME_UNKNOWN"},
        {"GET", "/v2/UPPER/tags/list", NULL, NULL, NULL, NULL, 400, "NAME_INVALID"},
        {"GET", "/v2/..%2f..%2fetc/tags/list", NULL, NULL, NULL, NULL, 400, "NAME_INVALID"},
        {"GET", "/v2/a%00b/tags/list", NULL, NULL, NULL, NULL, 404, "NOT_FOUND"},
        {"GET", "/v2/_nothing", NULL, NULL, NULL, NULL, 404, "NOT_FOUND"},
        {"GET", V2 "manifests/none", NULL, NULL, NULL, NULL, 404, "MANIFEST_UNKNOWN"},
        {"GET", V2 "manifests/sha256:12", NULL, NULL, NULL, NULL, 404, "MANIFEST_UNKNOWN"},
        {"GET", V2 "blobs/sha256:12", NULL, NULL, NULL, NULL, 400, "DIGEST_INVALID"},
        {"GET", V2 "blobs/sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         NULL, NULL, NULL, NULL, 404, "BLOB_UNKNOWN"},
        {"PUT", V2 "manifests/v1", NULL, NULL, NULL, "", 400, "MANIFEST_INVALID"},
        {"PUT", V2 "manifests/v1", NULL, NULL, NULL, "{]", 400, "MANIFEST_INVALID"},
        {"PUT", V2 "manifests/-v1", NULL, NULL, NULL, "{}", 400, "TAG_INVALID"},
        {"PUT", V2 "tags/list", NULL, NULL, NULL, NULL, 405, "UNSUPPORTED"},
        {"PATCH", V2 "blobs/uploads/0123456789abcdef0123456789abcdef", NULL, NULL, NULL, "x", 404,
         "BLOB_UPLOAD_UNKNOWN"},
        {"POST", V2 "blobs/uploads/", "digest=sha256:zz", NULL, NULL, "x", 400, "DIGEST_INVALID"},
        {"POST", V2 "blobs/uploads/",
         "digest=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", NULL,
         NULL, "x", 400, "DIGEST_INVALID"},
        {"DELETE", V2 "manifests/none", NULL, NULL, NULL, NULL, 404, "MANIFEST_UNKNOWN"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(rows); i++) {
        int status = ask(rows[i].method, rows[i].path, rows[i].query, rows[i].header, rows[i].value,
                         rows[i].body);
        if (status != rows[i].status || !says(rows[i].code)) {
            fail_msg("%s %s: %d %s", rows[i].method, rows[i].path, status, answer.body);
        }
    }
    assert_int_equal(ask("GET", "/v2/nope/tags/list", NULL, NULL, NULL, NULL), 404);
    assert_non_null(strstr(answer.body, "The repository with name 'nope' does not exist in the "
                                        "registry with id '000000000000'"));
}

GT_TEST(uploads_in_chunks)
{
    char location[256];
    assert_int_equal(ask("POST", V2 "blobs/uploads/", NULL, NULL, NULL, NULL), 202);
    snprintf(location, sizeof(location), "%s", header_of("Location"));
    assert_string_equal(header_of("Range"), "0-0");
    assert_int_equal(ask("PATCH", location, NULL, "content-range", "0-4", "hello"), 202);
    assert_string_equal(header_of("Range"), "0-4");
    assert_int_equal(ask("PATCH", location, NULL, "content-range", "7-8", "xx"), 416);
    assert_string_equal(header_of("Range"), "0-4");
    assert_int_equal(ask("PATCH", location, NULL, "content-range", "0-4", "hello"), 416);
    assert_int_equal(ask("PATCH", location, NULL, "content-range", "5-9", "xx"), 400);
    assert_int_equal(ask("GET", location, NULL, NULL, NULL, NULL), 204);
    assert_string_equal(header_of("Range"), "0-4");
    assert_int_equal(ask("PATCH", location, NULL, NULL, NULL, ", "), 202);
    assert_int_equal(
        ask("PUT", location, query_of(digest_of("hello, world")), "content-range", "7-11", "world"),
        201);
    char path[256];
    snprintf(path, sizeof(path), V2 "blobs/%s", digest_of("hello, world"));
    assert_int_equal(ask("GET", path, NULL, NULL, NULL, NULL), 200);
    assert_string_equal(answer.body, "hello, world");
    assert_int_equal(ask("GET", path, NULL, "range", "bytes=7-", NULL), 206);
    assert_string_equal(answer.body, "world");
    assert_string_equal(header_of("Content-Range"), "bytes 7-11/12");
    assert_int_equal(ask("GET", path, NULL, "range", "bytes=12-", NULL), 416);
    assert_int_equal(ask("HEAD", path, NULL, NULL, NULL, NULL), 200);
    assert_int_equal(answer.length, 12);
    assert_int_equal(ask("GET", location, NULL, NULL, NULL, NULL), 404);
}

GT_TEST(goes_on_after_a_broken_connection)
{
    char location[256];
    assert_int_equal(ask("POST", V2 "blobs/uploads/", NULL, NULL, NULL, NULL), 202);
    snprintf(location, sizeof(location), "%s", header_of("Location"));
    struct fake_request rq = {.method = "PATCH",
                              .path = location,
                              .headers = {"authorization", basic},
                              .body = "hel",
                              .n = 3,
                              .cut = true};
    fake_route(front, &ecr_routes[0], &rq, &answer);
    assert_int_equal(ask("GET", location, NULL, NULL, NULL, NULL), 204);
    assert_string_equal(header_of("Range"), "0-2");
    assert_int_equal(ask("PUT", location, query_of(digest_of("hello")), NULL, NULL, "lo"), 201);
    /* in one piece there is nothing to go on with */
    rq = (struct fake_request){.method = "POST",
                               .path = V2 "blobs/uploads/",
                               .query = query_of(digest_of("hello!")),
                               .headers = {"authorization", basic},
                               .body = "hel",
                               .n = 3,
                               .cut = true};
    fake_route(front, &ecr_routes[0], &rq, &answer);
    assert_int_equal(ask("POST", V2 "blobs/uploads/", NULL, NULL, NULL, NULL), 202);
    snprintf(location, sizeof(location), "%s", header_of("Location"));
    assert_int_equal(ask("DELETE", location, NULL, NULL, NULL, NULL), 204);
    assert_int_equal(ask("DELETE", location, NULL, NULL, NULL, NULL), 404);
}

GT_TEST(mounts_from_another_repository)
{
    char query[256], path[256];
    assert_int_equal(create("other", false), 0);
    push_blob("layer");
    snprintf(query, sizeof(query), "mount=%s&from=" REPO, digest_of("layer"));
    assert_int_equal(ask("POST", "/v2/other/blobs/uploads/", query, NULL, NULL, NULL), 201);
    snprintf(path, sizeof(path), "/v2/other/blobs/%s", digest_of("layer"));
    assert_int_equal(ask("HEAD", path, NULL, NULL, NULL, NULL), 200);
    snprintf(query, sizeof(query), "mount=%s&from=nope", digest_of("layer"));
    assert_int_equal(ask("POST", "/v2/other/blobs/uploads/", query, NULL, NULL, NULL), 202);
    snprintf(query, sizeof(query), "mount=%s&from=" REPO, digest_of("absent"));
    assert_int_equal(ask("POST", "/v2/other/blobs/uploads/", query, NULL, NULL, NULL), 202);
}

GT_TEST(keeps_manifests)
{
    char path[256], text[1024];
    assert_int_equal(ask("PUT", V2 "manifests/v1", NULL, "content-type", OCI_MEDIA_MANIFEST,
                         manifest_of("layer")),
                     400);
    assert_true(says("MANIFEST_BLOB_UNKNOWN"));
    push_image("v1", "layer");
    snprintf(text, sizeof(text), "%s", manifest_of("layer"));
    assert_int_equal(ask("GET", V2 "manifests/v1", NULL, NULL, NULL, NULL), 200);
    assert_string_equal(answer.body, text);
    assert_string_equal(answer.content_type, OCI_MEDIA_MANIFEST);
    assert_string_equal(header_of("Docker-Content-Digest"), digest_of(text));
    snprintf(path, sizeof(path), V2 "manifests/%s", digest_of(text));
    assert_int_equal(ask("HEAD", path, NULL, NULL, NULL, NULL), 200);
    assert_int_equal(answer.length, strlen(text));
    snprintf(path, sizeof(path), V2 "manifests/%s", digest_of("another"));
    assert_int_equal(ask("PUT", path, NULL, NULL, NULL, text), 400);
    assert_true(says("DIGEST_INVALID"));
    push_image("a", "layer");
    push_image("b", "layer");
    assert_int_equal(ask("GET", V2 "tags/list", "n=2", NULL, NULL, NULL), 200);
    assert_string_equal(answer.body, "{\"name\":\"" REPO "\",\"tags\":[\"a\",\"b\"]}");
    assert_string_equal(header_of("Link"), "<" V2 "tags/list?last=b&n=2>; rel=\"next\"");
    assert_int_equal(ask("GET", V2 "tags/list", "n=2&last=b", NULL, NULL, NULL), 200);
    assert_string_equal(answer.body, "{\"name\":\"" REPO "\",\"tags\":[\"v1\"]}");
    assert_int_equal(ask("GET", V2 "tags/list", "n=0", NULL, NULL, NULL), 200);
    assert_string_equal(answer.body, "{\"name\":\"" REPO "\",\"tags\":[]}");
    assert_int_equal(ask("DELETE", V2 "manifests/a", NULL, NULL, NULL, NULL), 202);
    assert_int_equal(ask("GET", V2 "manifests/a", NULL, NULL, NULL, NULL), 404);
    assert_int_equal(ask("GET", V2 "manifests/b", NULL, NULL, NULL, NULL), 200);
    snprintf(path, sizeof(path), V2 "manifests/%s", digest_of(text));
    assert_int_equal(ask("DELETE", path, NULL, NULL, NULL, NULL), 202);
    assert_int_equal(ask("GET", V2 "manifests/b", NULL, NULL, NULL, NULL), 404);
}

GT_TEST(keeps_immutable_tags)
{
    struct data_req *rq = fake_data(front);
    struct ecr_put_image_tag_mutability_in in = {.repository_name = GT_STR_LIT(REPO),
                                                 .image_tag_mutability = GT_STR_LIT("IMMUTABLE")};
    struct ecr_put_image_tag_mutability_out out = {0};
    struct gt_err err = GT_ERR_INIT;
    push_image("v1", "layer");
    gt_assert_ok(ecr_put_image_tag_mutability(rq, &in, &out, &err), err);
    fake_data_done(rq);
    push_image("v1", "layer");
    push_blob("layer2");
    assert_int_equal(ask("PUT", V2 "manifests/v1", NULL, NULL, NULL, manifest_of("layer2")), 400);
    assert_true(says("TAG_INVALID"));
}

GT_TEST(answers_the_api)
{
    struct data_req *rq = fake_data(front);
    struct gt_err err = GT_ERR_INIT;
    assert_true(create(REPO, false) < 0);
    push_image("v1", "layer");
    push_image("v2", "layer");
    push_image("w1", "another");

    struct ecr_list_images_in list = {.repository_name = GT_STR_LIT(REPO)};
    size_t n = 0;
    WIRE_SET(&list, max_results, 1);
    do {
        struct ecr_list_images_out out = {0};
        gt_assert_ok(ecr_list_images(rq, &list, &out, &err), err);
        assert_int_equal(out.image_ids.n, 1);
        list.next_token = out.next_token;
        n++;
    } while (list.next_token.n && n < 10);
    assert_int_equal(n, 3);

    struct ecr_describe_images_in describe = {.repository_name = GT_STR_LIT(REPO)};
    struct ecr_describe_images_out details = {0};
    gt_assert_ok(ecr_describe_images(rq, &describe, &details, &err), err);
    assert_int_equal(details.image_details.n, 2);
    assert_int_equal(
        details.image_details.v[0].image_tags.n + details.image_details.v[1].image_tags.n, 3);
    struct ecr_image_identifier ids[] = {{.image_tag = GT_STR_LIT("w1")},
                                         {.image_tag = GT_STR_LIT("gone")},
                                         {.image_digest = GT_STR_LIT("x")},
                                         {{0}}};
    describe.image_ids = (struct ecr_image_identifier_list){.v = ids, .n = 2};
    assert_true(ecr_describe_images(rq, &describe, &details, &err) < 0);
    assert_string_equal(gt_err_aws_name(&err), "ImageNotFoundException");

    struct ecr_batch_get_image_in get = {.repository_name = GT_STR_LIT(REPO),
                                         .image_ids = {.v = ids, .n = 4}};
    struct ecr_batch_get_image_out got = {0};
    gt_assert_ok(ecr_batch_get_image(rq, &get, &got, &err), err);
    assert_int_equal(got.images.n, 1);
    assert_int_equal(got.failures.n, 3);
    assert_true(gt_str_is(got.failures.v[0].failure_code, "ImageNotFound"));
    assert_true(gt_str_is(got.failures.v[1].failure_code, "InvalidImageDigest"));
    assert_true(gt_str_is(got.failures.v[2].failure_code, "MissingDigestAndTag"));

    struct ecr_delete_repository_in delete = {.repository_name = GT_STR_LIT(REPO)};
    struct ecr_delete_repository_out deleted = {0};
    assert_true(ecr_delete_repository(rq, &delete, &deleted, &err) < 0);
    assert_string_equal(gt_err_aws_name(&err), "RepositoryNotEmptyException");

    struct ecr_batch_delete_image_in batch = {.repository_name = GT_STR_LIT(REPO),
                                              .image_ids = {.v = ids, .n = 1}};
    struct ecr_batch_delete_image_out gone = {0};
    gt_assert_ok(ecr_batch_delete_image(rq, &batch, &gone, &err), err);
    assert_int_equal(gone.image_ids.n, 1);
    assert_int_equal(gone.failures.n, 0);
    describe.image_ids.n = 0;
    details = (struct ecr_describe_images_out){0};
    gt_assert_ok(ecr_describe_images(rq, &describe, &details, &err), err);
    assert_int_equal(details.image_details.n, 1);

    WIRE_SET(&delete, force, true);
    gt_assert_ok(ecr_delete_repository(rq, &delete, &deleted, &err), err);
    assert_true(ecr_delete_repository(rq, &delete, &deleted, &err) < 0);
    assert_string_equal(gt_err_aws_name(&err), "RepositoryNotFoundException");
    assert_int_equal(create(REPO, false), 0);
    assert_int_equal(ask("GET", V2 "manifests/v1", NULL, NULL, NULL, NULL), 404);
    assert_int_equal(ask("GET", V2 "tags/list", NULL, NULL, NULL, NULL), 200);
    fake_data_done(rq);
}

GT_TEST(tags_a_repository)
{
    struct data_req *rq = fake_data(front);
    struct gt_err err = GT_ERR_INIT;
    struct ecr_tag tags[] = {{GT_STR_LIT("b"), GT_STR_LIT("2")},
                             {GT_STR_LIT("a"), GT_STR_LIT("1")}};
    const struct gt_str arn = GT_STR_LIT("arn:aws:ecr:us-east-1:000000000000:repository/" REPO);
    struct ecr_tag_resource_in in = {.resource_arn = arn, .tags = {.v = tags, .n = 2}};
    struct ecr_tag_resource_out out;
    gt_assert_ok(ecr_tag_resource(rq, &in, &out, &err), err);
    struct ecr_list_tags_for_resource_in list = {.resource_arn = arn};
    struct ecr_list_tags_for_resource_out listed = {0};
    gt_assert_ok(ecr_list_tags_for_resource(rq, &list, &listed, &err), err);
    assert_int_equal(listed.tags.n, 2);
    assert_true(gt_str_is(listed.tags.v[0].key, "a"));
    struct gt_str key = GT_STR_LIT("a");
    struct ecr_untag_resource_in untag = {.resource_arn = arn, .tag_keys = {.v = &key, .n = 1}};
    struct ecr_untag_resource_out untagged;
    gt_assert_ok(ecr_untag_resource(rq, &untag, &untagged, &err), err);
    gt_assert_ok(ecr_list_tags_for_resource(rq, &list, &listed, &err), err);
    assert_int_equal(listed.tags.n, 1);
    tags[0].key = GT_STR_LIT("aws:x");
    assert_true(ecr_tag_resource(rq, &in, &out, &err) < 0);
    assert_string_equal(gt_err_aws_name(&err), "InvalidTagParameterException");
    fake_data_done(rq);
}

static struct ecr_get_authorization_token_out *token_of(struct data_req *rq)
{
    static struct ecr_get_authorization_token_out out;
    struct ecr_get_authorization_token_in in = {0};
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(ecr_get_authorization_token(rq, &in, &out, &err), err);
    return &out;
}

GT_TEST(gives_a_token_that_is_taken)
{
    struct data_req *rq = fake_data(front);
    const struct ecr_authorization_data *d = token_of(rq)->authorization_data.v;
    snprintf(basic, sizeof(basic), "Basic " GT_STR_FMT, GT_STR_ARG(d->authorization_token));
    assert_true(gt_str_is(d->proxy_endpoint, "http://127.0.0.1:4566"));
    assert_int_equal(ask("GET", "/v2/", NULL, NULL, NULL, NULL), 200);
    fake_data_done(rq);
}

/* The core forgets everything, the registry does not: as after a crash in the middle of deletions.
 */
GT_TEST(drops_what_is_left_of_deleted_repositories)
{
    struct gt_arena arena;
    struct oci_str_list repos;
    struct gt_err err = GT_ERR_INIT;
    push_image("v1", "layer");
    fake_front_free(front);
    front = fake_front_new(store, secret);
    struct data_req *rq = fake_data(front);
    token_of(rq);
    gt_arena_init(&arena, GT_MIB);
    ecr_store_close(store);
    store = NULL;
    struct registry *registry;
    gt_assert_ok(registry_open(dir, &registry, &err), err);
    gt_assert_ok(registry_repos(registry, &arena, &repos, &err), err);
    assert_int_equal(repos.n, 0);
    registry_close(registry);
    gt_arena_fini(&arena);
    fake_data_done(rq);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
GT_RUN(CASE(wants_to_know_who_is_there), CASE(refuses_bad_requests), CASE(uploads_in_chunks),
       CASE(goes_on_after_a_broken_connection), CASE(mounts_from_another_repository),
       CASE(keeps_manifests), CASE(keeps_immutable_tags), CASE(answers_the_api),
       CASE(tags_a_repository), CASE(gives_a_token_that_is_taken),
       CASE(drops_what_is_left_of_deleted_repositories))
