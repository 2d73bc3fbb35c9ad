#include "node/runtime/cgroup_priv.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/runtime/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const v1_controllers[] = {"cpu",     "cpuacct", "memory", "pids",
                                             "devices", "freezer", "cpuset"};
static const char v2_controllers[][8] = {"+cpu", "+memory", "+pids", "+cpuset", "+io"};

const char *cgroup_mode_name(enum cgroup_mode mode)
{
    static const char *const names[] = {"v1", "hybrid", "v2"};
    return names[mode];
}

static bool exists(int root, const char *path)
{
    return faccessat(root, path, F_OK, 0) == 0;
}

/* Controllers mounted together ("cpu" and "cpuacct" are links to one folder) count once. */
static void add_hierarchy(struct cgroup_sys *sys, const char *name)
{
    struct stat st, other;
    if (fstatat(sys->root, name, &st, 0) < 0 || !S_ISDIR(st.st_mode)) {
        return;
    }
    for (unsigned i = 0; i < sys->n_hier; i++) {
        if (fstatat(sys->root, sys->hier[i], &other, 0) == 0 && other.st_dev == st.st_dev &&
            other.st_ino == st.st_ino) {
            return;
        }
    }
    sys->hier[sys->n_hier++] = name;
}

static enum cgroup_mode detect(int root)
{
    if (exists(root, "cgroup.controllers")) {
        return CGROUP_V2;
    }
    return exists(root, "unified/cgroup.procs") ? CGROUP_HYBRID : CGROUP_V1;
}

int cgroup_sys_open(const char *root, int mode, struct cgroup_sys **ret, struct gt_err *err)
{
    root = root ? root : "/sys/fs/cgroup";
    gt_auto_close int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open '%s'", root);
    }
    struct cgroup_sys *sys = gt_new(struct cgroup_sys);
    sys->root = fd;
    snprintf(sys->path, sizeof sys->path, "%s", root);
    sys->mode = mode < 0 ? detect(fd) : (enum cgroup_mode)mode;
    sys->ops = sys->mode == CGROUP_V2 ? &cgroup_backend_v2 : &cgroup_backend_v1;
    if (sys->mode == CGROUP_V2) {
        add_hierarchy(sys, ".");
        sys->core = sys->procs = ".";
    } else {
        for (size_t i = 0; i < GT_ARRAY_LEN(v1_controllers); i++) {
            add_hierarchy(sys, v1_controllers[i]);
        }
        sys->procs = sys->n_hier ? sys->hier[sys->n_hier - 1] : NULL;
        if (sys->mode == CGROUP_HYBRID) {
            add_hierarchy(sys, "unified");
            sys->core = sys->procs = "unified";
        }
    }
    if (sys->n_hier == 0) {
        free(sys);
        return gt_err_set(err, GT_ERR_NOT_FOUND, "no cgroup hierarchy below '%s'", root);
    }
    gt_steal_fd(&fd);
    *ret = sys;
    return 0;
}

int cgroup_sys_reopen(struct cgroup_sys *sys, struct gt_err *err)
{
    int fd = open(sys->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open '%s'", sys->path);
    }
    close(sys->root);
    sys->root = fd;
    return 0;
}

void cgroup_sys_close(struct cgroup_sys *sys)
{
    if (sys) {
        close(sys->root);
        free(sys);
    }
}

enum cgroup_mode cgroup_sys_mode(const struct cgroup_sys *sys)
{
    return sys->mode;
}

bool cgroup_has_hier(const struct cgroup_sys *sys, const char *hier)
{
    for (unsigned i = 0; i < sys->n_hier; i++) {
        if (strcmp(sys->hier[i], hier) == 0) {
            return true;
        }
    }
    /* Mounted together with another. */
    return sys->mode != CGROUP_V2 && exists(sys->root, hier);
}

