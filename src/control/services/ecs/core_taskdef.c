/* RegisterTaskDefinition, DescribeTaskDefinition, DeregisterTaskDefinition and their lists. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/page.h"
#include "control/services/ecs/taskdef.h"
#include "control/services/gen/ecs_handlers.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"
#include "lib/wire/json.h"

#include <errno.h>
#include <stdlib.h>

static void require(struct tx *tx, struct ecs_attribute_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++) {
        if (gt_str_is(l->v[i].name, name)) {
            return;
        }
    }
    l->v[l->n++] = (struct ecs_attribute){.name = gt_str(name)};
}

/* What a node must be able to do, in ECS's words. */
static void show_requirements(struct tx *tx, const struct ecs_register_task_definition_in *in,
                              struct ecs_attribute_list *out)
{
    out->v = gt_arena_array(tx_arena(tx), struct ecs_attribute, 8);
    for (size_t i = 0; i < in->container_definitions.n; i++) {
        const struct ecs_container_definition *c = &in->container_definitions.v[i];
        if (c->log_configuration) {
            require(tx, out, "com.amazonaws.ecs.capability.logging-driver.awslogs");
        }
        if (c->privileged) {
            require(tx, out, "com.amazonaws.ecs.capability.privileged-container");
        }
        if (c->health_check) {
            require(tx, out, "ecs.capability.container-health-check");
        }
        if (c->depends_on.n) {
            require(tx, out, "ecs.capability.container-ordering");
        }
    }
    if (gt_str_is(in->network_mode, "awsvpc")) {
        require(tx, out, "ecs.capability.task-eni");
    }
}

static struct ecs_task_definition document_of(struct tx *tx,
                                              const struct ecs_register_task_definition_in *in,
                                              struct rec_ecs_taskdef *rec)
{
    struct ecs_task_definition d = {
        .task_definition_arn = arn_taskdef(tx, rec->family, rec->revision),
        .container_definitions = in->container_definitions,
        .family = in->family,
        .task_role_arn = in->task_role_arn,
        .execution_role_arn = in->execution_role_arn,
        .network_mode = in->network_mode,
        .revision = rec->revision,
        .has_revision = true,
        .volumes = in->volumes,
        .status = GT_STR_LIT("ACTIVE"),
        .placement_constraints = in->placement_constraints,
        .requires_compatibilities = in->requires_compatibilities,
        .runtime_platform = in->runtime_platform,
        .registered_at = rec->registered_at,
        .has_registered_at = true,
        .registered_by = rec->registered_by,
    };
    if (rec->cpu) {
        d.cpu = gt_str(gt_arena_printf(tx_arena(tx), "%lld", (long long)rec->cpu));
    }
    if (rec->memory) {
        d.memory = gt_str(gt_arena_printf(tx_arena(tx), "%lld", (long long)rec->memory));
    }
    d.compatibilities.v = gt_arena_array(tx_arena(tx), struct gt_str, 3);
    const struct {
        bool is;
        struct gt_str name;
    } all[] = {{rec->compatible_external, GT_STR_LIT("EXTERNAL")},
               {rec->compatible_ec2, GT_STR_LIT("EC2")},
               {rec->compatible_fargate, GT_STR_LIT("FARGATE")}};
    for (size_t i = 0; i < GT_ARRAY_LEN(all); i++) {
        if (all[i].is) {
            d.compatibilities.v[d.compatibilities.n++] = all[i].name;
        }
    }
    show_requirements(tx, in, &d.requires_attributes);
    return d;
}

static void keep_container(struct tx *tx, const struct ecs_container_definition *c,
                           struct rec_ecs_container_def *to)
{
    *to = (struct rec_ecs_container_def){
        .name = c->name,
        .image = c->image,
        .cpu = c->cpu,
        .memory = c->memory,
        .memory_reservation = c->memory_reservation,
        .essential = c->essential,
        .health_check = c->health_check != NULL,
        .privileged = c->privileged,
    };
    to->ports.v = gt_arena_array(tx_arena(tx), struct rec_ecs_port, c->port_mappings.n + 1);
    for (size_t i = 0; i < c->port_mappings.n; i++) {
        const struct ecs_port_mapping *p = &c->port_mappings.v[i];
        to->ports.v[to->ports.n++] = (struct rec_ecs_port){.container_port = p->container_port,
                                                           .host_port = p->host_port,
                                                           .protocol = p->protocol};
    }
}

