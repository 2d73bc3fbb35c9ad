#include "node/agent/attributes.h"

#include "lib/base/mem.h"

#include <sys/utsname.h>

enum { TEXT_MAX = 128, CUSTOM_MAX = 10 };

/* What definitions may require (requiresAttributes) and every node can do. */
static const char *const capabilities[] = {
    "com.amazonaws.ecs.capability.logging-driver.awslogs",
    "com.amazonaws.ecs.capability.privileged-container",
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.task-eni",
};

/* "NAME=VALUE" or "NAME"; the value's p is NULL then. */
static void split(const char *said, struct gt_str *ret_name, struct gt_str *ret_value)
{
    const char *equals = strchrnul(said, '=');
    *ret_name = gt_str_n(said, (size_t)(equals - said));
    *ret_value = gt_str(*equals ? equals + 1 : NULL);
}

static int check_one(const char *said, struct gt_err *err)
{
    struct gt_str name, value;
    split(said, &name, &value);
    if (name.n == 0 || name.n > TEXT_MAX || value.n > TEXT_MAX || (value.p && !value.n)) {
        return gt_err_set(err, GT_ERR_VALIDATION,
                          "--attribute '%s' is not NAME or NAME=VALUE of 1 to %d characters each",
                          said, TEXT_MAX);
    }
    if (gt_str_starts(name, GT_STR_LIT("ecs.")) ||
        gt_str_starts(name, GT_STR_LIT("com.amazonaws.ecs."))) {
        return gt_err_set(err, GT_ERR_VALIDATION,
                          "--attribute '%s': what begins with 'ecs.' is found out, not said (but "
                          "the zone: --zone)",
                          said);
    }
    return 0;
}

int attributes_check(const struct agent_options *o, struct gt_err *err)
{
    if (o->n_attributes > CUSTOM_MAX) {
        return gt_err_set(err, GT_ERR_VALIDATION, "--attribute may be given %d times", CUSTOM_MAX);
    }
    if (o->zone && (!*o->zone || strlen(o->zone) > TEXT_MAX)) {
        return gt_err_set(err, GT_ERR_VALIDATION, "--zone must have 1 to %d characters", TEXT_MAX);
    }
    for (size_t i = 0; i < o->n_attributes; i++) {
        int r = check_one(o->attributes[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static void add(struct agent_attribute_list *l, struct gt_str name, struct gt_str value)
{
    l->v[l->n++] = (struct agent_attribute){name, value};
}

void attributes_list(const struct agent_options *o, struct gt_arena *a,
                     struct agent_attribute_list *out)
{
    struct utsname un;
    uname(&un);
    const char *arch = gt_streq(un.machine, "aarch64") ? "arm64" : "x86_64";
    size_t most = 3 + GT_ARRAY_LEN(capabilities) + o->n_attributes;
    out->v = gt_arena_array(a, struct agent_attribute, most);
    add(out, GT_STR_LIT("ecs.os-type"), GT_STR_LIT("linux"));
    add(out, GT_STR_LIT("ecs.cpu-architecture"), gt_str(arch));
    if (o->zone) {
        add(out, GT_STR_LIT("ecs.availability-zone"), gt_str(o->zone));
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(capabilities); i++) {
        add(out, gt_str(capabilities[i]), gt_str(NULL));
    }
    for (size_t i = 0; i < o->n_attributes; i++) {
        struct gt_str name, value;
        split(o->attributes[i], &name, &value);
        add(out, name, value);
    }
}