int cgroup_file(struct cgroup *cg, const char *hier, const char *file, int oflags,
                struct gt_err *err)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s/%s", hier, cg->path, file);
    int fd = openat(cg->sys->root, path, oflags | O_CLOEXEC);
    return fd < 0 ? gt_err_errno(err, errno, "open cgroup file '%s'", path) : fd;
}

int cgroup_poke(struct cgroup *cg, const char *hier, const char *file, const char *text,
                struct gt_err *err)
{
    gt_auto_close int fd = cgroup_file(cg, hier, file, O_WRONLY, err);
    if (fd < 0) {
        return fd;
    }
    if (write(fd, text, strlen(text)) < 0) {
        return gt_err_errno(err, errno, "write '%s' into '%s' of cgroup '%s'", text, file,
                            cg->path);
    }
    return 0;
}

int cgroup_poke_u64(struct cgroup *cg, const char *hier, const char *file, uint64_t v,
                    struct gt_err *err)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    return cgroup_poke(cg, hier, file, text, err);
}

int cgroup_read(struct cgroup *cg, const char *hier, const char *file, char *to, size_t n,
                struct gt_err *err)
{
    gt_auto_close int fd = cgroup_file(cg, hier, file, O_RDONLY, err);
    if (fd < 0) {
        return fd;
    }
    ssize_t r = gt_read_full(fd, to, n - 1);
    if (r < 0) {
        return gt_err_errno(err, (int)r, "read '%s' of cgroup '%s'", file, cg->path);
    }
    to[r] = '\0';
    return 0;
}

int cgroup_read_u64(struct cgroup *cg, const char *hier, const char *file, uint64_t *ret,
                    struct gt_err *err)
{
    char text[64];
    int r = cgroup_read(cg, hier, file, text, sizeof text, err);
    if (r == 0) {
        *ret = strncmp(text, "max", 3) == 0 ? UINT64_MAX : strtoull(text, NULL, 10);
    }
    return r;
}

