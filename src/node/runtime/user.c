#include "node/runtime/user.h"

#include "lib/base/mem.h"
#include "lib/safepath/safepath.h"

#include <errno.h>
#include <string.h>

/* Decimal digits only. 1: a number; 0: not one; -ERANGE: one that is too large. */
static int number(struct gt_str s, uint32_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0) {
        return 0;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return 0;
        }
        v = v * 10 + (uint64_t)(s.p[i] - '0');
        if (v > INT32_MAX) {
            v = (uint64_t)INT32_MAX + 1; /* keep reading: it may turn out to be no number */
        }
    }
    if (v > INT32_MAX) {
        return -ERANGE;
    }
    *ret = (uint32_t)v;
    return 1;
}

static bool next_line(struct gt_str *rest, struct gt_str *line)
{
    if (rest->n == 0) {
        return false;
    }
    const char *nl = memchr(rest->p, '\n', rest->n);
    size_t n = nl ? (size_t)(nl - rest->p) : rest->n;
    *line = gt_str_n(rest->p, n);
    size_t skip = nl ? n + 1 : n;
    rest->p += skip;
    rest->n -= skip;
    return true;
}

/* Splits at the colons; returns how many fields there are, of which at most max are filled. */
static unsigned fields(struct gt_str line, char sep, struct gt_str *to, unsigned max)
{
    unsigned n = 0;
    for (;;) {
        const char *at = line.n ? memchr(line.p, sep, line.n) : NULL;
        size_t len = at ? (size_t)(at - line.p) : line.n;
        if (n < max) {
            to[n] = gt_str_n(line.p, len);
        }
        n++;
        if (!at) {
            return n;
        }
        line.p += len + 1;
        line.n -= len + 1;
    }
}

static bool add_group(struct user *u, gid_t gid)
{
    for (uint32_t i = 0; i < u->n_groups; i++) {
        if (u->groups[i] == gid) {
            return true;
        }
    }
    if (u->n_groups == USER_GROUPS_MAX) {
        return false;
    }
    u->groups[u->n_groups++] = gid;
    return true;
}

/* name:password:uid:gid:comment:home:shell. Returns whether one matched. */
static bool find_user(struct gt_str passwd, struct gt_str want, bool numeric, uint32_t uid,
                      struct gt_arena *a, struct user *u, struct gt_str *name)
{
    struct gt_str line, f[7];
    while (next_line(&passwd, &line)) {
        uint32_t line_uid, line_gid;
        if (line.n == 0 || line.p[0] == '#' || fields(line, ':', f, 7) < 4 || f[0].n == 0 ||
            number(f[2], &line_uid) != 1 || number(f[3], &line_gid) != 1) {
            continue;
        }
        if (numeric ? line_uid != uid : !gt_str_eq(f[0], want)) {
            continue;
        }
        u->uid = line_uid;
        u->gid = line_gid;
        *name = f[0];
        if (fields(line, ':', f, 7) >= 6 && f[5].n > 0) {
            u->home = gt_arena_str(a, f[5]);
        }
        return true;
    }
    return false;
}

/* name:password:gid:member,member */
static bool group_line(struct gt_str line, struct gt_str f[4], uint32_t *gid)
{
    if (line.n == 0 || line.p[0] == '#') {
        return false;
    }
    unsigned n = fields(line, ':', f, 4);
    if (n < 4) {
        f[3] = gt_str_n(NULL, 0);
    }
    return n >= 3 && f[0].n > 0 && number(f[2], gid) == 1;
}

static bool is_member(struct gt_str members, struct gt_str name)
{
    while (members.n > 0) {
        const char *comma = memchr(members.p, ',', members.n);
        size_t n = comma ? (size_t)(comma - members.p) : members.n;
        if (gt_str_eq(gt_str_n(members.p, n), name)) {
            return true;
        }
        members.p += comma ? n + 1 : n;
        members.n -= comma ? n + 1 : n;
    }
    return false;
}

