/* What is checked about one container definition by itself. */
#include "control/services/ecs/cluster.h"
#include "control/services/ecs/names.h"
#include "control/services/ecs/taskdef.h"
#include "lib/base/mem.h"

#include <strings.h>

#define NAME(c) GT_STR_ARG((c)->name)

static int unsupported(const struct ecs_container_definition *c, const char *field,
                       struct gt_err *err)
{
    return refused(err, "Invalid setting for container '" GT_STR_FMT "'. '%s' is not supported.",
                   NAME(c), field);
}

int taskdef_check_unsupported(const struct ecs_container_definition *c, struct gt_err *err)
{
    const struct {
        bool said;
        const char *field;
    } fields[] = {
        {c->repository_credentials != NULL, "repositoryCredentials"},
        {c->links.n > 0, "links"},
        {c->environment_files.n > 0, "environmentFiles"},
        {c->volumes_from.n > 0, "volumesFrom"},
        {c->secrets.n > 0, "secrets"},
        {c->hostname.n > 0, "hostname"},
        {c->disable_networking, "disableNetworking"},
        {c->dns_servers.n > 0, "dnsServers"},
        {c->dns_search_domains.n > 0, "dnsSearchDomains"},
        {c->extra_hosts.n > 0, "extraHosts"},
        {c->interactive, "interactive"},
        {c->pseudo_terminal, "pseudoTerminal"},
        {c->docker_labels.n > 0, "dockerLabels"},
        {c->system_controls.n > 0, "systemControls"},
        {c->resource_requirements.n > 0, "resourceRequirements"},
        {c->firelens_configuration != NULL, "firelensConfiguration"},
        {c->restart_policy && c->restart_policy->enabled, "restartPolicy"},
        /* A tag is looked up whenever a task starts: as with "disabled". */
        {c->version_consistency.n && !gt_str_is(c->version_consistency, "disabled"),
         "versionConsistency"},
        {c->credential_specs.n > 0, "credentialSpecs"},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(fields); i++) {
        if (fields[i].said) {
            return unsupported(c, fields[i].field, err);
        }
    }
    return 0;
}

static int check_memory(const struct ecs_container_definition *c, struct gt_err *err)
{
    if (c->has_cpu && c->cpu < 0) {
        return refused(err, "Invalid 'cpu' setting for container '" GT_STR_FMT "'.", NAME(c));
    }
    if ((c->has_memory && c->memory < TASK_MEMORY_MIN) ||
        (c->has_memory_reservation && c->memory_reservation < TASK_MEMORY_MIN)) {
        return refused(
            err, "Invalid setting for container '" GT_STR_FMT "'. '%s' must be at least %d MiB.",
            NAME(c), c->has_memory && c->memory < TASK_MEMORY_MIN ? "memory" : "memoryReservation",
            TASK_MEMORY_MIN);
    }
    if (c->has_memory && c->has_memory_reservation && c->memory_reservation > c->memory) {
        return refused(err,
                       "Invalid setting for container '" GT_STR_FMT
                       "'. 'memoryReservation' must not be greater than 'memory'.",
                       NAME(c));
    }
    return 0;
}

static int check_ports(const struct ecs_container_definition *c, struct gt_err *err)
{
    enum { MOST = 100 };
    if (c->port_mappings.n > MOST) {
        return refused(err,
                       "Invalid 'portMappings' setting for container '" GT_STR_FMT
                       "'. There can be at most %d.",
                       NAME(c), MOST);
    }
    for (size_t i = 0; i < c->port_mappings.n; i++) {
        const struct ecs_port_mapping *p = &c->port_mappings.v[i];
        if (p->container_port_range.n) {
            return unsupported(c, "portMappings.containerPortRange", err);
        }
        if (!p->has_container_port || p->container_port < 1 || p->container_port > 65535) {
            return refused(err,
                           "Invalid 'containerPort' setting for container '" GT_STR_FMT
                           "'. It must be between 1 and 65535.",
                           NAME(c));
        }
        if (p->has_host_port && (p->host_port < 0 || p->host_port > 65535)) {
            return refused(err,
                           "Invalid 'hostPort' setting for container '" GT_STR_FMT
                           "'. It must be between 0 and 65535.",
                           NAME(c));
        }
        if (p->protocol.p && !gt_str_is(p->protocol, "tcp") && !gt_str_is(p->protocol, "udp")) {
            return refused(err, "Invalid 'protocol' setting for container '" GT_STR_FMT "'.",
                           NAME(c));
        }
    }
    return 0;
}

static int between(const struct ecs_container_definition *c, const char *field, bool has, int64_t v,
                   int64_t min, int64_t max, struct gt_err *err)
{
    if (!has || (v >= min && v <= max)) {
        return 0;
    }
    return refused(err,
                   "Invalid '%s' setting for container '" GT_STR_FMT
                   "'. It must be between %lld and %lld.",
                   field, NAME(c), (long long)min, (long long)max);
}

