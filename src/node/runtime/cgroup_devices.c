/* Which devices a cgroup may use: lines of devices.allow with v1, a BPF program with v2. */
#include "node/runtime/cgroup_priv.h"

#include "lib/base/mem.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Making any node is harmless (opening it is what counts); the rest is what every container has. */
static const struct cgroup_device_rule standard[] = {
    {'c', -1, -1, "m"},    {'b', -1, -1, "m"}, {'c', 1, 3, "rwm"}, /* null */
    {'c', 1, 5, "rwm"},                                            /* zero */
    {'c', 1, 7, "rwm"},                                            /* full */
    {'c', 1, 8, "rwm"},                                            /* random */
    {'c', 1, 9, "rwm"},                                            /* urandom */
    {'c', 5, 0, "rwm"},                                            /* tty */
    {'c', 5, 1, "rwm"},                                            /* console */
    {'c', 5, 2, "rwm"},                                            /* ptmx */
    {'c', 136, -1, "rwm"},                                         /* pts/N */
};

int cgroup_devices(struct cgroup *cg, const struct rt_spec *spec, struct gt_err *err)
{
    struct cgroup_device_rule rules[GT_ARRAY_LEN(standard) + 64];
    unsigned n = GT_ARRAY_LEN(standard);
    memcpy(rules, standard, sizeof standard);
    for (uint32_t i = 0; i < spec->devices.n; i++) {
        const struct rt_device *d = &spec->devices.v[i];
        struct stat st;
        if (n == GT_ARRAY_LEN(rules)) {
            return gt_err_set(err, GT_ERR_LIMIT, "more than %d devices", 64);
        }
        if (stat(d->host_path, &st) < 0) {
            return gt_err_errno(err, errno, "look at device '%s'", d->host_path);
        }
        if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode)) {
            return gt_err_set(err, GT_ERR_INVALID, "'%s' is no device", d->host_path);
        }
        rules[n++] =
            (struct cgroup_device_rule){S_ISCHR(st.st_mode) ? 'c' : 'b', (int)major(st.st_rdev),
                                        (int)minor(st.st_rdev), d->access ? d->access : "rwm"};
    }
    return cg->sys->mode == CGROUP_V2 ? cgroup_devices_bpf(cg, rules, n, spec->privileged, err)
                                      : cgroup_devices_v1(cg, rules, n, spec->privileged, err);
}

static void number_or_star(int v, char to[static 16])
{
    if (v < 0) {
        snprintf(to, 16, "*");
    } else {
        snprintf(to, 16, "%d", v);
    }
}

int cgroup_devices_v1(struct cgroup *cg, const struct cgroup_device_rule *rules, unsigned n,
                      bool all, struct gt_err *err)
{
    if (!cgroup_has_hier(cg->sys, "devices")) {
        return 0;
    }
    if (all) {
        return cgroup_poke(cg, "devices", "devices.allow", "a", err);
    }
    int r = cgroup_poke(cg, "devices", "devices.deny", "a", err);
    for (unsigned i = 0; i < n && r == 0; i++) {
        char line[64], maj[16], min[16];
        number_or_star(rules[i].major_nr, maj);
        number_or_star(rules[i].minor_nr, min);
        snprintf(line, sizeof line, "%c %s:%s %s", rules[i].type, maj, min, rules[i].access);
        r = cgroup_poke(cg, "devices", "devices.allow", line, err);
    }
    return r;
}

#define OP(code_, dst, src, off_, imm_)                                                            \
    ((struct bpf_insn){                                                                            \
        .code = (code_), .dst_reg = (dst), .src_reg = (src), .off = (short)(off_), .imm = (imm_)})

enum { MAX_RULE_INSNS = 8 };

static int access_bits(const char *access)
{
    return (strchr(access, 'm') ? BPF_DEVCG_ACC_MKNOD : 0) |
           (strchr(access, 'r') ? BPF_DEVCG_ACC_READ : 0) |
           (strchr(access, 'w') ? BPF_DEVCG_ACC_WRITE : 0);
}

/* r2 type, r3 access, r4 major, r5 minor: when the rule covers it, the answer is yes. */
static unsigned rule_program(const struct cgroup_device_rule *rule, struct bpf_insn *to)
{
    struct bpf_insn body[MAX_RULE_INSNS];
    unsigned n = 0;
    body[n++] = OP(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0,
                   rule->type == 'c' ? BPF_DEVCG_DEV_CHAR : BPF_DEVCG_DEV_BLOCK);
    body[n++] = OP(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
    body[n++] = OP(BPF_ALU | BPF_AND | BPF_K, BPF_REG_1, 0, 0, access_bits(rule->access));
    body[n++] = OP(BPF_JMP | BPF_JNE | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
    if (rule->major_nr >= 0) {
        body[n++] = OP(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, rule->major_nr);
    }
    if (rule->minor_nr >= 0) {
        body[n++] = OP(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, rule->minor_nr);
    }
    body[n++] = OP(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
    body[n++] = OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    for (unsigned i = 0; i < n; i++) {
        if (BPF_CLASS(body[i].code) == BPF_JMP && BPF_OP(body[i].code) == BPF_JNE) {
            body[i].off = (short)(n - i - 1);
        }
        to[i] = body[i];
    }
    return n;
}

static int bpf(int cmd, union bpf_attr *attr)
{
    long r = syscall(SYS_bpf, cmd, attr, sizeof *attr);
    return r < 0 ? -errno : (int)r;
}

int cgroup_devices_bpf(struct cgroup *cg, const struct cgroup_device_rule *rules, unsigned n,
                       bool all, struct gt_err *err)
{
    if (all) {
        return 0; /* nothing was attached to a fresh cgroup */
    }
    struct bpf_insn prog[8 + 80 * MAX_RULE_INSNS];
    unsigned len = 0;
    prog[len++] = OP(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0);
    prog[len++] = OP(BPF_ALU | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
    prog[len++] = OP(BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
    prog[len++] = OP(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
    prog[len++] = OP(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0);
    prog[len++] = OP(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0);
    for (unsigned i = 0; i < n; i++) {
        len += rule_program(&rules[i], prog + len);
    }
    prog[len++] = OP(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
    prog[len++] = OP(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);

    union bpf_attr load;
    memset(&load, 0, sizeof load);
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insns = (uint64_t)(uintptr_t)prog;
    load.insn_cnt = len;
    load.license = (uint64_t)(uintptr_t) "Apache-2.0";
    gt_auto_close int fd = bpf(BPF_PROG_LOAD, &load);
    if (fd < 0) {
        return gt_err_errno(err, fd, "load the device filter of cgroup '%s'", cg->path);
    }
    union bpf_attr attach;
    memset(&attach, 0, sizeof attach);
    attach.target_fd = (uint32_t)cg->core_fd;
    attach.attach_bpf_fd = (uint32_t)fd;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    int r = bpf(BPF_PROG_ATTACH, &attach);
    return r < 0 ? gt_err_errno(err, r, "attach the device filter to cgroup '%s'", cg->path) : 0;
}
