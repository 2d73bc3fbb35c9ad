/* Images as the ECR API sees them: manifests and tags of store/registry. */
#include "control/services/ecr/repository.h"
#include "control/services/gen/ecr_handlers.h"
#include "lib/base/limits.h"
#include "lib/oci/reference.h"

#include <errno.h>

#define PAGE 100
/* A page ends here, and a batch is refused from here on: what was read is in the request's arena,
 * and is to fit an answer when every byte of it is escaped. */
#define PAGE_BYTES (7 * GT_MIB)

static struct gt_str digest_text(struct gt_arena *a, const struct oci_digest *d)
{
    char text[OCI_DIGEST_TEXT + 1];
    return gt_str(gt_arena_strdup(a, oci_digest_text(d, text)));
}

static int find_repo(struct data_req *rq, struct gt_str registry_id, struct gt_str name,
                     struct ecr_repo *ret, struct gt_err *err)
{
    return ecr_repo_find(rq, ecr_scope_of(rq), registry_id, name, ret, err);
}

static struct registry *registry_of(struct data_req *rq)
{
    return ((struct ecr_store *)data_store(rq))->registry;
}

static enum registry_filter filter_of(struct gt_str status)
{
    if (gt_str_is(status, ECR_TAG_STATUS_TAGGED)) {
        return REGISTRY_TAGGED;
    }
    return gt_str_is(status, ECR_TAG_STATUS_UNTAGGED) ? REGISTRY_UNTAGGED : REGISTRY_ANY;
}

/* -- ListImages: one entry for each tag, and one for each manifest without a tag -- */

struct listing {
    struct data_req *rq;
    struct ecr_repo repo;
    enum registry_filter filter;
    size_t limit;
    struct ecr_image_identifier *v;
    size_t n;
    bool more;
};

/* False when the page is full. */
static bool list_add(struct listing *l, struct gt_str digest, struct gt_str tag)
{
    if (l->n == l->limit) {
        l->more = true;
        return false;
    }
    l->v[l->n++] = (struct ecr_image_identifier){.image_digest = digest, .image_tag = tag};
    return true;
}

/* The tags of a manifest after `after`. Returns 1, or 0 when the page is full. */
static int list_manifest(struct listing *l, const struct oci_digest *d, struct gt_str after,
                         struct gt_err *err)
{
    struct gt_arena *a = data_arena(l->rq);
    struct oci_str_list tags;
    int r = registry_tags_of(registry_of(l->rq), l->repo.store, d, a, &tags, err);
    if (r < 0) {
        return r;
    }
    struct gt_str digest = digest_text(a, d);
    if (tags.n == 0 && after.n == 0) {
        return l->filter == REGISTRY_TAGGED || list_add(l, digest, (struct gt_str){0});
    }
    for (size_t i = 0; i < tags.n && l->filter != REGISTRY_UNTAGGED; i++) {
        if (gt_str_cmp(tags.v[i], after) > 0 && !list_add(l, digest, tags.v[i])) {
            return 0;
        }
    }
    return 1;
}

static int list_all(struct listing *l, const struct oci_digest *from, struct gt_err *err)
{
    struct oci_digest at;
    const struct oci_digest *after = NULL;
    if (from) {
        at = *from;
        after = &at;
    }
    for (;;) {
        struct registry_manifest *v;
        size_t n;
        int r = registry_manifests(registry_of(l->rq), l->repo.store, after, l->filter, PAGE,
                                   data_arena(l->rq), &v, &n, err);
        for (size_t i = 0; r >= 0 && i < n; i++) {
            r = list_manifest(l, &v[i].digest, (struct gt_str){0}, err);
            if (r == 0) {
                return 0;
            }
        }
        if (r < 0 || n < PAGE) {
            return r < 0 ? r : 0;
        }
        at = v[n - 1].digest;
        after = &at;
    }
}

/* A position is the last entry given: its digest and, after a blank, its tag. */
static int position_parse(struct gt_str text, struct oci_digest *ret, struct gt_str *ret_tag,
                          struct gt_err *err)
{
    *ret_tag = (struct gt_str){0};
    const char *blank = memchr(text.p, ' ', text.n);
    if (blank) {
        size_t n = (size_t)(blank - text.p);
        *ret_tag = gt_str_n(blank + 1, text.n - n - 1);
        text.n = n;
    }
    if (oci_digest_parse(text, ret, NULL) < 0) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException",
                          "Invalid parameter at 'nextToken' failed to satisfy constraint: "
                          "'must be a token of an earlier answer'");
    }
    return 0;
}

