#include "gt_test.h"

#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "store/journal/journal.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static char dir[64], path[96];

static int make_dir(void **state)
{
    strcpy(dir, "/tmp/gt-journal-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/core.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    return gt_remove_tree(AT_FDCWD, dir, NULL);
}

/* What recovery found. */
struct found {
    uint64_t snapshot, last;
    size_t items, entries;
    int64_t time;
};

static int found_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    struct found *f = arg;
    *f = (struct found){.snapshot = revision, .last = revision, .time = time};
    return 0;
}

static int found_item(void *arg, const struct journal_item *item, struct gt_err *err)
{
    struct found *f = arg;
    char key[32];
    snprintf(key, sizeof key, "key/%06zu", f->items);
    assert_true(gt_str_is(item->key, key));
    assert_int_equal(item->create, f->items + 1);
    assert_int_equal(item->modify, f->items + 2);
    f->items++;
    return 0;
}

static int found_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    struct found *f = arg;
    char text[64];
    assert_int_equal(e->revision, f->last + 1);
    f->last = e->revision;
    f->entries++;
    assert_int_equal(e->time, 1000 + (int64_t)e->revision);
    assert_true(e->seed == e->revision * 0x123456789abcdefu);
    assert_true(gt_str_is(e->label, "test") && gt_str_is(e->principal, "me"));
    assert_int_equal(e->n_writes, 2);
    snprintf(text, sizeof text, "value %llu", (unsigned long long)e->revision);
    assert_true(gt_str_is(e->writes[0].value, text) && !e->writes[0].deleted);
    assert_true(e->writes[1].deleted && gt_str_is(e->writes[1].key, "gone"));
    return 0;
}

static struct found recover(struct journal *j)
{
    struct found f;
    struct gt_err err;
    struct journal_reader reader = {found_start, found_item, found_entry, &f};
    gt_assert_ok(journal_recover(j, &reader, &err), err);
    return f;
}

static struct journal *open_sqlite(void)
{
    struct journal *j = NULL;
    struct gt_err err;
    gt_assert_ok(sqlite_journal_open(path, NULL, &j, &err), err);
    return j;
}

static void append(struct journal *j, uint64_t revision)
{
    char text[64];
    snprintf(text, sizeof text, "value %llu", (unsigned long long)revision);
    struct journal_write writes[] = {{.key = GT_STR_LIT("key"), .value = gt_str(text)},
                                     {.key = GT_STR_LIT("gone"), .deleted = true}};
    journal_append(j, &(struct journal_entry){
                          .revision = revision,
                          .time = 1000 + (int64_t)revision,
                          .seed = revision * 0x123456789abcdefu,
                          .principal = GT_STR_LIT("me"),
                          .label = GT_STR_LIT("test"),
                          .input = GT_STR_LIT("{}"),
                          .writes = writes,
                          .n_writes = 2,
                      });
}

static void flush(struct journal *j)
{
    struct gt_err err;
    gt_assert_ok(journal_flush(j, &err), err);
}

static atomic_ullong told;

static void on_durable(void *arg, uint64_t revision)
{
    assert_true(revision > atomic_load(&told));
    atomic_store(&told, revision);
}

GT_TEST(appended_is_durable_and_told_in_order)
{
    make_dir(NULL);
    struct journal *j = open_sqlite();
    assert_int_equal(recover(j).last, 0);
    atomic_store(&told, 0);
    journal_listen(j, &(struct journal_events){.on_durable = on_durable});
    for (uint64_t i = 1; i <= 500; i++) {
        append(j, i);
    }
    flush(j);
    assert_int_equal(atomic_load(&told), 500);
    struct journal_stats stats;
    journal_stats(j, &stats);
    assert_int_equal(stats.entries, 500);
    assert_true(stats.commits < 500); /* they went in groups */
    journal_close(j);
    j = open_sqlite();
    assert_int_equal(recover(j).last, 500);
    append(j, 501);
    journal_close(j); /* flushes */
    j = open_sqlite();
    assert_int_equal(recover(j).entries, 501);
    journal_close(j);
    remove_dir(NULL);
}

/* A snapshot of n keys. */
struct source {
    size_t n, next;
    char key[32];
    atomic_int done; /* 1 well, 2 not */
};

static bool source_next(void *arg, struct journal_item *item)
{
    struct source *s = arg;
    if (s->next == s->n) {
        return false;
    }
    snprintf(s->key, sizeof s->key, "key/%06zu", s->next);
    static const char value[300];
    *item = (struct journal_item){gt_str(s->key), gt_str_n(value, sizeof value), s->next + 1,
                                  s->next + 2};
    s->next++;
    return true;
}

static void source_done(void *arg, const struct gt_err *err)
{
    struct source *s = arg;
    atomic_store(&s->done, err ? 2 : 1);
}