static void keep_columns(struct tx *tx, const struct ecs_register_task_definition_in *in,
                         struct taskdef_size size, struct rec_ecs_taskdef *rec)
{
    size_t n = in->container_definitions.n;
    rec->cpu = size.cpu;
    rec->memory = size.memory;
    rec->network_mode = in->network_mode;
    rec->compatible_ec2 = true;
    rec->compatible_external = !gt_str_is(in->network_mode, "awsvpc");
    rec->compatible_fargate = taskdef_not_fargate(in, size) == NULL;
    if (in->runtime_platform) {
        rec->cpu_arch = in->runtime_platform->cpu_architecture;
    }
    rec->containers.v = gt_arena_array(tx_arena(tx), struct rec_ecs_container_def, n);
    rec->containers.n = n;
    for (size_t i = 0; i < n; i++) {
        keep_container(tx, &in->container_definitions.v[i], &rec->containers.v[i]);
    }
    rec->constraints.n = in->placement_constraints.n;
    rec->constraints.v =
        gt_arena_array(tx_arena(tx), struct rec_ecs_expression, rec->constraints.n + 1);
    for (size_t i = 0; i < rec->constraints.n; i++) {
        rec->constraints.v[i] =
            (struct rec_ecs_expression){.type = in->placement_constraints.v[i].type,
                                        .expression = in->placement_constraints.v[i].expression};
    }
}

static int keep_document(struct tx *tx, struct rec_ecs_taskdef *rec,
                         const struct ecs_task_definition *d, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(GT_LIMIT_RECORD / 2);
    gt_buf_reserve(&b, 2048);
    wire_json_encode(&ecs_task_definition_shape, d, &b);
    if (!gt_buf_ok(&b)) {
        return refused(err, "The task definition is larger than %lu KiB.",
                       GT_LIMIT_RECORD / 2 / 1024);
    }
    rec->document = name_dup(tx, gt_buf_view(&b));
    return 0;
}

static struct ecs_register_task_definition_in *
copy_of(struct tx *tx, const struct ecs_register_task_definition_in *in)
{
    struct gt_arena *a = tx_arena(tx);
    struct ecs_register_task_definition_in *c =
        gt_arena_new(a, struct ecs_register_task_definition_in);
    *c = *in;
    size_t n = in->container_definitions.n;
    c->container_definitions.v = gt_arena_array(a, struct ecs_container_definition, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct ecs_container_definition *d = &c->container_definitions.v[i];
        *d = in->container_definitions.v[i];
        size_t ports = d->port_mappings.n;
        struct ecs_port_mapping *v = gt_arena_array(a, struct ecs_port_mapping, ports + 1);
        if (ports) {
            memcpy(v, d->port_mappings.v, ports * sizeof(*v));
        }
        d->port_mappings.v = v;
    }
    return c;
}

static int check_length(const struct ecs_register_task_definition_in *in, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(2 * GT_LIMIT_API_BODY);
    wire_json_encode(&ecs_register_task_definition_in_shape, in, &b);
    return b.n > GT_LIMIT_TASK_DEFINITION || !gt_buf_ok(&b)
               ? refused(err, "Actual length: '%zu'. Max allowed length is '%lu' bytes.", b.n,
                         GT_LIMIT_TASK_DEFINITION)
               : 0;
}

int ecs_register_task_definition(struct tx *tx, const struct ecs_register_task_definition_in *said,
                                 struct ecs_register_task_definition_out *out, struct gt_err *err)
{
    struct ecs_register_task_definition_in *in = copy_of(tx, said);
    struct taskdef_size size;
    struct rec_ecs_taskdef *rec = gt_arena_new(tx_arena(tx), struct rec_ecs_taskdef);
    int r = check_length(said, err);
    r = r ? r : taskdef_check(tx, in, &size, err);
    r = r ? r : tags_check(tx, &in->tags, &rec->tags, err);
    if (r < 0) {
        return r;
    }
    char *key = key_family(tx, in->family);
    struct rec_ecs_family *f = tx_get(tx, key, &rec_ecs_family_desc);
    if (!f) {
        f = gt_arena_new(tx_arena(tx), struct rec_ecs_family);
        f->name = in->family;
    }
    f->last_revision++;
    rec->family = in->family;
    rec->revision = f->last_revision;
    rec->status = GT_STR_LIT("ACTIVE");
    rec->registered_at = tx_now(tx);
    rec->registered_by = tx_principal(tx)->arn;
    rec->task_role = in->task_role_arn;
    keep_columns(tx, in, size, rec);
    struct ecs_task_definition d = document_of(tx, in, rec);
    r = keep_document(tx, rec, &d, err);
    if (r < 0) {
        return r;
    }
    tx_put(tx, key, &rec_ecs_family_desc, f);
    tx_put(tx, key_taskdef(tx, rec->family, rec->revision), &rec_ecs_taskdef_desc, rec);
    out->task_definition = gt_arena_new(tx_arena(tx), struct ecs_task_definition);
    *out->task_definition = d;
    if (rec->tags.n) {
        tags_show(tx, &rec->tags, &out->tags);
    }
    return 0;
}