int ecr_list_images(struct data_req *rq, const struct ecr_list_images_in *in,
                    struct ecr_list_images_out *out, struct gt_err *err)
{
    struct gt_arena *a = data_arena(rq);
    struct listing l = {.rq = rq, .limit = in->has_max_results ? (size_t)in->max_results : PAGE};
    struct oci_digest from;
    struct gt_str tag = {0};
    int r = find_repo(rq, in->registry_id, in->repository_name, &l.repo, err);
    if (r == 0 && in->next_token.n) {
        r = position_parse(in->next_token, &from, &tag, err);
    }
    if (r < 0) {
        return r;
    }
    l.filter = in->filter ? filter_of(in->filter->tag_status) : REGISTRY_ANY;
    l.v = gt_arena_array(a, struct ecr_image_identifier, l.limit + 1);
    r = tag.n ? list_manifest(&l, &from, tag, err) : 1;
    if (r > 0) {
        r = list_all(&l, in->next_token.n ? &from : NULL, err);
    }
    if (r < 0) {
        return r;
    }
    out->image_ids.v = l.v;
    out->image_ids.n = l.n;
    out->image_ids.has = true;
    if (l.more) {
        const struct ecr_image_identifier *last = &l.v[l.n - 1];
        out->next_token = last->image_tag.n ? gt_str(gt_arena_printf(a, GT_STR_FMT " " GT_STR_FMT,
                                                                     GT_STR_ARG(last->image_digest),
                                                                     GT_STR_ARG(last->image_tag)))
                                            : last->image_digest;
    }
    return 0;
}

/* -- DescribeImages -- */

static int detail(struct data_req *rq, const struct ecr_repo *repo,
                  const struct registry_manifest *m, struct ecr_image_detail *d, struct gt_err *err)
{
    struct oci_str_list tags;
    int r = registry_tags_of(registry_of(rq), repo->store, &m->digest, data_arena(rq), &tags, err);
    if (r < 0) {
        return r;
    }
    *d = (struct ecr_image_detail){.registry_id = repo->account, .repository_name = repo->name};
    d->image_digest = digest_text(data_arena(rq), &m->digest);
    d->image_tags = (struct wire_str_list){.v = tags.v, .n = tags.n};
    WIRE_SET(d, image_size_in_bytes, m->image_size);
    WIRE_SET(d, image_pushed_at, m->pushed_ms);
    d->image_manifest_media_type = m->media_type;
    const struct gt_str artifact = m->artifact_type.n ? m->artifact_type : m->config_type;
    if (artifact.n) {
        d->artifact_media_type = artifact;
    }
    return 0;
}

static int image_missing(const struct ecr_image_identifier *id, const struct ecr_repo *repo,
                         struct gt_err *err)
{
    return gt_err_aws(err, GT_ERR_NOT_FOUND, "ImageNotFoundException",
                      "The image with imageId {imageDigest:'" GT_STR_FMT "', imageTag:'" GT_STR_FMT
                      "'} does not exist within the repository with name '" GT_STR_FMT
                      "' in the registry with id '" GT_STR_FMT "'",
                      GT_STR_ARG(id->image_digest.n ? id->image_digest : GT_STR_LIT("null")),
                      GT_STR_ARG(id->image_tag.n ? id->image_tag : GT_STR_LIT("null")),
                      GT_STR_ARG(repo->name), GT_STR_ARG(repo->account));
}