static int check_health(const struct ecs_container_definition *c, struct gt_err *err)
{
    const struct ecs_health_check *h = c->health_check;
    if (!h) {
        return 0;
    }
    struct gt_str kind = h->command.n ? h->command.v[0] : gt_str_n("", 0);
    bool command = gt_str_is(kind, "CMD") || gt_str_is(kind, "CMD-SHELL");
    if (command ? h->command.n < 2 : !gt_str_is(kind, "NONE") || h->command.n != 1) {
        return refused(err,
                       "Invalid 'healthCheck.command' setting for container '" GT_STR_FMT
                       "'. It must begin with CMD or CMD-SHELL, and a command must follow.",
                       NAME(c));
    }
    int r = between(c, "healthCheck.interval", h->has_interval, h->interval, 5, 300, err);
    r = r ? r : between(c, "healthCheck.timeout", h->has_timeout, h->timeout, 2, 60, err);
    r = r ? r : between(c, "healthCheck.retries", h->has_retries, h->retries, 1, 10, err);
    return r ? r
             : between(c, "healthCheck.startPeriod", h->has_start_period, h->start_period, 0, 300,
                       err);
}

static bool capability_known(struct gt_str s)
{
    static const char *const known[] = {
        "ALL",        "AUDIT_CONTROL",   "AUDIT_WRITE",      "BLOCK_SUSPEND",
        "CHOWN",      "DAC_OVERRIDE",    "DAC_READ_SEARCH",  "FOWNER",
        "FSETID",     "IPC_LOCK",        "IPC_OWNER",        "KILL",
        "LEASE",      "LINUX_IMMUTABLE", "MAC_ADMIN",        "MAC_OVERRIDE",
        "MKNOD",      "NET_ADMIN",       "NET_BIND_SERVICE", "NET_BROADCAST",
        "NET_RAW",    "SETFCAP",         "SETGID",           "SETPCAP",
        "SETUID",     "SYS_ADMIN",       "SYS_BOOT",         "SYS_CHROOT",
        "SYS_MODULE", "SYS_NICE",        "SYS_PACCT",        "SYS_PTRACE",
        "SYS_RAWIO",  "SYS_RESOURCE",    "SYS_TIME",         "SYS_TTY_CONFIG",
        "SYSLOG",     "WAKE_ALARM"};
    for (size_t i = 0; i < GT_ARRAY_LEN(known); i++) {
        if (gt_str_is(s, known[i])) {
            return true;
        }
    }
    return false;
}

static int check_capabilities(const struct ecs_container_definition *c,
                              const struct wire_str_list *l, struct gt_err *err)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!capability_known(l->v[i])) {
            return refused(err,
                           "Invalid setting for container '" GT_STR_FMT
                           "'. Unknown capability '" GT_STR_FMT "'.",
                           NAME(c), GT_STR_ARG(l->v[i]));
        }
    }
    return 0;
}

static bool digits(struct gt_str s, unsigned base, uint64_t max)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] >= '0' + (char)base || v > max) {
            return false;
        }
        v = v * base + (uint64_t)(s.p[i] - '0');
    }
    return s.n > 0 && v <= max;
}