/* What changes after registration lies in columns and is put over the document. */
static int show(struct tx *tx, const struct rec_ecs_taskdef *rec, struct ecs_task_definition **ret,
                struct gt_err *err)
{
    struct ecs_task_definition *d = gt_arena_new(tx_arena(tx), struct ecs_task_definition);
    int r = wire_json_decode(&ecs_task_definition_shape, rec->document, tx_arena(tx), d, err);
    if (r < 0) {
        return gt_err_set(err, GT_ERR_CORRUPT, "task definition " GT_STR_FMT ":%lld is unreadable",
                          GT_STR_ARG(rec->family), (long long)rec->revision);
    }
    d->status = rec->status;
    if (rec->deregistered_at) {
        WIRE_SET(d, deregistered_at, rec->deregistered_at);
    }
    *ret = d;
    return 0;
}

int ecs_describe_task_definition(struct tx *tx, const struct ecs_describe_task_definition_in *in,
                                 struct ecs_describe_task_definition_out *out, struct gt_err *err)
{
    struct rec_ecs_taskdef *rec = taskdef_find(tx, in->task_definition);
    if (!rec) {
        return refused(err, "Unable to describe task definition.");
    }
    if (includes(&in->include, "TAGS")) {
        tags_show(tx, &rec->tags, &out->tags);
    }
    return show(tx, rec, &out->task_definition, err);
}

int ecs_deregister_task_definition(struct tx *tx,
                                   const struct ecs_deregister_task_definition_in *in,
                                   struct ecs_deregister_task_definition_out *out,
                                   struct gt_err *err)
{
    struct gt_str said = in->task_definition;
    struct gt_str name = name_of_arn(tx, said, "task-definition");
    if (!name.n || !memchr(name.p, ':', name.n)) {
        return refused(err, "A task definition must be given with its revision.");
    }
    struct rec_ecs_taskdef *rec = taskdef_find(tx, said);
    if (!rec) {
        return refused(err, "The specified task definition does not exist.");
    }
    if (gt_str_is(rec->status, "ACTIVE")) {
        rec->status = GT_STR_LIT("INACTIVE");
        rec->deregistered_at = tx_now(tx);
        tx_put(tx, key_taskdef(tx, rec->family, rec->revision), &rec_ecs_taskdef_desc, rec);
    }
    return show(tx, rec, &out->task_definition, err);
}

/* What follows "ecs/taskdef/" in a key: "<family>/<revision, ten digits>". */
static const char *place_of(const char *key)
{
    static const char kind[] = "/ecs/taskdef/";
    return strstr(key, kind) + sizeof(kind) - 1;
}

static struct gt_str arn_at(struct tx *tx, const char *place)
{
    const char *slash = strchr(place, '/');
    return arn_taskdef(tx, gt_str_n(place, (size_t)(slash - place)), strtoll(slash + 1, NULL, 10));
}

static bool has_status(struct tx *tx, const char *key, struct gt_str status)
{
    struct gt_arena_mark mark = gt_arena_mark(tx_arena(tx));
    const struct rec_ecs_taskdef *d = tx_get(tx, key, &rec_ecs_taskdef_desc);
    bool yes = gt_str_eq(d->status, status);
    gt_arena_release(tx_arena(tx), mark);
    return yes;
}

/* A listing under way: where the last page ended, and how it goes on. */
struct walk {
    struct tx *tx;
    struct page *p;
    struct gt_str status, after_family;
    int64_t after_revision;
    bool down;
};

/* false: the page is full. */
static bool show_key(struct walk *w, const char *key)
{
    return !has_status(w->tx, key, w->status) ||
           page_add(w->p, place_of(key), arn_at(w->tx, place_of(key)));
}

static bool walk_up(struct walk *w, struct gt_str family, int64_t after)
{
    char *prefix = tx_key(w->tx, "ecs/taskdef/" GT_STR_FMT "/", GT_STR_ARG(family));
    struct tx_cursor c = tx_scan(w->tx, prefix, after ? key_taskdef(w->tx, family, after) : NULL);
    for (const char *key; (key = tx_next(&c));) {
        if (!show_key(w, key)) {
            return false;
        }
    }
    return true;
}