/* What AWS takes for a digest: [a-zA-Z0-9-_+.]+:[a-fA-F0-9]+ */
static bool digest_shaped(struct gt_str s)
{
    static const char algorithm[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+.";
    size_t i = 0, n = 0;
    while (i < s.n && s.p[i] && strchr(algorithm, s.p[i])) {
        i++;
    }
    if (i == 0 || i == s.n || s.p[i++] != ':') {
        return false;
    }
    for (; i < s.n && s.p[i] && strchr("0123456789abcdefABCDEF", s.p[i]); i++) {
        n++;
    }
    return n > 0 && i == s.n;
}

/* Why an id leads to no image; NULL: it does, *ret is filled. < 0 in *ret_rc for other errors. */
static const char *resolve(struct data_req *rq, const struct ecr_repo *repo,
                           const struct ecr_image_identifier *id, bool with_body,
                           struct registry_manifest *ret, int *ret_rc, struct gt_err *err)
{
    struct oci_digest d;
    *ret_rc = 0;
    if (!id->image_digest.n && !id->image_tag.n) {
        return ECR_IMAGE_FAILURE_CODE_MISSING_DIGEST_AND_TAG;
    }
    if (id->image_digest.n && oci_digest_parse(id->image_digest, &d, NULL) < 0) {
        return digest_shaped(id->image_digest) ? ECR_IMAGE_FAILURE_CODE_IMAGE_NOT_FOUND
                                               : ECR_IMAGE_FAILURE_CODE_INVALID_IMAGE_DIGEST;
    }
    if (id->image_tag.n && !oci_tag_valid(id->image_tag)) {
        return ECR_IMAGE_FAILURE_CODE_INVALID_IMAGE_TAG;
    }
    struct gt_err why = GT_ERR_INIT;
    int r = registry_manifest_get(registry_of(rq), repo->store, id->image_tag.n ? NULL : &d,
                                  id->image_tag, with_body, data_arena(rq), ret, &why);
    if (r < 0 && r != -ENOENT) {
        *err = why;
        *ret_rc = r;
        return ECR_IMAGE_FAILURE_CODE_IMAGE_NOT_FOUND;
    }
    if (r == 0 && id->image_tag.n && id->image_digest.n && !oci_digest_eq(&ret->digest, &d)) {
        return ECR_IMAGE_FAILURE_CODE_IMAGE_TAG_DOES_NOT_MATCH_DIGEST;
    }
    return r < 0 ? ECR_IMAGE_FAILURE_CODE_IMAGE_NOT_FOUND : NULL;
}

/* The words for a failure of resolve(). */
static const char *reason_of(const char *code)
{
    static const struct {
        const char *code, *reason;
    } usual[] = {
        {ECR_IMAGE_FAILURE_CODE_MISSING_DIGEST_AND_TAG,
         "Invalid request parameters: both tag and digest cannot be null"},
        {ECR_IMAGE_FAILURE_CODE_INVALID_IMAGE_DIGEST,
         "Invalid request parameters: image digest should satisfy the regex "
         "'[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"},
        {ECR_IMAGE_FAILURE_CODE_INVALID_IMAGE_TAG,
         "Invalid request parameters: image tag should satisfy the regex "
         "'[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'"},
        {ECR_IMAGE_FAILURE_CODE_IMAGE_TAG_DOES_NOT_MATCH_DIGEST,
         "Requested image tag does not match the requested image digest"},
        {ECR_IMAGE_FAILURE_CODE_IMAGE_NOT_FOUND, "Requested image not found"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(usual); i++) {
        if (gt_streq(usual[i].code, code)) {
            return usual[i].reason;
        }
    }
    return code;
}

static bool filter_takes(enum registry_filter filter, bool tagged)
{
    return filter == REGISTRY_ANY || (filter == REGISTRY_TAGGED) == tagged;
}

static int describe_named(struct data_req *rq, const struct ecr_repo *repo,
                          const struct ecr_image_identifier_list *ids, enum registry_filter filter,
                          struct ecr_describe_images_out *out, struct gt_err *err)
{
    out->image_details.v = gt_arena_array(data_arena(rq), struct ecr_image_detail, ids->n + 1);
    for (size_t i = 0; i < ids->n; i++) {
        struct registry_manifest m;
        struct ecr_image_detail d;
        int r;
        const char *why = resolve(rq, repo, &ids->v[i], /* with_body= */ false, &m, &r, err);
        if (why && r == 0 && strncmp(why, "Image", 5) != 0) {
            return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException", "%s",
                              reason_of(why));
        }
        if (why) {
            return r < 0 ? r : image_missing(&ids->v[i], repo, err);
        }
        r = detail(rq, repo, &m, &d, err);
        if (r < 0) {
            return r;
        }
        if (filter_takes(filter, d.image_tags.n > 0)) {
            out->image_details.v[out->image_details.n++] = d;
        }
    }
    return 0;
}

/* A page of all images. It is shorter than asked for where images have many tags. */
static int describe_all(struct data_req *rq, const struct ecr_repo *repo,
                        const struct oci_digest *after, enum registry_filter filter, size_t limit,
                        struct ecr_describe_images_out *out, struct gt_err *err)
{
    struct registry_manifest *v;
    size_t n, i = 0;
    int r = registry_manifests(registry_of(rq), repo->store, after, filter, limit + 1,
                               data_arena(rq), &v, &n, err);
    out->image_details.v = gt_arena_array(data_arena(rq), struct ecr_image_detail, limit + 1);
    for (; r >= 0 && i < n && i < limit && (i == 0 || data_arena(rq)->used < PAGE_BYTES); i++) {
        r = detail(rq, repo, &v[i], &out->image_details.v[out->image_details.n++], err);
    }
    if (r >= 0 && i < n) {
        out->next_token = digest_text(data_arena(rq), &v[i - 1].digest);
    }
    return r < 0 ? r : 0;
}

int ecr_describe_images(struct data_req *rq, const struct ecr_describe_images_in *in,
                        struct ecr_describe_images_out *out, struct gt_err *err)
{
    struct ecr_repo repo;
    struct oci_digest from;
    struct gt_str tag;
    if (in->image_ids.n && (in->has_max_results || in->next_token.n)) {
        return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException",
                          "Invalid parameter at '%s' failed to satisfy constraint: "
                          "'must not be given together with imageIds'",
                          in->has_max_results ? "maxResults" : "nextToken");
    }
    int r = find_repo(rq, in->registry_id, in->repository_name, &repo, err);
    if (r == 0 && in->next_token.n) {
        r = position_parse(in->next_token, &from, &tag, err);
    }
    if (r < 0) {
        return r;
    }
    enum registry_filter filter = in->filter ? filter_of(in->filter->tag_status) : REGISTRY_ANY;
    out->image_details.has = true;
    return in->image_ids.n
               ? describe_named(rq, &repo, &in->image_ids, filter, out, err)
               : describe_all(rq, &repo, in->next_token.n ? &from : NULL, filter,
                              in->has_max_results ? (size_t)in->max_results : PAGE, out, err);
}

