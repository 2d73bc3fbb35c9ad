/*
 * Alarms. The record under "~/alarm/<controller>/<key>" is the truth; core->alarms orders the same
 * by time and is made anew from the records at start. An alarm that is due leaves the index when
 * its step is queued; its record goes in the transaction of that step, so that a crash between the
 * two only runs the step again.
 */
#include "control/core/core_priv.h"

#include "lib/base/limits.h"
#include "store/record/gen/rec_core.h"

#include <inttypes.h>
#include <stdio.h>

enum { WHEN_DIGITS = 16 };

static char *record_key(struct tx *tx, const char *name, const char *key)
{
    return gt_arena_printf(tx->arena, CORE_ALARM_PREFIX "%s/%s", name, key);
}

void tx_alarm_set(struct tx *tx, const char *name, const char *key, int64_t when)
{
    struct rec_core_alarm alarm = {.when = GT_MAX(when, (int64_t)1)};
    tx_put(tx, record_key(tx, name, key), &rec_core_alarm_desc, &alarm);
}

void tx_alarm_clear(struct tx *tx, const char *name, const char *key)
{
    tx_delete(tx, record_key(tx, name, key));
}

void alarm_consume(struct tx *tx, const char *controller, const char *key)
{
    const char *at = record_key(tx, controller, key);
    const struct rec_core_alarm *alarm = tx_get(tx, at, &rec_core_alarm_desc);
    if (alarm && alarm->when <= tx->now) {
        tx_delete(tx, at);
    }
}

/* False: no alarm, or one that cannot be read (which recovery has no use for). */
static bool when_of(struct core *core, struct gt_str value, int64_t *ret)
{
    void *rec;
    if (!value.n || rec_decode(&rec_core_alarm_desc, value, &core->arena, &rec, NULL) < 0) {
        return false;
    }
    *ret = ((struct rec_core_alarm *)rec)->when;
    return true;
}

static struct gt_str index_key(int64_t when, struct gt_str rest, char *to, size_t size)
{
    int n = snprintf(to, size, "%016" PRIx64 "/" GT_STR_FMT, (uint64_t)when, GT_STR_ARG(rest));
    GT_ASSERT(n > WHEN_DIGITS && (size_t)n < size);
    return gt_str_n(to, (size_t)n);
}

void alarm_track(struct core *core, struct gt_str key, struct gt_str old, struct gt_str value)
{
    struct gt_str prefix = GT_STR_LIT(CORE_ALARM_PREFIX);
    if (!gt_str_starts(key, prefix)) {
        return;
    }
    struct gt_str rest = gt_str_n(key.p + prefix.n, key.n - prefix.n);
    char text[GT_LIMIT_KEY + 32];
    int64_t when;
    if (when_of(core, old, &when)) {
        omap_entry_unref(omap_del(&core->alarms, index_key(when, rest, text, sizeof text)));
    }
    if (when_of(core, value, &when)) {
        struct gt_str at = index_key(when, rest, text, sizeof text);
        omap_entry_unref(omap_put(&core->alarms, omap_entry_new(at, (struct gt_str){0})));
    }
}

static int64_t entry_when(const struct omap_entry *e)
{
    char digits[WHEN_DIGITS + 1];
    memcpy(digits, e->data, WHEN_DIGITS);
    digits[WHEN_DIGITS] = '\0';
    return (int64_t)strtoull(digits, NULL, 16);
}

void alarm_fire(struct core *core, int64_t now)
{
    struct omap_entry *e;
    while ((e = omap_seek(&core->alarms, (struct gt_str){0}, false)) && entry_when(e) <= now) {
        e = omap_del(&core->alarms, omap_key(e));
        const char *name = e->data + WHEN_DIGITS + 1;
        const char *slash = strchr(name, '/');
        const struct controller *c =
            slash ? core_find_controller(core, gt_str_n(name, (size_t)(slash - name))) : NULL;
        if (c) { /* else: of another release, which will find its record again */
            dirty_push(&core->dirty, c, slash + 1);
        }
        omap_entry_unref(e);
    }
}

int64_t core_next_alarm(const struct core *core)
{
    const struct omap_entry *e = omap_seek(&core->alarms, (struct gt_str){0}, false);
    return e ? entry_when(e) : INT64_MAX;
}
