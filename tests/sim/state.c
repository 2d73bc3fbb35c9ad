#include "store/record/record.h"
#include "trial_priv.h"

bool state_has(struct trial *t, const char *key)
{
    struct gt_str value;
    return core_get(t->w.core, key, &value);
}

void *state_get(struct trial *t, const char *key, const struct rec_desc *desc)
{
    struct gt_str value;
    if (!core_get(t->w.core, key, &value)) {
        return NULL;
    }
    void *rec = NULL;
    struct gt_err err;
    if (rec_decode(desc, value, &t->w.arena, &rec, &err) < 0) {
        violation(t, "records decode", "\"%s\": %s", key, err.msg);
        return NULL;
    }
    return rec;
}

size_t state_count(struct trial *t, const char *prefix)
{
    size_t n = 0;
    const char *key = NULL;
    struct gt_str value;
    while (core_next_key(t->w.core, prefix, key, &key, &value)) {
        n++;
    }
    return n;
}