/* -- batches -- */

static void fail(struct data_req *rq, struct ecr_image_failure *f,
                 const struct ecr_image_identifier *id, const char *code, const char *reason)
{
    f->image_id = gt_arena_new(data_arena(rq), struct ecr_image_identifier);
    *f->image_id = *id;
    f->failure_code = gt_str(code);
    f->failure_reason = gt_str(reason ? reason : reason_of(code));
}

static bool accepted(const struct wire_str_list *types, struct gt_str type)
{
    for (size_t i = 0; i < types->n; i++) {
        if (gt_str_eq(types->v[i], type)) {
            return true;
        }
    }
    return types->n == 0;
}

int ecr_batch_get_image(struct data_req *rq, const struct ecr_batch_get_image_in *in,
                        struct ecr_batch_get_image_out *out, struct gt_err *err)
{
    struct gt_arena *a = data_arena(rq);
    struct ecr_repo repo;
    int r = find_repo(rq, in->registry_id, in->repository_name, &repo, err);
    size_t n = in->image_ids.n;
    out->images.v = gt_arena_array(a, struct ecr_image, n + 1);
    out->failures.v = gt_arena_array(a, struct ecr_image_failure, n + 1);
    out->images.has = out->failures.has = true;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        const struct ecr_image_identifier *id = &in->image_ids.v[i];
        struct registry_manifest m;
        if (a->used > PAGE_BYTES) {
            return gt_err_aws(err, GT_ERR_INVALID, "InvalidParameterException",
                              "Invalid parameter at 'imageIds' failed to satisfy constraint: 'the "
                              "images' manifests must be at most %lu MiB together'",
                              PAGE_BYTES / GT_MIB);
        }
        const char *why = resolve(rq, &repo, id, /* with_body= */ true, &m, &r, err);
        if (!why && !accepted(&in->accepted_media_types, m.media_type)) {
            fail(rq, &out->failures.v[out->failures.n++], id,
                 ECR_IMAGE_FAILURE_CODE_IMAGE_NOT_FOUND,
                 "Requested image has none of the accepted media types");
        } else if (why) {
            fail(rq, &out->failures.v[out->failures.n++], id, why, NULL);
        } else {
            struct ecr_image *im = &out->images.v[out->images.n++];
            im->registry_id = repo.account;
            im->repository_name = repo.name;
            im->image_id = gt_arena_new(a, struct ecr_image_identifier);
            im->image_id->image_digest = digest_text(a, &m.digest);
            im->image_id->image_tag = id->image_tag;
            im->image_manifest = m.body;
            im->image_manifest_media_type = m.media_type;
        }
    }
    return r < 0 ? r : 0;
}