bool cgroup_keyed(const char *text, const char *key, uint64_t *ret)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0 && line[n] == ' ') {
            *ret = strtoull(line + n + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

/* v2: a controller is usable in a cgroup when all above it pass it on. What is not there (or not
 * ours to give) shows when a limit is to be set. */
static void pass_controllers(struct cgroup_sys *sys, const char *dir)
{
    char file[512];
    snprintf(file, sizeof file, ".%s/cgroup.subtree_control", dir);
    gt_auto_close int fd = openat(sys->root, file, O_WRONLY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < GT_ARRAY_LEN(v2_controllers); i++) {
        ssize_t ignored = write(fd, v2_controllers[i], strlen(v2_controllers[i]));
        (void)ignored;
    }
}

/* A v1 cpuset without cpus and mems takes no process: children are to start with their parent's. */
static void clone_cpuset(struct cgroup_sys *sys, const char *dir)
{
    char file[512];
    snprintf(file, sizeof file, "cpuset%s/cgroup.clone_children", dir);
    gt_file_poke(sys->root, file, "1", NULL);
}

static int make_folder(struct cgroup_sys *sys, const char *hier, const char *path,
                       struct gt_err *err)
{
    char full[512], part[256] = "";
    snprintf(full, sizeof full, "%s%s", hier, path);
    if (exists(sys->root, full)) {
        return 0;
    }
    for (const char *at = path; *at;) {
        const char *end = strchrnul(at + 1, '/');
        if (sys->mode == CGROUP_V2) {
            pass_controllers(sys, part);
        } else if (strcmp(hier, "cpuset") == 0) {
            clone_cpuset(sys, part);
        }
        memcpy(part, path, (size_t)(end - path));
        part[end - path] = '\0';
        snprintf(full, sizeof full, "%s%s", hier, part);
        if (mkdirat(sys->root, full, 0755) < 0 && errno != EEXIST) {
            return gt_err_errno(err, errno, "create cgroup '%s'", full);
        }
        at = end;
    }
    return 0;
}

static bool path_ok(const char *path)
{
    return path[0] == '/' && path[1] && strlen(path) < 240 && !strstr(path, "/.") &&
           !strstr(path, "//") && path[strlen(path) - 1] != '/';
}

int cgroup_open(struct cgroup_sys *sys, const char *path, struct cgroup **ret, struct gt_err *err)
{
    if (!path_ok(path)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no path of a cgroup", path);
    }
    struct cgroup *cg = gt_new(struct cgroup);
    cg->sys = sys;
    cg->core_fd = cg->oom_fd = -1;
    snprintf(cg->path, sizeof cg->path, "%s", path);
    if (sys->core) {
        cg->core_fd = cgroup_file(cg, sys->core, ".", O_RDONLY | O_DIRECTORY, err);
        if (cg->core_fd < 0) {
            int r = cg->core_fd;
            cgroup_close(cg);
            return r;
        }
    }
    *ret = cg;
    return 0;
}

int cgroup_create(struct cgroup_sys *sys, const char *path, struct cgroup **ret, struct gt_err *err)
{
    if (!path_ok(path)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no path of a cgroup", path);
    }
    for (unsigned i = 0; i < sys->n_hier; i++) {
        int r = make_folder(sys, sys->hier[i], path, err);
        if (r < 0) {
            return r;
        }
    }
    return cgroup_open(sys, path, ret, err);
}

void cgroup_close(struct cgroup *cg)
{
    if (cg) {
        gt_closep(&cg->core_fd);
        gt_closep(&cg->oom_fd);
        free(cg);
    }
}

const char *cgroup_path(const struct cgroup *cg)
{
    return cg->path;
}

int cgroup_fd(const struct cgroup *cg)
{
    return cg->core_fd;
}

bool cgroup_clone_suffices(const struct cgroup *cg)
{
    return cg->sys->mode == CGROUP_V2;
}

int cgroup_attach(struct cgroup *cg, pid_t pid, struct gt_err *err)
{
    for (unsigned i = 0; i < cg->sys->n_hier; i++) {
        int r = cgroup_poke_u64(cg, cg->sys->hier[i], "cgroup.procs", (uint64_t)pid, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* The numbers of a cgroup.procs, as far as 64 kB go: whoever needs all of more calls again. */
static int read_pids(int fd, void (*each)(pid_t pid, void *arg), void *arg)
{
    char text[4096];
    pid_t pid = 0;
    ssize_t n;
    for (int block = 0; block < 16 && (n = read(fd, text, sizeof text)) > 0; block++) {
        for (ssize_t i = 0; i < n; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
            } else if (pid > 0) {
                each(pid, arg);
                pid = 0;
            }
        }
    }
    return n < 0 && errno != ENODEV ? -errno : 0;
}

/* Calls `each` for every process in the folder, then for the folders below. */
static int each_process(struct cgroup_sys *sys, const char *dir, void (*each)(pid_t pid, void *arg),
                        void *arg, int depth)
{
    char file[1024];
    snprintf(file, sizeof file, "%s/cgroup.procs", dir);
    int fd = openat(sys->root, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENODEV ? 0 : -errno;
    }
    int r = read_pids(fd, each, arg);
    close(fd);
    if (r < 0) {
        return r;
    }
    fd = openat(sys->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (struct dirent *e; d && depth < 16 && (e = readdir(d));) {
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            char sub[768];
            if (snprintf(sub, sizeof sub, "%.500s/%s", dir, e->d_name) < (int)sizeof sub) {
                each_process(sys, sub, each, arg, depth + 1);
            }
        }
    }
    if (d) {
        closedir(d);
    }
    return 0;
}

static void kill_one(pid_t pid, void *arg)
{
    *(bool *)arg = true;
    kill(pid, SIGKILL);
}

static void count_one(pid_t pid, void *arg)
{
    (void)pid;
    *(bool *)arg = true;
}

static int walk(struct cgroup *cg, void (*each)(pid_t, void *), bool *any)
{
    char dir[512];
    snprintf(dir, sizeof dir, "%s%s", cg->sys->procs, cg->path);
    *any = false;
    return each_process(cg->sys, dir, each, any, 0);
}

int cgroup_kill(struct cgroup *cg, struct gt_err *err)
{
    struct gt_err why = GT_ERR_INIT;
    if (cg->sys->core && cgroup_poke(cg, cg->sys->core, "cgroup.kill", "1", &why) == 0) {
        cg->sys->ops->freeze(cg, false, NULL); /* what is frozen by v1's freezer does not die */
        return 0;
    }
    /* Before Linux 5.14, or v1 alone: until a round finds nobody. A fork bomb is stopped first. */
    cg->sys->ops->freeze(cg, true, NULL);
    bool any = true;
    int r = 0;
    for (int round = 0; round < 10 && any && r == 0; round++) {
        r = walk(cg, kill_one, &any);
        cg->sys->ops->freeze(cg, false, NULL);
    }
    return r < 0 ? gt_err_errno(err, r, "kill the processes of cgroup '%s'", cg->path) : 0;
}

int cgroup_freeze(struct cgroup *cg, bool frozen, struct gt_err *err)
{
    return cg->sys->ops->freeze(cg, frozen, err);
}

int cgroup_populated(struct cgroup *cg, bool *ret, struct gt_err *err)
{
    if (cg->sys->core) {
        char text[256];
        uint64_t v;
        int r = cgroup_read(cg, cg->sys->core, "cgroup.events", text, sizeof text, err);
        if (r == 0 && cgroup_keyed(text, "populated", &v)) {
            *ret = v != 0;
            return 0;
        }
        if (r < 0) {
            return r;
        }
    }
    int r = walk(cg, count_one, ret);
    return r < 0 ? gt_err_errno(err, r, "read the processes of cgroup '%s'", cg->path) : 0;
}

static int remove_below(int root, const char *dir, int depth)
{
    int fd = openat(root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    DIR *d = fdopendir(fd);
    int r = 0;
    for (struct dirent *e; d && depth < 16 && r == 0 && (e = readdir(d));) {
        if (e->d_type == DT_DIR && e->d_name[0] != '.') {
            char sub[768];
            int n = snprintf(sub, sizeof sub, "%.500s/%s", dir, e->d_name);
            r = n < (int)sizeof sub ? remove_below(root, sub, depth + 1) : -ENAMETOOLONG;
        }
    }
    if (d) {
        closedir(d);
    }
    if (r == 0 && unlinkat(root, dir, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        r = -errno;
    }
    return r;
}

int cgroup_remove(struct cgroup *cg, struct gt_err *err)
{
    int result = 0;
    for (unsigned i = 0; i < cg->sys->n_hier; i++) {
        char dir[512];
        snprintf(dir, sizeof dir, "%s%s", cg->sys->hier[i], cg->path);
        int r = remove_below(cg->sys->root, dir, 0);
        if (r < 0 && result != -EBUSY) {
            result = r;
        }
    }
    return result < 0 ? gt_err_errno(err, result, "remove cgroup '%s'", cg->path) : 0;
}

int cgroup_limit(struct cgroup *cg, const struct rt_limits *limits, struct gt_err *err)
{
    return cg->sys->ops->limit(cg, limits, err);
}

int cgroup_oom_fd(struct cgroup *cg, struct gt_err *err)
{
    return cg->oom_fd >= 0 ? cg->oom_fd : cg->sys->ops->oom_fd(cg, err);
}

int cgroup_oom_kills(struct cgroup *cg, uint64_t *ret, struct gt_err *err)
{
    return cg->sys->ops->oom_kills(cg, ret, err);
}

int cgroup_stats(struct cgroup *cg, struct cgroup_stats *ret, struct gt_err *err)
{
    memset(ret, 0, sizeof *ret);
    return cg->sys->ops->stats(cg, ret, err);
}