/* Those of ECS's list that mean something for a tmpfs, or nothing because it is so already. */
static bool tmpfs_option_known(struct gt_str o)
{
    static const char *const known[] = {
        "defaults", "rw",         "ro",          "suid",    "nosuid",   "dev",     "nodev",
        "exec",     "noexec",     "async",       "nomand",  "atime",    "noatime", "diratime",
        "relatime", "nodiratime", "strictatime", "private", "rprivate",
    };
    static const struct {
        const char *name;
        unsigned base;
        uint64_t max;
    } numbers[] = {{"mode=", 8, 07777},
                   {"uid=", 10, INT32_MAX},
                   {"gid=", 10, INT32_MAX},
                   {"nr_inodes=", 10, INT32_MAX}};
    for (size_t i = 0; i < GT_ARRAY_LEN(known); i++) {
        if (gt_str_is(o, known[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < GT_ARRAY_LEN(numbers); i++) {
        struct gt_str name = gt_str(numbers[i].name);
        if (gt_str_starts(o, name)) {
            return digits(gt_str_n(o.p + name.n, o.n - name.n), numbers[i].base, numbers[i].max);
        }
    }
    return false;
}

static int check_tmpfs(const struct ecs_container_definition *c, const struct ecs_tmpfs *t,
                       struct gt_err *err)
{
    if (t->container_path.n == 0 || t->container_path.p[0] != '/' || t->size < 1 ||
        t->size > 1 << 30) {
        return refused(err,
                       "Invalid 'linuxParameters.tmpfs' setting for container '" GT_STR_FMT "'.",
                       NAME(c));
    }
    for (size_t i = 0; i < t->mount_options.n; i++) {
        if (!tmpfs_option_known(t->mount_options.v[i])) {
            return refused(err,
                           "Invalid setting for container '" GT_STR_FMT
                           "'. 'linuxParameters.tmpfs.mountOptions' value '" GT_STR_FMT
                           "' is not supported.",
                           NAME(c), GT_STR_ARG(t->mount_options.v[i]));
        }
    }
    return 0;
}

static int check_linux(const struct ecs_container_definition *c, struct gt_err *err)
{
    const struct ecs_linux_parameters *l = c->linux_parameters;
    if (!l) {
        return 0;
    }
    if (l->devices.n || l->has_max_swap || l->has_swappiness) {
        return unsupported(c,
                           l->devices.n      ? "linuxParameters.devices"
                           : l->has_max_swap ? "linuxParameters.maxSwap"
                                             : "linuxParameters.swappiness",
                           err);
    }
    for (size_t i = 0; i < l->tmpfs.n; i++) {
        int r = check_tmpfs(c, &l->tmpfs.v[i], err);
        if (r < 0) {
            return r;
        }
    }
    int r = between(c, "linuxParameters.sharedMemorySize", l->has_shared_memory_size,
                    l->shared_memory_size, 1, 1 << 20, err);
    if (r == 0 && l->capabilities) {
        r = check_capabilities(c, &l->capabilities->add, err);
        r = r ? r : check_capabilities(c, &l->capabilities->drop, err);
    }
    return r;
}

/* As docker takes them; node/agent/spec.c carries them out. */
static int check_security(const struct ecs_container_definition *c, struct gt_err *err)
{
    static const char *const known[] = {"no-new-privileges", "no-new-privileges:true",
                                        "no-new-privileges=true", "no-new-privileges:false",
                                        "no-new-privileges=false"};
    for (size_t i = 0; i < c->docker_security_options.n; i++) {
        bool ok = false;
        for (size_t k = 0; k < GT_ARRAY_LEN(known); k++) {
            ok = ok || gt_str_is(c->docker_security_options.v[i], known[k]);
        }
        if (!ok) {
            return refused(err,
                           "Invalid setting for container '" GT_STR_FMT
                           "'. 'dockerSecurityOptions' value '" GT_STR_FMT
                           "' is not supported: 'no-new-privileges:true' and "
                           "'no-new-privileges:false' are.",
                           NAME(c), GT_STR_ARG(c->docker_security_options.v[i]));
        }
    }
    return 0;
}

/* -1 is without limit. */
static int check_ulimits(const struct ecs_container_definition *c, struct gt_err *err)
{
    for (size_t i = 0; i < c->ulimits.n; i++) {
        const struct ecs_ulimit *u = &c->ulimits.v[i];
        const char *why = NULL;
        if (u->soft_limit < -1 || u->hard_limit < -1) {
            why = "A limit must be -1 or more";
        } else if (u->hard_limit >= 0 && (u->soft_limit < 0 || u->soft_limit > u->hard_limit)) {
            why = "The soft limit must not be greater than the hard limit";
        }
        for (size_t k = 0; k < i; k++) {
            why = gt_str_eq(c->ulimits.v[k].name, u->name) ? "A limit is there twice" : why;
        }
        if (why) {
            return refused(err, "Invalid 'ulimits' setting for container '" GT_STR_FMT "'. %s.",
                           NAME(c), why);
        }
    }
    return 0;
}

static int check_rest(const struct ecs_container_definition *c, struct gt_err *err)
{
    int r = check_ulimits(c, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < c->environment.n; i++) {
        struct gt_str k = c->environment.v[i].name;
        if (!k.n || memchr(k.p, '=', k.n) || memchr(k.p, 0, k.n)) {
            return refused(err, "Invalid 'environment' setting for container '" GT_STR_FMT "'.",
                           NAME(c));
        }
    }
    if (c->working_directory.n && c->working_directory.p[0] != '/') {
        return refused(err, "Invalid 'workingDirectory' setting for container '" GT_STR_FMT "'.",
                       NAME(c));
    }
    r = between(c, "startTimeout", c->has_start_timeout, c->start_timeout, 0, 86400, err);
    return r ? r : between(c, "stopTimeout", c->has_stop_timeout, c->stop_timeout, 0, 86400, err);
}

int taskdef_check_container(struct tx *tx, struct ecs_container_definition *c, struct gt_err *err)
{
    if (!c->name.n) {
        return refused(err, "Container.name should not be null or empty.");
    }
    if (!name_valid(c->name, "", 255)) {
        return refused(err, "Container.name contains invalid characters.");
    }
    if (!c->image.n) {
        return refused(err, "Container.image should not be null or empty.");
    }
    if (c->image.n > 2048 || memchr(c->image.p, ' ', c->image.n)) {
        return refused(err, "Container.image contains invalid characters.");
    }
    int r = taskdef_check_unsupported(c, err);
    r = r ? r : check_memory(c, err);
    r = r ? r : check_ports(c, err);
    r = r ? r : taskdef_check_log(c, err);
    r = r ? r : check_health(c, err);
    r = r ? r : check_linux(c, err);
    r = r ? r : check_security(c, err);
    return r ? r : check_rest(c, err);
}