/* There is no walk backwards: the keys are gathered, and few of them looked at. */
static bool walk_down(struct walk *w, struct gt_str family, int64_t before)
{
    char *prefix = tx_key(w->tx, "ecs/taskdef/" GT_STR_FMT "/", GT_STR_ARG(family));
    char *end = before ? key_taskdef(w->tx, family, before) : NULL;
    size_t cap = tx_count(w->tx, prefix), n = 0;
    const char **keys = gt_arena_array(tx_arena(w->tx), const char *, cap + 1);
    struct tx_cursor c = tx_scan(w->tx, prefix, NULL);
    while (n < cap && (keys[n] = tx_next(&c)) && (!end || strcmp(keys[n], end) < 0)) {
        n++;
    }
    while (n-- > 0) {
        if (!show_key(w, keys[n])) {
            return false;
        }
    }
    return true;
}

static bool walk_family(struct walk *w, struct gt_str family)
{
    int c = w->p->after ? gt_str_cmp(family, w->after_family) : 1;
    if (w->p->after && (w->down ? c > 0 : c < 0)) {
        return true; /* on an earlier page */
    }
    int64_t from = c == 0 ? w->after_revision : 0;
    return w->down ? walk_down(w, family, from) : walk_up(w, family, from);
}

/* In the order of families, which that of the keys is not: '-' comes before '/'. */
static void walk_families(struct walk *w)
{
    char *prefix = tx_key(w->tx, "ecs/family/");
    size_t cap = tx_count(w->tx, prefix), n = 0;
    struct gt_str *v = gt_arena_array(tx_arena(w->tx), struct gt_str, cap + 1);
    struct tx_cursor c = tx_scan(w->tx, prefix, NULL);
    for (const char *key; n < cap && (key = tx_next(&c));) {
        v[n++] = key_tail(key);
    }
    for (size_t i = 0; i < n && walk_family(w, v[w->down ? n - 1 - i : i]); i++) {
    }
}

int ecs_list_task_definitions(struct tx *tx, const struct ecs_list_task_definitions_in *in,
                              struct ecs_list_task_definitions_out *out, struct gt_err *err)
{
    struct page p;
    int r = page_open(tx, &p, in->next_token, in->has_max_results, in->max_results,
                      &out->task_definition_arns, err);
    if (r < 0) {
        return r;
    }
    if (in->family_prefix.n && !name_valid(in->family_prefix, "", 255)) {
        return refused(err, "Family contains invalid characters.");
    }
    struct walk w = {.tx = tx,
                     .p = &p,
                     .status = in->status.n ? in->status : GT_STR_LIT("ACTIVE"),
                     .down = gt_str_is(in->sort, "DESC")};
    const char *slash = p.after ? strchr(p.after, '/') : NULL;
    if (slash) {
        w.after_family = gt_str_n(p.after, (size_t)(slash - p.after));
        w.after_revision = strtoll(slash + 1, NULL, 10);
    }
    if (in->family_prefix.n) {
        walk_family(&w, in->family_prefix);
    } else {
        walk_families(&w);
    }
    out->next_token = page_token(&p);
    return 0;
}

int ecs_list_task_definition_families(struct tx *tx,
                                      const struct ecs_list_task_definition_families_in *in,
                                      struct ecs_list_task_definition_families_out *out,
                                      struct gt_err *err)
{
    struct page p;
    int r = page_open(tx, &p, in->next_token, in->has_max_results, in->max_results, &out->families,
                      err);
    if (r < 0) {
        return r;
    }
    struct gt_str status = in->status.n ? in->status : GT_STR_LIT("ALL");
    char *prefix = tx_key(tx, "ecs/family/");
    char *after = p.after ? tx_key(tx, "ecs/family/%s", p.after) : NULL;
    struct tx_cursor c = tx_scan(tx, prefix, after);
    for (const char *key; (key = tx_next(&c));) {
        struct gt_str family = key_tail(key);
        if (in->family_prefix.n && !gt_str_starts(family, in->family_prefix)) {
            continue;
        }
        bool wanted = gt_str_is(status, "ALL") ||
                      taskdef_has_active(tx, family) == gt_str_is(status, "ACTIVE");
        if (wanted && !page_add(&p, family.p, family)) {
            break;
        }
    }
    out->next_token = page_token(&p);
    return 0;
}
