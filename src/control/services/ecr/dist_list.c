/* Lists: tags, repositories, and what refers to a manifest. All come in pages by ?n= and ?last=. */
#include "control/services/ecr/dist.h"
#include "lib/base/limits.h"
#include "lib/wire/uri.h"

#include <jansson.h>
#include <stdio.h>

#define TAGS_MAX 1000
#define REPOS_MAX 1000
#define REFERRERS_MAX 100
/* A page of referrers ends here: clients take no more than 4 MiB. */
#define REFERRERS_BYTES (3 * GT_MIB)

/* ?n=, at most `max`: 1, or 0 when it was answered that it is no number. */
static int need_limit(struct dist *d, size_t max, size_t *ret)
{
    struct gt_str text = dist_query(d, "n");
    size_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            dist_error(d, DIST_PAGINATION_NUMBER_INVALID, NULL);
            return 0;
        }
        v = GT_MIN(v * 10 + (size_t)(text.p[i] - '0'), max);
    }
    *ret = text.n ? v : max;
    return 1;
}

/* Where the next page is, when there is one. `more` is further parameters, encoded. */
static void link_next(struct dist *d, struct http_answer *a, const char *path, struct gt_str last,
                      size_t limit, const char *more)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_LIMIT_URL);
    gt_buf_printf(&text, "</v2/%s?last=", path);
    wire_uri_encode(last, /* keep_slash= */ true, &text);
    gt_buf_printf(&text, "&n=%zu%s>; rel=\"next\"", limit, more);
    http_answer_header(a, "Link", gt_arena_str(dist_arena(d), gt_buf_view(&text)));
}

/* "member":[...] of texts that hold nothing that JSON would escape: names and tags. */
static void put_texts(struct gt_buf *to, const char *member, const struct gt_str *v, size_t n)
{
    gt_buf_printf(to, "\"%s\":[", member);
    for (size_t i = 0; i < n; i++) {
        gt_buf_printf(to, "%s\"" GT_STR_FMT "\"", i ? "," : "", GT_STR_ARG(v[i]));
    }
    gt_buf_putc(to, ']');
}

static int tags_get(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_str_list tags;
    size_t limit;
    if (!dist_need_repo(d) || !need_limit(d, TAGS_MAX, &limit)) {
        return 0;
    }
    int r = registry_tags(dist_store(d)->registry, d->repo.store, dist_query(d, "last"), limit + 1,
                          dist_arena(d), &tags, &err);
    if (r < 0) {
        return dist_fault(d, &err);
    }
    struct http_answer a = dist_answer(200);
    a.content_type = "application/json";
    gt_buf_printf(&a.body, "{\"name\":\"" GT_STR_FMT "\",", GT_STR_ARG(d->path.name));
    put_texts(&a.body, "tags", tags.v, GT_MIN(tags.n, limit));
    gt_buf_putc(&a.body, '}');
    if (tags.n > limit && limit > 0) {
        link_next(d, &a,
                  gt_arena_printf(dist_arena(d), GT_STR_FMT "/tags/list", GT_STR_ARG(d->path.name)),
                  tags.v[limit - 1], limit, "");
    }
    route_answer(d->rq, &a);
    return 0;
}

/* The repositories of the caller's registry. */
static int catalog_get(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct ecr_repo *v;
    size_t limit, n = 0;
    bool more = false;
    struct ecr_scope scope = {.account = gt_str(d->caller.account),
                              .region = gt_str(d->caller.region)};
    if (!need_limit(d, REPOS_MAX, &limit)) {
        return 0;
    }
    if (limit > 0 && ecr_repo_list(route_data(d->rq), scope, dist_query(d, "last"), limit, &v, &n,
                                   &more, &err) < 0) {
        return dist_fault(d, &err);
    }
    struct gt_str *names = gt_arena_array(dist_arena(d), struct gt_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        names[i] = v[i].name;
    }
    struct http_answer a = dist_answer(200);
    a.content_type = "application/json";
    gt_buf_putc(&a.body, '{');
    put_texts(&a.body, "repositories", names, n);
    gt_buf_putc(&a.body, '}');
    if (more) {
        link_next(d, &a, "_catalog", names[n - 1], limit, "");
    }
    route_answer(d->rq, &a);
    return 0;
}

/* -- referrers: distribution-spec 1.1, "Listing Referrers" -- */

static json_t *text_json(struct gt_str s)
{
    return json_stringn(s.p ? s.p : "", s.n);
}

/* The descriptor of one manifest, NULL when `type` is wanted and it is of another. The annotations
 * are in its document alone. */