static void start_snapshot(struct journal *j, struct source *s, uint64_t revision)
{
    struct journal_snapshot js = {
        .revision = revision, .time = 77, .next = source_next, .done = source_done, .arg = s};
    assert_true(journal_snapshot(j, &js));
}

static void wait_done(struct source *s)
{
    while (!atomic_load(&s->done)) {
        usleep(1000);
    }
}

static int count_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    ++*(size_t *)arg;
    return 0;
}

static size_t count(struct journal *j, uint64_t after)
{
    size_t n = 0;
    struct gt_err err;
    gt_assert_ok(journal_read(j, after, count_entry, &n, &err), err);
    return n;
}

GT_TEST(snapshots_and_forgetting)
{
    make_dir(NULL);
    struct journal *j = open_sqlite();
    recover(j);
    for (uint64_t i = 1; i <= 2000; i++) {
        append(j, i);
    }
    struct source s = {.n = 5000};
    start_snapshot(j, &s, 2000);
    for (uint64_t i = 2001; i <= 2100; i++) {
        append(j, i);
    }
    wait_done(&s);
    assert_int_equal(s.done, 1);
    flush(j);
    assert_int_equal(count(j, 0), 2100);
    assert_int_equal(count(j, 2050), 50);
    journal_forget(j, 2090, 0); /* but the snapshot covers only 2000 */
    for (int i = 0; i < 2000 && count(j, 0) > 100; i++) {
        usleep(1000);
    }
    assert_int_equal(count(j, 0), 100);
    journal_close(j);

    j = open_sqlite();
    struct found f = recover(j);
    assert_int_equal(f.snapshot, 2000);
    assert_int_equal(f.time, 77);
    assert_int_equal(f.items, 5000);
    assert_int_equal(f.last, 2100);
    /* One that is given up leaves the other in place. */
    struct source big = {.n = 400000};
    start_snapshot(j, &big, 2100);
    journal_cancel_snapshot(j);
    assert_int_equal(big.done, 2);
    journal_close(j);
    j = open_sqlite();
    assert_int_equal(recover(j).snapshot, 2000);
    journal_close(j);
    remove_dir(NULL);
}

struct old {
    uint64_t revision;
    size_t items, entries;
};

static int old_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    ((struct old *)arg)->revision = revision;
    return 0;
}

static int old_item(void *arg, const struct journal_item *item, struct gt_err *err)
{
    ((struct old *)arg)->items++;
    assert_true(gt_str_is(item->value, "value of a key"));
    return 0;
}

static int old_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    ((struct old *)arg)->entries++;
    assert_true(gt_str_is(e->label, "ecs.RunTask") && e->n_writes == 2);
    return 0;
}

static int64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* More log than a checkpoint leaves alone, and then nothing: committer and checkpointer once called
 * each other without end. */
GT_TEST(idle_after_a_checkpoint)
{
    make_dir(NULL);
    struct journal *j = open_sqlite();
    recover(j);
    gt_auto_free char *large = gt_calloc(1, 8000);
    for (uint64_t i = 1; i <= 1500; i++) {
        struct journal_write w = {.key = GT_STR_LIT("key"), .value = gt_str_n(large, 8000)};
        journal_append(j, &(struct journal_entry){.revision = i, .writes = &w, .n_writes = 1});
    }
    flush(j);
    int64_t before = 0, used = INT64_MAX;
    for (int i = 0; i < 50 && used > 5; i++) { /* the checkpoint itself takes a while */
        before = cpu_ms();
        usleep(100000);
        used = cpu_ms() - before;
    }
    assert_in_range(used, 0, 5);
    struct journal_stats one, two;
    journal_stats(j, &one);
    usleep(50000);
    journal_stats(j, &two);
    assert_int_equal(two.commits, one.commits);
    journal_close(j);
    remove_dir(NULL);
}

GT_TEST(one_process_at_a_time)
{
    make_dir(NULL);
    struct journal *j = open_sqlite(), *other;
    struct gt_err err;
    assert_int_equal(sqlite_journal_open(path, NULL, &other, &err), -EBUSY);
    recover(j);
    append(j, 1);
    flush(j);
    gt_assert_ok(sqlite_journal_open(path, &(struct sqlite_journal_options){.read_only = true},
                                     &other, &err),
                 err);
    assert_int_equal(count(other, 0), 1);
    journal_close(other);
    journal_close(j);
    remove_dir(NULL);
}

static atomic_int failures;

static void on_failed(void *arg, const struct gt_err *err)
{
    atomic_fetch_add(&failures, 1);
}

/* Every point of the commit path fails once: nothing that was told durable may be missing then,
 * and what was not told may be there or not, but never with a hole. */
