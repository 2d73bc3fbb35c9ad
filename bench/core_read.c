/* CPU of the core's part of a call: reads of one record of 2 KB among N, lists, writes.
 * No journal on disk, no HTTP.
 *
 *     core-read [records]
 */
#include "control/core/core.h"
#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "store/record/gen/rec_ecs.h"

#include <stdio.h>

enum { READS = 200000 };

static char text[700];

static void fill(struct rec_ecs_task *t, char id[33], unsigned i)
{
    static struct rec_ecs_container c[2];
    snprintf(id, 33, "%08x%024x", i * 2654435761u, i);
    for (int k = 0; k < 2; k++) {
        c[k] = (struct rec_ecs_container){.name = GT_STR_LIT("main"),
                                          .id = GT_STR_LIT("5e0f0f54-3c5b-4a0e-8a4b-9c3b7c1b2a77"),
                                          .image = GT_STR_LIT("registry.local/team/app:1.2.3"),
                                          .last_status = 4};
    }
    *t = (struct rec_ecs_task){.id = gt_str_n(id, 32),
                               .cluster = GT_STR_LIT("default"),
                               .family = GT_STR_LIT("app"),
                               .group = GT_STR_LIT("service:app"),
                               .created_at = 1790000000000,
                               .overrides = gt_str_n(text, sizeof text),
                               .containers = {c, 2}};
}

static int put(struct tx *tx, void *arg, struct gt_err *err)
{
    unsigned i = *(unsigned *)arg;
    for (unsigned end = i + 1000; i < end; i++) {
        struct rec_ecs_task t;
        char id[33];
        fill(&t, id, i);
        tx_put(tx, tx_key(tx, "ecs/task/default/%.32s", id), &rec_ecs_task_desc, &t);
    }
    return 0;
}

static int put_one(struct tx *tx, void *arg, struct gt_err *err)
{
    struct rec_ecs_task t;
    char id[33];
    fill(&t, id, *(unsigned *)arg);
    t.version = (int64_t)tx_random(tx);
    tx_put(tx, tx_key(tx, "ecs/task/default/%.32s", id), &rec_ecs_task_desc, &t);
    return 0;
}

static int get(struct tx *tx, void *arg, struct gt_err *err)
{
    struct rec_ecs_task t;
    char id[33];
    fill(&t, id, *(unsigned *)arg);
    return tx_get(tx, tx_key(tx, "ecs/task/default/%.32s", id), &rec_ecs_task_desc) ? 0 : -1;
}

static int list(struct tx *tx, void *arg, struct gt_err *err)
{
    struct tx_cursor c = tx_scan(tx, tx_key(tx, "ecs/task/default/"), NULL);
    for (int n = 0; n < 100 && tx_next(&c); n++) {
    }
    return 0;
}

static double time_calls(struct core *core, int (*fn)(struct tx *, void *, struct gt_err *),
                         unsigned records, unsigned n)
{
    struct gt_arena arena;
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    int64_t start = gt_clock_mono_ns();
    for (unsigned k = 0; k < n; k++) {
        unsigned i = k * 7919 % records;
        struct core_call c = {.fn = fn,
                              .arg = &i,
                              .arena = &arena,
                              .principal = {.account = GT_STR_LIT("000000000000")},
                              .region = GT_STR_LIT("us-east-1")};
        core_apply(core, &c, 1);
        GT_ASSERT(c.result == 0);
        gt_arena_reset(&arena);
    }
    double us = (double)(gt_clock_mono_ns() - start) / 1e3 / n;
    gt_arena_fini(&arena);
    return us;
}

int main(int argc, char **argv)
{
    unsigned records = argc > 1 ? (unsigned)atoi(argv[1]) : 100000;
    records = (records + 999) / 1000 * 1000;
    struct journal *j = memory_journal_new();
    struct core *core;
    struct gt_err err;
    if (core_new(j, NULL, NULL, &core, &err) < 0) {
        fprintf(stderr, "core-read: %s\n", err.msg);
        return 1;
    }
    struct gt_arena arena;
    gt_arena_init(&arena, GT_LIMIT_API_ARENA);
    for (unsigned i = 0; i < records; i += 1000) {
        struct core_call c = {.fn = put,
                              .arg = &i,
                              .arena = &arena,
                              .principal = {.account = GT_STR_LIT("000000000000")},
                              .region = GT_STR_LIT("us-east-1")};
        core_apply(core, &c, 1);
        gt_arena_reset(&arena);
    }
    gt_arena_fini(&arena);
    const char *key;
    struct gt_str value = {0};
    core_next_key(core, "", NULL, &key, &value);
    printf("%u records of %zu bytes\n", records, value.n);
    printf("read one        %7.2f us\n", time_calls(core, get, records, READS));
    printf("list 100 keys   %7.2f us\n", time_calls(core, list, records, READS / 20));
    printf("write one       %7.2f us (journal in memory)\n",
           time_calls(core, put_one, records, READS / 4));
    core_free(core);
    journal_close(j);
    return 0;
}
