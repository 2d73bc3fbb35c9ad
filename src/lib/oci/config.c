#include "lib/base/limits.h"
#include "lib/oci/document.h"
#include "lib/oci/manifest.h"

#include <errno.h>

static int healthcheck_parse(const json_t *j, struct gt_arena *a, struct oci_healthcheck *h,
                             struct gt_err *err)
{
    int r = oci_get_texts(j, "Test", a, &h->test, err);
    r = r < 0 ? r : oci_get_number(j, "Interval", &h->interval, err);
    r = r < 0 ? r : oci_get_number(j, "Timeout", &h->timeout, err);
    r = r < 0 ? r : oci_get_number(j, "StartPeriod", &h->start_period, err);
    return r < 0 ? r : oci_get_number(j, "Retries", &h->retries, err);
}

/* The "config" member: how to start a container. */
static int execution_parse(const json_t *j, struct gt_arena *a, struct oci_image_config *c,
                           struct gt_err *err)
{
    json_t *health;
    int r = oci_get_text(j, "User", a, &c->user, err);
    r = r < 0 ? r : oci_get_text(j, "WorkingDir", a, &c->working_dir, err);
    r = r < 0 ? r : oci_get_text(j, "StopSignal", a, &c->stop_signal, err);
    r = r < 0 ? r : oci_get_texts(j, "Env", a, &c->env, err);
    r = r < 0 ? r : oci_get_texts(j, "Entrypoint", a, &c->entrypoint, err);
    r = r < 0 ? r : oci_get_texts(j, "Cmd", a, &c->cmd, err);
    r = r < 0 ? r : oci_get_texts(j, "Shell", a, &c->shell, err);
    r = r < 0 ? r : oci_get_keys(j, "ExposedPorts", a, &c->exposed_ports, err);
    r = r < 0 ? r : oci_get_keys(j, "Volumes", a, &c->volumes, err);
    r = r < 0 ? r : oci_get_pairs(j, "Labels", a, &c->labels, err);
    r = r < 0 ? r : oci_get_object(j, "Healthcheck", &health, err);
    return r < 0 || !health ? r : healthcheck_parse(health, a, &c->healthcheck, err);
}

static int rootfs_parse(const json_t *j, struct gt_arena *a, struct oci_image_config *c,
                        struct gt_err *err)
{
    struct oci_str_list ids;
    int r = oci_get_texts(j, "diff_ids", a, &ids, err);
    if (r < 0) {
        return r;
    }
    if (ids.n > OCI_LIMIT_DESCRIPTORS) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "'diff_ids' has %zu entries, more than %d", ids.n,
                          OCI_LIMIT_DESCRIPTORS);
    }
    c->diff_ids = gt_arena_try_alloc(a, ids.n * sizeof(*c->diff_ids) + 1);
    if (!c->diff_ids) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "no room for 'diff_ids'");
    }
    for (size_t i = 0; i < ids.n; i++) {
        r = oci_digest_parse(ids.v[i], &c->diff_ids[i], err);
        if (r < 0) {
            (void)gt_err_wrap(err, "diff_ids[%zu]", i);
            return r;
        }
    }
    c->n_diff_ids = ids.n;
    return 0;
}

int oci_image_config_parse(struct gt_str text, struct gt_arena *arena, struct oci_image_config *ret,
                           struct gt_err *err)
{
    gt_auto(json) json_t *doc =
        oci_document_load(text, GT_LIMIT_IMAGE_CONFIG, "the image configuration", err);
    if (!doc) {
        return text.n > GT_LIMIT_IMAGE_CONFIG ? -EMSGSIZE : -EINVAL;
    }
    struct oci_image_config c = {0};
    json_t *execution = NULL, *rootfs = NULL;
    int r = oci_get_platform(doc, arena, &c.platform, err);
    r = r < 0 ? r : oci_get_text(doc, "created", arena, &c.created, err);
    r = r < 0 ? r : oci_get_text(doc, "author", arena, &c.author, err);
    r = r < 0 ? r : oci_get_object(doc, "config", &execution, err);
    r = r < 0 ? r : oci_get_object(doc, "rootfs", &rootfs, err);
    if (r == 0 && execution) {
        r = execution_parse(execution, arena, &c, err);
    }
    if (r == 0 && rootfs) {
        r = rootfs_parse(rootfs, arena, &c, err);
    }
    if (r < 0) {
        (void)gt_err_wrap(err, "image configuration");
        return r;
    }
    *ret = c;
    return 0;
}
