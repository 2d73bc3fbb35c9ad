/* Making shims, keeping a pool of them, finding them again, and cleaning up after them. */
#include "node/shim/shim_client_priv.h"

#include "lib/base/file.h"
#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "node/runtime/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { FD_LISTEN = 3, FD_FOLDER = 4, ID_BYTES = 8 };

/* --- the program. What runs beside hostile containers is a sealed copy in memory: they can reach
 * /proc/<pid>/exe of our children for a moment, and must find nothing to write to (CVE-2019-5736).
 * One copy for each agent process; shims share its pages. */

static int copy_sealed(const char *path, struct gt_err *err)
{
    gt_auto_close int from = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (from < 0 || fstat(from, &st) < 0) {
        return gt_err_errno(err, errno, "open '%s'", path);
    }
    gt_auto_close int to = memfd_create("gantry-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (to < 0) {
        return gt_err_errno(err, errno, "make a memory file");
    }
    for (off_t at = 0; at < st.st_size;) {
        char block[65536];
        ssize_t n = pread(from, block, sizeof block, at);
        if (n <= 0 || gt_write_full(to, block, (size_t)n) < 0) {
            return gt_err_errno(err, n < 0 ? errno : EIO, "copy '%s'", path);
        }
        at += n;
    }
    if (fchmod(to, 0500) < 0 ||
        fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
        return gt_err_errno(err, errno, "seal the copy of '%s'", path);
    }
    /* Above the numbers that a shim gets its own descriptors on. */
    int fd = fcntl(to, F_DUPFD_CLOEXEC, 10);
    return fd < 0 ? gt_err_errno(err, errno, "copy '%s'", path) : fd;
}

