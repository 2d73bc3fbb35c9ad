#include "node/volume/volume.h"

#include "lib/base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* Copies without empty and "." parts. False: there is a "..", which would not mean what it says
 * once a link is on the way. */
static bool clean(struct gt_str in, char *to)
{
    size_t n = 0;
    for (size_t at = 0; at < in.n;) {
        const char *slash = memchr(in.p + at, '/', in.n - at);
        size_t len = slash ? (size_t)(slash - in.p) - at : in.n - at;
        struct gt_str part = gt_str_n(in.p + at, len);
        at += len + 1;
        if (gt_str_is(part, "..")) {
            return false;
        }
        if (len > 0 && !gt_str_is(part, ".")) {
            to[n++] = '/';
            memcpy(to + n, part.p, len);
            n += len;
        }
    }
    if (n == 0) {
        to[n++] = '/';
    }
    to[n] = '\0';
    return true;
}

int volume_host_path(struct gt_str source, struct volume_path *ret, struct gt_err *err)
{
    if (source.n == 0 || source.p[0] != '/' || source.n > VOLUME_PATH_MAX ||
        memchr(source.p, '\0', source.n) || !clean(source, ret->path)) {
        return gt_err_set(err, GT_ERR_INVALID,
                          "host path \"" GT_STR_FMT "\" is not absolute, has \"..\" or is too long",
                          (int)(source.n > 200 ? 200 : source.n), source.p ? source.p : "");
    }
    struct stat st;
    ret->made = false;
    if (stat(ret->path, &st) < 0) {
        if (errno != ENOENT) {
            return gt_err_errno(err, errno, "look at host path \"%.300s\"", ret->path);
        }
        int r = gt_mkdirs(ret->path, 0755, err);
        if (r < 0 || chmod(ret->path, 0755) < 0 || stat(ret->path, &st) < 0) {
            return r < 0 ? gt_err_wrap(err, "make host path")
                         : gt_err_errno(err, errno, "look at host path \"%.300s\"", ret->path);
        }
        ret->made = true;
    }
    ret->is_folder = S_ISDIR(st.st_mode);
    return 0;
}
