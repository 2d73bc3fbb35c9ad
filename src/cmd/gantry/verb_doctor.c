#include "cmd/gantry/nodes.h"
#include "lib/base/file.h"
#include "node/net/peers.h"
#include "node/runtime/cgroup.h"
#include "node/runtime/kernel.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

static int bad;

static void say(const char *mark, const char *what, const char *advice)
{
    printf("[%s] %s\n", mark, what);
    if (advice) {
        printf("       %s\n", advice);
    }
    fflush(stdout);
}

static void check(bool ok, const char *what, const char *advice)
{
    say(ok ? " ok " : "FAIL", what, ok ? NULL : advice);
    bad += !ok;
}

static void check_kernel(void)
{
    struct utsname u;
    int major = 0, minor = 0;
    char text[128];
    uname(&u);
    char *rest = NULL;
    major = (int)strtol(u.release, &rest, 10);
    minor = *rest == '.' ? (int)strtol(rest + 1, NULL, 10) : 0;
    snprintf(text, sizeof text, "kernel %.60s", u.release);
    check(major > 6 || (major == 6 && minor >= 1), text,
          "Gantry needs Linux 6.1 (Debian 12) or newer.");
}

static void check_cgroups(void)
{
    struct cgroup_sys *sys = NULL;
    struct gt_err err = GT_ERR_INIT;
    char text[700];
    int r = cgroup_sys_open(NULL, -1, &sys, &err);
    if (r < 0) {
        snprintf(text, sizeof text, "cgroups: %s", err.msg);
        check(false, text, "Mount cgroup2 at /sys/fs/cgroup (systemd does).");
        return;
    }
    snprintf(text, sizeof text, "cgroups: %s", cgroup_mode_name(cgroup_sys_mode(sys)));
    check(true, text, NULL);
    cgroup_sys_close(sys);
}

/* /proc/filesystems does not tell: a kernel with modules loads it when it is first asked for. */
static void check_overlay(void)
{
    gt_auto_close int fs = k_fsopen("overlay");
    bool has = fs >= 0 || fs == -EPERM; /* not root: it cannot be asked */
    check(has, "overlayfs", "Load it: modprobe overlay");
}

static void check_disk(const char *state)
{
    struct statvfs s;
    char text[1200];
    const char *dir = access(state, F_OK) == 0 ? state : "/var/lib";
    if (statvfs(dir, &s) < 0) {
        check(false, dir, strerror(errno));
        return;
    }
    unsigned long long free_mb = (unsigned long long)s.f_bavail * s.f_frsize >> 20;
    snprintf(text, sizeof text, "disk: %llu MiB free for %s", free_mb, dir);
    check(free_mb > 1024, text, "Images and logs want at least 1 GiB.");
}

static void check_parts(void)
{
    static const char *const parts[] = {"server", "agent", "link", "shim", "unpack"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    for (size_t i = 0; i < GT_ARRAY_LEN(parts); i++) {
        gt_auto_free char *path = gt_asprintf("%s-%s", self, parts[i]);
        if (access(path, X_OK) != 0) {
            check(false, path, "Install all of Gantry's executables side by side.");
            return;
        }
    }
    check(true, "all executables are beside this one", NULL);
}

static void on_net(void *arg, enum net_check_level level, const char *what, const char *advice)
{
    say(level == NET_CHECK_OK ? " ok " : level == NET_CHECK_NOTE ? "note" : "FAIL", what, advice);
    bad += level == NET_CHECK_BAD;
}

static void check_nodes(struct cli *c)
{
    struct gt_err err = GT_ERR_INIT;
    struct nodes all;
    size_t live = 0;
    char text[700];
    if (nodes_list(c, &all, &err) < 0) {
        check(false, err.msg, NULL);
        return;
    }
    for (size_t i = 0; i < all.n; i++) {
        live += gt_str_is(all.v[i].state, "LIVE");
    }
    snprintf(text, sizeof text, "%zu node(s) registered, %zu of them heard", all.n, live);
    check(live > 0, text, "Look at the agent's log.");
    if (all.brake) {
        snprintf(text, sizeof text, "%lld of %lld nodes fell silent together: nothing is replaced",
                 (long long)all.brake->silent, (long long)all.brake->of);
        check(false, text, "Look at them, or: gantry nodes --release");
    }
}

static void find_node(const char *state, struct instance *ret)
{
    struct gt_err none = GT_ERR_INIT;
    if (instance_load(state, ret, &none) < 0) { /* a node alone */
        *ret = (struct instance){.run = "/run/gantry"};
    }
}

/* How the agent of this machine stands with its server; nothing to say when there is none. */
static void check_agent(const char *state)
{
    static const char ask[] = "{\"op\":\"status\"}";
    struct instance in;
    struct gt_err none = GT_ERR_INIT;
    char answer[4096], text[1400];
    gt_auto_close int fd = -1;
    find_node(state, &in);
    fd = agent_connect(&in, &none);
    ssize_t n =
        fd >= 0 && write(fd, ask, sizeof ask - 1) > 0 ? read(fd, answer, sizeof answer) : -1;
    json_t *o = n > 0 ? json_loadb(answer, (size_t)n, 0, NULL) : NULL;
    const char *standing = json_string_value(json_object_get(o, "standing"));
    const char *why = json_string_value(json_object_get(o, "text"));
    const char *server = json_string_value(json_object_get(o, "server"));
    if (standing && why && server) {
        bool good = gt_streq(standing, "good");
        snprintf(text, sizeof text, "the agent's standing with %s: %s", server, standing);
        check(good, text, why);
    }
    json_decref(o);
}

static void check_server(const char *state)
{
    struct instance in;
    struct gt_err err = GT_ERR_INIT;
    struct cli c;
    if (instance_load(state, &in, &err) < 0) {
        say("note", "no Gantry was started here yet", "Start one: gantry up");
        return;
    }
    if (geteuid() != 0) {
        say("note", "the server was not asked: only root may read its key", NULL);
        return;
    }
    if (cli_open(&c, state) != 0) {
        bad++;
        return;
    }
    struct ecs_list_container_instances_in li = {0};
    struct ecs_list_container_instances_out out = {0};
    char text[700];
    int r = api_call(c.client, &ecs_op_list_container_instances, &li, &c.arena, &out, &err);
    snprintf(text, sizeof text, "server at %s: %s", in.endpoint, r < 0 ? err.msg : "answers");
    check(r == 0, text, "Start it: gantry up");
    if (r == 0) {
        check_nodes(&c);
    }
    cli_close(&c);
}

int cmd_doctor(int argc, char **argv)
{
    const char *state = default_state();
    const struct option_def defs[] = {
        {"state", "DIR", "state folder of the Gantry meant", &state, NULL},
        {0},
    };
    int r = options_parse(defs, "gantry doctor",
                          "Checks whether this machine can run containers, sends a real packet, "
                          "and says what\nto do. Exits with 1 when something keeps tasks from "
                          "running.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    check(geteuid() == 0, "running as root", "Containers need root: sudo gantry doctor");
    check_kernel();
    check_parts();
    check_cgroups();
    check_overlay();
    check_disk(state);
    if (geteuid() == 0) {
        net_check("/run", on_net, NULL);
    }
    check_agent(state);
    if (geteuid() == 0) {
        struct instance in;
        find_node(state, &in);
        net_check_peers(in.run, on_net, NULL);
    }
    check_server(state);
    printf(bad ? "\n%d finding(s) keep tasks from running.\n" : "\nAll well.\n", bad);
    return bad ? 1 : 0;
}