static int find_group(struct gt_str group, struct gt_str want, gid_t *ret, struct gt_err *err)
{
    uint32_t gid;
    int r = number(want, &gid);
    if (r < 0) {
        return gt_err_set(err, GT_ERR_INVALID, "group '" GT_STR_FMT "' is too large a number",
                          GT_STR_ARG(want));
    }
    if (r == 1) {
        *ret = gid;
        return 0;
    }
    struct gt_str line, f[4];
    while (next_line(&group, &line)) {
        if (group_line(line, f, &gid) && gt_str_eq(f[0], want)) {
            *ret = gid;
            return 0;
        }
    }
    return gt_err_set(err, GT_ERR_INVALID,
                      "unable to find group " GT_STR_FMT
                      ": no matching entries in the image's /etc/group",
                      GT_STR_ARG(want));
}

static int add_memberships(struct user *u, struct gt_str group, struct gt_str name,
                           struct gt_err *err)
{
    struct gt_str line, f[4];
    uint32_t gid;
    while (name.n > 0 && next_line(&group, &line)) {
        if (group_line(line, f, &gid) && is_member(f[3], name) && !add_group(u, gid)) {
            return gt_err_set(err, GT_ERR_INVALID, "user '" GT_STR_FMT "' is in too many groups",
                              GT_STR_ARG(name));
        }
    }
    return 0;
}

static int add_extra(struct user *u, const struct rt_strs *extra, struct gt_err *err)
{
    for (uint32_t i = 0; extra && i < extra->n; i++) {
        uint32_t gid;
        if (number(gt_str(extra->v[i]), &gid) != 1 || !add_group(u, gid)) {
            return gt_err_set(err, GT_ERR_INVALID, "supplementary group '%s' is no usable number",
                              extra->v[i]);
        }
    }
    return 0;
}

int user_parse(const char *spec, struct gt_str passwd, struct gt_str group,
               const struct rt_strs *extra_groups, struct gt_arena *a, struct user *ret,
               struct gt_err *err)
{
    struct gt_str part[2], name = {0};
    struct user *u = ret;
    u->uid = u->gid = 0;
    u->home = "/";
    u->n_groups = 0;
    struct gt_str whole = gt_str(spec && *spec ? spec : "0");
    unsigned n = fields(whole, ':', part, 2);
    if (whole.n > 512 || n > 2 || part[0].n == 0 || (n == 2 && part[1].n == 0)) {
        return gt_err_set(err, GT_ERR_INVALID, "user '%.100s' is not of the form user[:group]",
                          whole.p);
    }
    uint32_t uid = 0;
    int numeric = number(part[0], &uid);
    if (numeric < 0) {
        return gt_err_set(err, GT_ERR_INVALID, "user '%s' is too large a number", spec);
    }
    if (!find_user(passwd, part[0], numeric == 1, uid, a, u, &name)) {
        if (!numeric) {
            return gt_err_set(err, GT_ERR_INVALID,
                              "unable to find user " GT_STR_FMT
                              ": no matching entries in the image's /etc/passwd",
                              GT_STR_ARG(part[0]));
        }
        u->uid = uid;
    }
    int r = n == 2 ? find_group(group, part[1], &u->gid, err) : 0;
    if (r < 0) {
        return r;
    }
    add_group(u, u->gid);
    r = n == 1 ? add_memberships(u, group, name, err) : 0;
    return r < 0 ? r : add_extra(u, extra_groups, err);
}

static int read_file(int root, const char *path, struct gt_buf *to, struct gt_err *err)
{
    struct gt_err why = GT_ERR_INIT;
    int r = safepath_read(root, path, to, &why);
    if (r == -ENOENT || r == -ENOTDIR) {
        return 0;
    }
    if (r < 0 && err) {
        *err = why;
    }
    return r;
}

int user_lookup(int root, const char *spec, const struct rt_strs *extra_groups, struct gt_arena *a,
                struct user *ret, struct gt_err *err)
{
    gt_auto_buf struct gt_buf passwd = GT_BUF_INIT(USER_FILE_MAX);
    gt_auto_buf struct gt_buf group = GT_BUF_INIT(USER_FILE_MAX);
    int r = read_file(root, "etc/passwd", &passwd, err);
    r = r < 0 ? r : read_file(root, "etc/group", &group, err);
    return r < 0 ? r
                 : user_parse(spec, gt_buf_view(&passwd), gt_buf_view(&group), extra_groups, a, ret,
                              err);
}