static json_t *referrer(struct dist *d, const struct registry_manifest *row, struct gt_str type)
{
    char digest[OCI_DIGEST_TEXT + 1];
    struct registry_manifest m;
    struct oci_manifest doc;
    struct gt_arena a;
    struct gt_str is = row->artifact_type.n ? row->artifact_type : row->config_type;
    if (type.n && !gt_str_eq(type, is)) {
        return NULL;
    }
    json_t *annotations = NULL;
    gt_arena_init(&a, GT_LIMIT_API_ARENA);
    if (registry_manifest_get(dist_store(d)->registry, d->repo.store, &row->digest,
                              (struct gt_str){0}, /* with_body= */ true, &a, &m, NULL) == 0 &&
        oci_manifest_parse(m.body, row->media_type, &a, &doc, NULL) == 0 && doc.annotations.n) {
        annotations = json_object();
        for (size_t i = 0; i < doc.annotations.n; i++) {
            json_object_set_new_nocheck(annotations, gt_arena_str(&a, doc.annotations.v[i].key),
                                        text_json(doc.annotations.v[i].value));
        }
    }
    gt_arena_fini(&a);
    json_t *j = json_pack("{s:o, s:s, s:I}", "mediaType", text_json(row->media_type), "digest",
                          oci_digest_text(&row->digest, digest), "size", (json_int_t)row->size);
    if (is.n) {
        json_object_set_new(j, "artifactType", text_json(is));
    }
    if (annotations) {
        json_object_set_new(j, "annotations", annotations);
    }
    return j;
}

/* Writes descriptors until the page is full; returns how many rows were looked at. */
static size_t put_referrers(struct dist *d, const struct registry_manifest *v, size_t n,
                            struct gt_str type, struct gt_buf *to)
{
    size_t i = 0, written = 0;
    gt_buf_puts(to, "{\"schemaVersion\":2,\"mediaType\":\"" OCI_MEDIA_INDEX "\",\"manifests\":[");
    for (; i < n && (i == 0 || to->n < REFERRERS_BYTES); i++) {
        json_t *j = referrer(d, &v[i], type);
        if (j) {
            char *text = json_dumps(j, JSON_COMPACT);
            GT_ASSERT(text);
            gt_buf_printf(to, "%s%s", written++ ? "," : "", text);
            free(text);
            json_decref(j);
        }
    }
    gt_buf_puts(to, "]}");
    return i;
}

static int referrers_get(struct dist *d)
{
    struct gt_err err = GT_ERR_INIT;
    struct oci_digest subject, after;
    struct registry_manifest *v;
    size_t limit, n;
    if (!dist_need_digest(d, &subject) || !dist_need_repo(d) ||
        !need_limit(d, REFERRERS_MAX, &limit)) {
        return 0;
    }
    struct gt_str last = dist_query(d, "last"), type = dist_query(d, "artifactType");
    if (last.n && oci_digest_parse(last, &after, &err) < 0) {
        return dist_error(d, DIST_DIGEST_INVALID, err.msg);
    }
    if (registry_referrers(dist_store(d)->registry, d->repo.store, &subject, last.n ? &after : NULL,
                           limit + 1, dist_arena(d), &v, &n, &err) < 0) {
        return dist_fault(d, &err);
    }
    struct http_answer a = dist_answer(200);
    a.content_type = OCI_MEDIA_INDEX;
    size_t shown = put_referrers(d, v, GT_MIN(n, limit), type, &a.body);
    gt_auto_buf struct gt_buf more = GT_BUF_INIT(GT_LIMIT_URL);
    if (type.n) {
        http_answer_header(&a, "OCI-Filters-Applied", "artifactType");
        gt_buf_puts(&more, "&artifactType=");
        wire_uri_encode(type, /* keep_slash= */ false, &more);
    }
    if (shown > 0 && shown < n) {
        char text[OCI_DIGEST_TEXT + 1];
        link_next(d, &a,
                  gt_arena_printf(dist_arena(d), GT_STR_FMT "/referrers/" GT_STR_FMT,
                                  GT_STR_ARG(d->path.name), GT_STR_ARG(d->path.reference)),
                  gt_str(oci_digest_text(&v[shown - 1].digest, text)), limit, more.p ? more.p : "");
    }
    route_answer(d->rq, &a);
    return 0;
}

const struct dist_op dist_list_ops[] = {
    {DIST_TAGS, HTTP_GET, /* writes= */ false, NULL, tags_get},
    {DIST_CATALOG, HTTP_GET, /* writes= */ false, NULL, catalog_get},
    {DIST_REFERRERS, HTTP_GET, /* writes= */ false, NULL, referrers_get},
    {0},
};