/* Borrowed. Two threads may both copy; one copy wins. */
static int program(const struct shim_opts *opts, struct gt_err *err)
{
    static int cached; /* descriptor + 1 */
    int have = __atomic_load_n(&cached, __ATOMIC_ACQUIRE);
    if (have) {
        return have - 1;
    }
    char path[4096];
    if (opts->shim_path) {
        snprintf(path, sizeof path, "%s", opts->shim_path);
    } else {
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
        path[n > 0 ? n : 0] = '\0';
        char *slash = strrchr(path, '/');
        snprintf(slash ? slash : path, 16, "/gantry-shim");
    }
    int fd = copy_sealed(path, err);
    if (fd < 0) {
        return fd;
    }
    int none = 0;
    if (!__atomic_compare_exchange_n(&cached, &none, fd + 1, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        close(fd);
        return none - 1;
    }
    return fd;
}

/* --- a process */

static int listen_in(int folder, struct gt_err *err)
{
    gt_auto_close int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    /* By descriptor: run directories may be longer than the 107 bytes of a socket's address. */
    snprintf(addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/" SHIM_SOCKET, folder);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 8) < 0) {
        return gt_err_errno(err, errno, "make the shim's socket");
    }
    return gt_steal_fd(&fd);
}

static bool passed_on(const char *var)
{
    static const char *const prefixes[] = {
        "GANTRY_LOG=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=", "LD_LIBRARY_PATH="};
    for (size_t i = 0; i < GT_ARRAY_LEN(prefixes); i++) {
        if (strncmp(var, prefixes[i], strlen(prefixes[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* The intermediate process that this makes exits at once; the shim is its child. */
static int spawn(int exe, int listen_fd, int folder, const char *cgroup, unsigned parked,
                 uint64_t descriptors, struct gt_err *err)
{
    char exe_path[32], parked_text[16], descriptors_text[24];
    char *env[8];
    size_t n_env = 0;
    snprintf(exe_path, sizeof exe_path, "/proc/self/fd/%d", exe);
    snprintf(parked_text, sizeof parked_text, "%u", parked);
    snprintf(descriptors_text, sizeof descriptors_text, "%llu", (unsigned long long)descriptors);
    for (char **e = environ; *e && n_env < GT_ARRAY_LEN(env) - 1; e++) {
        if (passed_on(*e)) {
            env[n_env++] = *e;
        }
    }
    env[n_env] = NULL;
    char *argv[] = {(char *)"gantry-shim", (char *)(uintptr_t)cgroup, parked_text, descriptors_text,
                    NULL};
    gt_auto_close int log = openat(folder, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    /* Out of the way of the numbers that they are to have. */
    gt_auto_close int high_listen = fcntl(listen_fd, F_DUPFD_CLOEXEC, 10);
    gt_auto_close int high_folder = fcntl(folder, F_DUPFD_CLOEXEC, 10);
    if (log < 0 || high_listen < 0 || high_folder < 0) {
        return gt_err_errno(err, errno, "prepare the shim's descriptors");
    }
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&files, 0, 1);
    posix_spawn_file_actions_adddup2(&files, log, 2);
    posix_spawn_file_actions_adddup2(&files, high_listen, FD_LISTEN);
    posix_spawn_file_actions_adddup2(&files, high_folder, FD_FOLDER);
    pid_t pid;
    int r = posix_spawn(&pid, exe_path, &files, &attr, argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    if (r) {
        return gt_err_errno(err, r, "start gantry-shim");
    }
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return 0;
}

/* A shim with its folder at `path`, which must not be there. */
static int make_shim(const struct shim_opts *opts, const char *path, unsigned parked,
                     struct gt_err *err)
{
    unsigned char random[ID_BYTES];
    char id[2 * ID_BYTES + 1], cgroup[200];
    gt_rand_bytes(random, sizeof random);
    gt_hex_encode(random, sizeof random, id);
    snprintf(cgroup, sizeof cgroup, "%s/%s", opts->cgroup_root, id);
    int exe = program(opts, err);
    if (exe < 0) {
        return exe;
    }
    if (mkdir(path, 0700) < 0) {
        return gt_err_errno(err, errno, "create folder '%s'", path);
    }
    gt_auto_close int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return gt_err_errno(err, errno, "open folder '%s'", path);
    }
    gt_auto_close int listen_fd = listen_in(folder, err);
    int r = listen_fd < 0 ? listen_fd
                          : spawn(exe, listen_fd, folder, cgroup, parked, opts->descriptors, err);
    if (r < 0) {
        gt_remove_tree(AT_FDCWD, path, NULL);
    }
    return r;
}

/* --- the pool */

struct shim_pool {
    struct shim_opts opts;
    unsigned size, n, room;
    char (*ids)[SHIM_POOL_ID]; /* folders in <run>/pool, oldest first */
};

static void pool_path(const struct shim_opts *opts, const char *id, char to[static 4096])
{
    snprintf(to, 4096, "%s/pool%s%s", opts->run_dir, *id ? "/" : "", id);
}

static void task_path(const char *run_dir, const char *id, char to[static 4096])
{
    snprintf(to, 4096, "%s/tasks%s%s", run_dir, *id ? "/" : "", id);
}

static int clean_folder(const char *path, struct gt_err *err);

/* What an earlier agent's pool left behind has no task: end it. */
static int sweep(const struct shim_opts *opts, struct gt_err *err)
{
    char path[4096];
    pool_path(opts, "", path);
    int r = gt_mkdirs(path, 0700, err);
    DIR *d = r < 0 ? NULL : opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] != '.') {
            pool_path(opts, e->d_name, path);
            clean_folder(path, NULL);
        }
    }
    if (d) {
        closedir(d);
    }
    return r;
}

int shim_pool_new(const struct shim_opts *opts, unsigned size, struct shim_pool **ret,
                  struct gt_err *err)
{
    char path[4096];
    int r = sweep(opts, err);
    task_path(opts->run_dir, "", path);
    r = r < 0 ? r : gt_mkdirs(path, 0700, err);
    r = r < 0 ? r : program(opts, err);
    if (r < 0) {
        return r;
    }
    struct shim_pool *p = gt_new(struct shim_pool);
    p->opts = *opts;
    p->opts.run_dir = gt_strdup(opts->run_dir);
    p->opts.cgroup_root = gt_strdup(opts->cgroup_root);
    p->opts.shim_path = opts->shim_path ? gt_strdup(opts->shim_path) : NULL;
    p->size = size;
    *ret = p;
    return 0;
}

int shim_pool_make(const struct shim_pool *p, char ret_id[static SHIM_POOL_ID], struct gt_err *err)
{
    unsigned char random[ID_BYTES];
    char path[4096];
    _Static_assert(SHIM_POOL_ID == 2 * ID_BYTES + 1, "hex digits and a NUL");
    gt_rand_bytes(random, sizeof random);
    gt_hex_encode(random, sizeof random, ret_id);
    pool_path(&p->opts, ret_id, path);
    return make_shim(&p->opts, path, p->opts.parked, err);
}

void shim_pool_add(struct shim_pool *p, const char *id)
{
    if (p->n == p->room) {
        p->room = p->room ? p->room * 2 : 8;
        p->ids = gt_realloc(p->ids, p->room * sizeof *p->ids);
    }
    memcpy(p->ids[p->n++], id, SHIM_POOL_ID);
}

unsigned shim_pool_ready(const struct shim_pool *p)
{
    return p->n;
}

int shim_pool_fill(struct shim_pool *p, struct gt_err *err)
{
    while (p->n < p->size) {
        char id[SHIM_POOL_ID];
        int r = shim_pool_make(p, id, err);
        if (r < 0) {
            return r;
        }
        shim_pool_add(p, id);
    }
    return 0;
}

void shim_pool_free(struct shim_pool *p)
{
    if (!p) {
        return;
    }
    for (unsigned i = 0; i < p->n; i++) {
        char path[4096];
        struct shim *s;
        pool_path(&p->opts, p->ids[i], path);
        if (shim_connect(path, &s, NULL) == 0) {
            shim_shutdown(s, NULL);
            shim_close(s);
        }
        for (int tries = 0; tries < 100 && clean_folder(path, NULL) == -EBUSY; tries++) {
            usleep(5000);
        }
    }
    free((void *)(uintptr_t)p->opts.run_dir);
    free((void *)(uintptr_t)p->opts.cgroup_root);
    free((void *)(uintptr_t)p->opts.shim_path);
    free(p->ids);
    free(p);
}

static bool id_ok(const char *id)
{
    size_t n = strlen(id);
    return n > 0 && n <= RT_ID_MAX && id[0] != '.' && !strchr(id, '/');
}

/* From the pool: its folder moves, the socket with it. */
static int take_pooled(struct shim_pool *p, const char *to, struct shim **ret)
{
    while (p && p->n > 0) {
        char from[4096];
        pool_path(&p->opts, p->ids[0], from);
        memmove(p->ids, p->ids + 1, (p->n - 1) * sizeof *p->ids);
        p->n--;
        if (rename(from, to) == 0) {
            if (shim_connect(to, ret, NULL) == 0) {
                return 0;
            }
            clean_folder(to, NULL); /* it died meanwhile */
        }
    }
    return -ENOENT;
}

/* What a shim that ended at once wrote to its log. */
static void add_last_words(const char *path, struct gt_err *err)
{
    char log[4200], text[256];
    snprintf(log, sizeof log, "%s/log", path);
    gt_auto_close int fd = open(log, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : gt_read_full(fd, text, sizeof text - 1);
    if (n > 0 && err) {
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        size_t used = strlen(err->msg);
        snprintf(err->msg + used, sizeof err->msg - used, " (%s)", text);
    }
}

int shim_take(struct shim_pool *pool, const struct shim_opts *opts, const char *task_id,
              const char *spool_dir, const struct rt_limits *limits, struct shim **ret,
              struct gt_err *err)
{
    char path[4096], tasks[4096];
    if (!id_ok(task_id)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no id of a task", task_id);
    }
    opts = opts ? opts : &pool->opts;
    task_path(opts->run_dir, task_id, path);
    struct shim *s = NULL;
    int r = take_pooled(pool, path, &s);
    if (r < 0) {
        task_path(opts->run_dir, "", tasks);
        r = gt_mkdirs(tasks, 0700, err);
        r = r < 0 ? r : make_shim(opts, path, 0, err);
        r = r < 0 ? r : shim_connect(path, &s, err);
    }
    r = r < 0 ? r : shim_set_task(s, task_id, spool_dir, limits, err);
    if (r < 0) {
        shim_close(s);
        if (r != -EEXIST) { /* then the folder is another's */
            add_last_words(path, err);
            clean_folder(path, NULL);
        }
        return r;
    }
    *ret = s;
    return 0;
}

int shim_task_again(struct shim *s, const char *task_id, const char *spool_dir,
                    const struct rt_limits *limits, struct gt_err *err)
{
    struct gt_err why = GT_ERR_INIT;
    int r = shim_set_task(s, task_id, spool_dir, limits, &why);
    if (r < 0 && why.kind != GT_ERR_EXISTS) {
        gt_err_wrap(&why, "task '%s'", task_id);
        if (err) {
            *err = why;
        }
        return r;
    }
    return 0;
}

int shim_open(const char *run_dir, const char *task_id, struct shim **ret, struct gt_err *err)
{
    char path[4096];
    if (!id_ok(task_id)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no id of a task", task_id);
    }
    task_path(run_dir, task_id, path);
    return shim_connect(path, ret, err);
}

int shim_list(const char *run_dir, int (*each)(const char *task_id, void *arg), void *arg,
              struct gt_err *err)
{
    char path[4096];
    task_path(run_dir, "", path);
    DIR *d = opendir(path);
    if (!d) {
        return errno == ENOENT ? 0 : gt_err_errno(err, errno, "open '%s'", path);
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        if (e->d_name[0] != '.') {
            r = each(e->d_name, arg);
        }
    }
    closedir(d);
    return r;
}

int shim_events_read(const char *run_dir, const char *task_id, uint64_t after,
                     struct shim_event *to, unsigned max, struct gt_err *err)
{
    char path[4096];
    if (!id_ok(task_id)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no id of a task", task_id);
    }
    snprintf(path, sizeof path, "%s/tasks/%s/" SHIM_EVENTS_FILE, run_dir, task_id);
    gt_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return gt_err_errno(err, errno, "open '%s'", path);
    }
    unsigned n = 0;
    while (n < max && pread(fd, &to[n], sizeof *to, (off_t)((after + n) * sizeof *to)) ==
                          (ssize_t)sizeof *to) {
        n++;
    }
    return (int)n;
}

/* --- after a death */

static int clean_folder(const char *path, struct gt_err *err)
{
    gt_auto_close int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder < 0) {
        return errno == ENOENT ? 0 : gt_err_errno(err, errno, "open '%s'", path);
    }
    gt_auto_buf struct gt_buf cgroup = GT_BUF_INIT(255);
    int r = gt_file_read(folder, SHIM_CGROUP_FILE, &cgroup, NULL);
    struct cgroup_sys *sys = NULL;
    struct cgroup *cg = NULL;
    if (r == 0 && cgroup.n > 0) {
        r = cgroup_sys_open(NULL, -1, &sys, err);
        /* Made again where it is half gone, so that all of it is removed. */
        r = r < 0 ? r : cgroup_create(sys, cgroup.p, &cg, err);
        r = r < 0 ? r : cgroup_kill(cg, err);
        r = r < 0 ? r : cgroup_remove(cg, err);
        cgroup_close(cg);
        cgroup_sys_close(sys);
        if (r < 0) {
            return r;
        }
    }
    return gt_remove_tree(AT_FDCWD, path, err);
}

int shim_cleanup(const char *run_dir, const char *task_id, struct gt_err *err)
{
    char path[4096];
    if (!id_ok(task_id)) {
        return gt_err_set(err, GT_ERR_INVALID, "'%s' is no id of a task", task_id);
    }
    task_path(run_dir, task_id, path);
    return clean_folder(path, err);
}