static const char *referenced(struct data_req *rq, const struct ecr_repo *repo,
                              const struct ecr_image_identifier *id)
{
    struct oci_digest d;
    struct registry_manifest *v = NULL;
    size_t n = 0;
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(64 * GT_KIB);
    gt_buf_puts(&text, "Requested image referenced by manifest list: [");
    if (oci_digest_parse(id->image_digest, &d, NULL) == 0) {
        (void)registry_indexes_of(registry_of(rq), repo->store, &d, PAGE, data_arena(rq), &v, &n,
                                  NULL);
    }
    for (size_t i = 0; i < n; i++) {
        char digest[OCI_DIGEST_TEXT + 1];
        gt_buf_printf(&text, "%s%s", i ? ", " : "", oci_digest_text(&v[i].digest, digest));
    }
    gt_buf_putc(&text, ']');
    return gt_arena_str(data_arena(rq), gt_buf_view(&text));
}

/* One entry of BatchDeleteImage: what went is appended. NULL, or the failure's code. */
static const char *delete_one(struct data_req *rq, const struct ecr_repo *repo,
                              const struct ecr_image_identifier *id,
                              struct ecr_image_identifier_list *gone, int *ret_rc,
                              struct gt_err *err)
{
    struct gt_arena *a = data_arena(rq);
    struct registry_manifest m;
    struct oci_str_list tags;
    const char *why = resolve(rq, repo, id, /* with_body= */ false, &m, ret_rc, err);
    if (why) {
        return why;
    }
    struct gt_str digest = digest_text(a, &m.digest);
    if (id->image_tag.n) {
        *ret_rc = registry_tag_delete(registry_of(rq), repo->store, id->image_tag,
                                      /* last_deletes= */ true, data_now(rq), &m.digest, err);
        tags = (struct oci_str_list){.v = (struct gt_str *)&id->image_tag, .n = 1};
    } else {
        *ret_rc = registry_tags_of(registry_of(rq), repo->store, &m.digest, a, &tags, err);
        if (*ret_rc == 0) {
            *ret_rc = registry_manifest_delete(registry_of(rq), repo->store, &m.digest,
                                               data_now(rq), err);
        }
    }
    if (*ret_rc == -EBUSY || *ret_rc == -ENOENT) {
        why = *ret_rc == -EBUSY ? ECR_IMAGE_FAILURE_CODE_IMAGE_REFERENCED_BY_MANIFEST_LIST
                                : ECR_IMAGE_FAILURE_CODE_IMAGE_NOT_FOUND;
        *ret_rc = 0;
        return why;
    }
    size_t n = GT_MAX(tags.n, (size_t)1);
    struct ecr_image_identifier *v = gt_arena_array(a, struct ecr_image_identifier, gone->n + n);
    if (gone->n) {
        memcpy(v, gone->v, gone->n * sizeof(*v));
    }
    for (size_t i = 0; *ret_rc == 0 && i < n; i++) {
        v[gone->n + i].image_digest = digest;
        v[gone->n + i].image_tag = i < tags.n ? tags.v[i] : (struct gt_str){0};
    }
    gone->v = v;
    gone->n += n;
    return NULL;
}

int ecr_batch_delete_image(struct data_req *rq, const struct ecr_batch_delete_image_in *in,
                           struct ecr_batch_delete_image_out *out, struct gt_err *err)
{
    struct ecr_repo repo;
    int r = find_repo(rq, in->registry_id, in->repository_name, &repo, err);
    size_t n = in->image_ids.n;
    out->failures.v = gt_arena_array(data_arena(rq), struct ecr_image_failure, n + 1);
    out->failures.has = out->image_ids.has = true;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        const char *why = delete_one(rq, &repo, &in->image_ids.v[i], &out->image_ids, &r, err);
        if (why && r >= 0) {
            fail(rq, &out->failures.v[out->failures.n++], &in->image_ids.v[i], why,
                 gt_streq(why, ECR_IMAGE_FAILURE_CODE_IMAGE_REFERENCED_BY_MANIFEST_LIST)
                     ? referenced(rq, &repo, &in->image_ids.v[i])
                     : NULL);
        }
    }
    return r < 0 ? r : 0;
}
