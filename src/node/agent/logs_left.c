/*
 * What is left of the logs of tasks that are gone.
 *
 * A task that has stopped waits a few seconds for its output to be shipped, and no longer: its end
 * must be reported even when the log store takes nothing. What is not shipped by then moves to
 * <state>/agent/unshipped: <container>.log, the spool, and <container>.json, which says where it
 * belongs. The shipper goes on with it, also after a restart, and removes both when the server has
 * everything. All together they keep at most GT_LIMIT_LOG_LEFT bytes; the oldest go first.
 */
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "node/agent/logs_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char *left_path(const struct log_shipper *s, const char *id, const char *ext)
{
    return gt_asprintf("%s/agent/unshipped%s%s%s", s->n->o.state_dir, id ? "/" : "", id ? id : "",
                       ext);
}

void log_left_remove(struct log_stream *l)
{
    gt_auto_free char *json = left_path(l->shipper, l->runtime_id, ".json");
    unlink(l->path); /* first: a .json alone is removed at the next start */
    unlink(json);
}

/* Under the lock. */
static void keep_within_cap(struct log_shipper *s)
{
    uint64_t sum = 0;
    for (struct gt_list *it = s->streams.prev; it != &s->streams; it = it->prev) {
        struct log_stream *l = gt_list_entry(it, struct log_stream, link);
        struct stat st;
        if (!l->left || l->end == 0 || stat(l->path, &st) < 0) {
            continue;
        }
        sum += (uint64_t)st.st_blocks * 512;
        if (sum > GT_LIMIT_LOG_LEFT) {
            gt_warn(
                "what %s wrote last is lost: logs of ended tasks that could not be shipped take "
                "more than %llu bytes",
                l->name, (unsigned long long)GT_LIMIT_LOG_LEFT);
            atomic_store(&l->end, 0);
        }
    }
}

static int save(const struct log_stream *l, const char *path, struct gt_err *err)
{
    json_t *o =
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "region", l->region, "group", l->group, "stream",
                  l->stream, "name", l->name, "offset", (json_int_t)atomic_load(&l->offset));
    char *text = o ? json_dumps(o, 0) : NULL;
    GT_ASSERT(text);
    int r = gt_file_replace(AT_FDCWD, path, text, strlen(text), 0600, err);
    free(text);
    json_decref(o);
    return r;
}

void log_stream_leave(struct log_stream *l)
{
    struct log_shipper *s = l->shipper;
    gt_auto_free char *dir = left_path(s, NULL, "");
    gt_auto_free char *json = left_path(s, l->runtime_id, ".json");
    gt_auto_free char *spool = left_path(s, l->runtime_id, ".log");
    struct gt_err err = GT_ERR_INIT;
    int r = gt_mkdirs(dir, 0700, &err);
    r = r < 0 ? r : save(l, json, &err);
    pthread_mutex_lock(&s->lock);
    if (r == 0 && rename(l->path, spool) < 0) {
        r = gt_err_errno(&err, errno, "move '%s' to '%s'", l->path, spool);
        unlink(json);
    }
    if (r == 0) {
        free(l->path);
        l->path = gt_steal_ptr(spool);
        l->over = l->left = true;
        keep_within_cap(s);
    } else {
        if (err.sys_errno != ENOENT) { /* it never wrote */
            gt_warn("what %s wrote last is lost: %s", l->name, err.msg);
        }
        l->dropped = true;
    }
    pthread_cond_signal(&s->poked);
    pthread_mutex_unlock(&s->lock);
}

static char *text_of(const json_t *o, const char *key)
{
    const char *v = json_string_value(json_object_get(o, key));
    return v ? gt_strdup(v) : NULL;
}

/* NULL: it says nothing that could be used. */
static struct log_stream *load(struct log_shipper *s, const char *id)
{
    gt_auto_free char *path = left_path(s, id, ".json");
    json_t *o = json_load_file(path, 0, NULL);
    struct log_stream *l = log_stream_new(s);
    l->path = left_path(s, id, ".log");
    l->region = text_of(o, "region");
    l->group = text_of(o, "group");
    l->stream = text_of(o, "stream");
    l->name = text_of(o, "name");
    l->task_id = gt_strdup("");
    l->runtime_id = gt_strdup(id);
    l->offset = l->told = (uint64_t)json_integer_value(json_object_get(o, "offset"));
    l->over = l->left = true;
    json_decref(o);
    if (!l->region || !l->group || !l->stream || !l->name || access(l->path, R_OK) < 0) {
        log_left_remove(l);
        log_stream_free(l);
        return NULL;
    }
    return l;
}

void log_left_load(struct log_shipper *s)
{
    gt_auto_free char *path = left_path(s, NULL, "");
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n > 5 && gt_streq(e->d_name + n - 5, ".json")) {
            gt_auto_free char *id = gt_strndup(e->d_name, n - 5);
            struct log_stream *l = load(s, id);
            if (l) {
                log_stream_start(l);
            }
        }
    }
    if (d) {
        closedir(d);
    }
}