GT_TEST(every_failure_point)
{
    for (long nth = 1;; nth++) {
        make_dir(NULL);
        struct journal *j = open_sqlite();
        recover(j);
        atomic_store(&told, 0);
        atomic_store(&failures, 0);
        journal_listen(j, &(struct journal_events){on_durable, on_failed, NULL});
        gt_fail_nth(nth);
        struct gt_err err;
        int r = 0;
        for (uint64_t i = 1; i <= 3 && r == 0; i++) {
            append(j, i);
            r = journal_flush(j, &err);
        }
        bool fired = gt_fail_fired();
        gt_fail_nth(0);
        assert_int_equal(failures, fired);
        assert_true(fired ? r < 0 : r == 0);
        journal_close(j);
        j = open_sqlite();
        struct found f = recover(j);
        assert_true(f.last >= atomic_load(&told));
        assert_true(f.last <= atomic_load(&told) + 1);
        journal_close(j);
        remove_dir(NULL);
        if (!fired) {
            assert_true(nth > 9);
            return;
        }
    }
}

static void damage(size_t at, const char *with, size_t n)
{
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, with, n, (off_t)at), n);
    close(fd);
}

GT_TEST(damage_is_found)
{
    struct gt_err err;
    struct found f;
    struct journal_reader reader = {found_start, found_item, found_entry, &f};
    make_dir(NULL);
    struct journal *j = open_sqlite();
    recover(j);
    for (uint64_t i = 1; i <= 100; i++) {
        append(j, i);
    }
    journal_close(j);
    /* A flipped bit in a value: SQLite does not notice, the checksum does. */
    struct gt_buf b = GT_BUF_INIT(1 << 24);
    gt_assert_ok(gt_file_read(AT_FDCWD, path, &b, &err), err);
    char *at = memmem(b.p, b.n, "value 50", 8);
    assert_non_null(at);
    damage((size_t)(at - b.p) + 6, "6", 1);
    j = open_sqlite();
    assert_int_equal(journal_recover(j, &reader, &err), -EBADMSG);
    assert_int_equal(f.last, 49);
    journal_close(j);
    /* Not a database at all, and somebody else's. */
    damage(0, "nonsense nonsense", 17);
    assert_int_equal(sqlite_journal_open(path, NULL, &j, &err), -EBADMSG);
    damage(0, b.p, 100);
    damage(68, "XXXX", 4);
    assert_int_equal(sqlite_journal_open(path, NULL, &j, &err), -EBADMSG);
    gt_buf_fini(&b);
    remove_dir(NULL);
}

/* A file of the first format stays readable, also by who may not write to it. */
GT_TEST(an_old_file_is_read)
{
    make_dir(NULL);
    struct gt_err err;
    struct gt_buf b = GT_BUF_INIT(1 << 20);
    gt_assert_ok(gt_file_read(AT_FDCWD, getenv("GT_OLD_JOURNAL"), &b, &err), err);
    gt_assert_ok(gt_file_replace(AT_FDCWD, path, b.p, b.n, 0600, &err), err);
    gt_buf_fini(&b);
    struct journal *j = NULL;
    gt_assert_ok(
        sqlite_journal_open(path, &(struct sqlite_journal_options){.read_only = true}, &j, &err),
        err);
    assert_int_equal(count(j, 0), 6);
    struct old old = {0};
    struct journal_reader reader = {old_start, old_item, old_entry, &old};
    gt_assert_ok(journal_recover(j, &reader, &err), err);
    assert_int_equal(old.revision, 3);
    assert_int_equal(old.items, 40);
    assert_int_equal(old.entries, 3);
    journal_close(j);
    remove_dir(NULL);
}

GT_TEST(memory_does_the_same)
{
    struct journal *j = memory_journal_new();
    recover(j);
    atomic_store(&told, 0);
    journal_listen(j, &(struct journal_events){.on_durable = on_durable});
    for (uint64_t i = 1; i <= 100; i++) {
        append(j, i);
        assert_int_equal(atomic_load(&told), i);
    }
    assert_int_equal(count(j, 60), 40);
    struct source s = {.n = 10};
    start_snapshot(j, &s, 100);
    assert_int_equal(s.done, 1);
    append(j, 101);
    journal_forget(j, 101, 0);
    assert_int_equal(count(j, 0), 1);
    struct journal *copy = memory_journal_copy(j, 101);
    struct found f = recover(copy);
    assert_int_equal(f.items, 10);
    assert_int_equal(f.last, 101);
    journal_close(copy);
    journal_close(j);
}

GT_RUN(GT_CASE(appended_is_durable_and_told_in_order), GT_CASE(snapshots_and_forgetting),
       GT_CASE(idle_after_a_checkpoint), GT_CASE(one_process_at_a_time),
       GT_CASE(every_failure_point), GT_CASE(damage_is_found), GT_CASE(an_old_file_is_read),
       GT_CASE(memory_does_the_same))
