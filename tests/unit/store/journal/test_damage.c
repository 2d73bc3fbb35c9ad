/* A journal that is damaged anywhere gives the same state or is refused: each region of a file is
 * flipped, blanked and cut in turn. */
#include "gt_test.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "store/journal/journal.h"

#include <fcntl.h>
#include <unistd.h>

enum { KEYS = 12, ENTRIES = 90, PAGE = 4096, REGION = 64 };

static char dir[64], path[96];

/* What the core would have: the revision and the time, and a number under each key. */
struct state {
    uint64_t revision;
    int64_t time;
    uint64_t values[KEYS];
};

static void set(struct state *s, struct gt_str key, struct gt_str value)
{
    char text[16] = "";
    uint64_t n = 0;
    assert_true(key.n == 5 && value.n >= sizeof n);
    memcpy(text, key.p, key.n);
    memcpy(&n, value.p, sizeof n);
    s->values[strtoul(text + 3, NULL, 10) % KEYS] = n;
}

static int on_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    *(struct state *)arg = (struct state){.revision = revision, .time = time};
    return 0;
}

static int on_item(void *arg, const struct journal_item *item, struct gt_err *err)
{
    set(arg, item->key, item->value);
    return 0;
}

static int on_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    struct state *s = arg;
    if (e->revision != s->revision + 1) { /* as the core's recovery does */
        return gt_err_set(err, GT_ERR_CORRUPT, "a gap");
    }
    for (size_t i = 0; i < e->n_writes; i++) {
        set(s, e->writes[i].key, e->writes[i].value);
    }
    s->revision = e->revision;
    s->time = GT_MAX(s->time, e->time);
    return 0;
}

/* < 0: refused, and it said why. */
static int recover(struct state *ret)
{
    struct journal *j = NULL;
    struct gt_err err = GT_ERR_INIT;
    struct journal_reader reader = {on_start, on_item, on_entry, ret};
    int r = sqlite_journal_open(path, NULL, &j, &err);
    r = r < 0 ? r : journal_recover(j, &reader, &err);
    journal_close(j);
    assert_true(r == 0 || strlen(err.msg) > 10);
    return r;
}

static void append(struct journal *j, struct state *s)
{
    char key[16], value[300] = "";
    uint64_t n = ++s->revision;
    snprintf(key, sizeof key, "key%02u", (unsigned)(n * 7 % KEYS));
    memcpy(value, &n, sizeof n);
    struct journal_write w = {gt_str(key), gt_str_n(value, 8 + n % 280), false};
    s->values[n * 7 % KEYS] = n;
    s->time = (int64_t)(1000 + n);
    journal_append(j, &(struct journal_entry){.revision = n,
                                              .time = s->time,
                                              .seed = n,
                                              .label = GT_STR_LIT("test"),
                                              .writes = &w,
                                              .n_writes = 1});
}

struct source {
    struct state s;
    unsigned next;
    char key[16];
    volatile int done;
};

static bool next(void *arg, struct journal_item *item)
{
    struct source *s = arg;
    if (s->next == KEYS) {
        return false;
    }
    snprintf(s->key, sizeof s->key, "key%02u", s->next);
    *item = (struct journal_item){.key = gt_str(s->key),
                                  .value = gt_str_n((char *)&s->s.values[s->next], 8)};
    s->next++;
    return true;
}

static void done(void *arg, const struct gt_err *err)
{
    ((struct source *)arg)->done = 1;
}

static void snapshot(struct journal *j, const struct state *s)
{
    struct source from = {.s = *s};
    struct gt_err err;
    gt_assert_ok(journal_flush(j, &err), err);
    assert_true(journal_snapshot(
        j,
        &(struct journal_snapshot){
            .revision = s->revision, .time = s->time, .next = next, .done = done, .arg = &from}));
    while (!from.done) {
        usleep(500);
    }
}

/* Entries with two snapshots among them; *ret is what comes of it. */
static struct gt_buf make(struct state *ret)
{
    struct journal *j = NULL;
    struct gt_err err;
    struct journal_reader reader = {on_start, on_item, on_entry, ret};
    snprintf(dir, sizeof dir, "/tmp/gt-damage-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/core.db", dir);
    gt_assert_ok(sqlite_journal_open(path, NULL, &j, &err), err);
    gt_assert_ok(journal_recover(j, &reader, &err), err);
    for (int i = 0; i < ENTRIES; i++) {
        append(j, ret);
        if (i == ENTRIES / 3 || i == ENTRIES * 2 / 3) {
            snapshot(j, ret);
        }
    }
    journal_close(j);
    struct gt_buf b = GT_BUF_INIT(1 << 22);
    gt_assert_ok(gt_file_read(AT_FDCWD, path, &b, &err), err);
    return b;
}

static void write_file(const char *p, size_t n)
{
    static const char *const beside[] = {"-wal", "-shm"};
    for (size_t i = 0; i < GT_ARRAY_LEN(beside); i++) {
        gt_auto_free char *name = gt_asprintf("%s%s", path, beside[i]);
        unlink(name);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && gt_write_full(fd, p, n) == 0);
    close(fd);
}

static unsigned refused, same;

static void expect_same_or_refused(const struct state *want, const char *what, size_t at)
{
    struct state got = {0};
    if (recover(&got) < 0) {
        refused++;
        return;
    }
    if (memcmp(&got, want, sizeof got) != 0) {
        fail_msg("%s at byte %zu: revision %llu at time %lld, not %llu at %lld", what, at,
                 (unsigned long long)got.revision, (long long)got.time,
                 (unsigned long long)want->revision, (long long)want->time);
    }
    same++;
}

GT_TEST(no_damage_gives_another_state)
{
    struct state want = {0};
    gt_auto_buf struct gt_buf good = make(&want);
    gt_auto_free char *bad = gt_malloc(good.n);
    expect_same_or_refused(&want, "nothing", 0);
    assert_int_equal(same, 1);
    for (size_t at = 0; at < good.n; at += at < PAGE ? 7 : REGION - 3) {
        memcpy(bad, good.p, good.n);
        bad[at] ^= (char)(1 << at % 8);
        write_file(bad, good.n);
        expect_same_or_refused(&want, "a flipped bit", at);
    }
    for (size_t at = 0; at < good.n; at += PAGE / 4) {
        memcpy(bad, good.p, good.n);
        memset(bad + at, 0, GT_MIN((size_t)PAGE / 4, good.n - at));
        write_file(bad, good.n);
        expect_same_or_refused(&want, "zeros", at);
    }
    for (size_t n = 0; n < good.n; n += PAGE / 2) {
        write_file(good.p, n);
        expect_same_or_refused(&want, "cut", n);
    }
    assert_true(refused > 100 && same > 100); /* both happen: the test looks at something */
    gt_assert_ok(gt_remove_tree(AT_FDCWD, dir, NULL), (struct gt_err){0});
}

/* The log beside the file, which has all of its commits still. */
struct log {
    struct gt_buf file, wal;
    size_t last; /* where the last commit begins in the log */
    struct state before, want;
};

static void take_files(struct log *l)
{
    struct gt_err err;
    gt_auto_free char *wal = gt_asprintf("%s-wal", path);
    gt_buf_reset(&l->file);
    gt_buf_reset(&l->wal);
    gt_assert_ok(gt_file_read(AT_FDCWD, path, &l->file, &err), err);
    gt_assert_ok(gt_file_read(AT_FDCWD, wal, &l->wal, &err), err);
}

static void make_log(struct log *l)
{
    enum { COMMITS = 8 };
    struct journal *j = NULL;
    struct gt_err err;
    struct state s = {0};
    struct journal_reader reader = {on_start, on_item, on_entry, &s};
    snprintf(dir, sizeof dir, "/tmp/gt-damage-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/core.db", dir);
    gt_assert_ok(sqlite_journal_open(path, NULL, &j, &err), err);
    gt_assert_ok(journal_recover(j, &reader, &err), err);
    *l = (struct log){.file = GT_BUF_INIT(1 << 22), .wal = GT_BUF_INIT(1 << 22)};
    for (int i = 0; i < COMMITS; i++) {
        take_files(l);
        l->last = l->wal.n;
        l->before = s;
        append(j, &s);
        gt_assert_ok(journal_flush(j, &err), err);
    }
    take_files(l);
    l->want = s;
    journal_close(j);
}

static void put_log(const struct log *l, const char *wal, size_t n)
{
    gt_auto_free char *name = gt_asprintf("%s-wal", path);
    write_file(l->file.p, l->file.n);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && gt_write_full(fd, wal, n) == 0);
    close(fd);
}

/* All is there, or it is refused, or it looks as if the last commit had been torn. */
static void expect_no_gap(const struct log *l, bool last_may_go, const char *what, size_t at)
{
    struct state got = {0};
    if (recover(&got) < 0) {
        refused++;
    } else if (memcmp(&got, &l->want, sizeof got) == 0) {
        same++;
    } else if (!last_may_go || memcmp(&got, &l->before, sizeof got) != 0) {
        fail_msg("%s at byte %zu of the log: revision %llu, not %llu", what, at,
                 (unsigned long long)got.revision, (unsigned long long)l->want.revision);
    }
}

GT_TEST(commits_behind_damage_in_the_log_are_not_passed_over)
{
    struct log l;
    refused = same = 0;
    make_log(&l);
    put_log(&l, l.wal.p, l.wal.n);
    expect_no_gap(&l, false, "nothing", 0);
    assert_int_equal(same, 1);
    gt_auto_free char *bad = gt_malloc(l.wal.n);
    for (size_t at = 0; at < l.wal.n; at += at < 2 * PAGE ? 3 : REGION - 3) {
        memcpy(bad, l.wal.p, l.wal.n);
        bad[at] ^= (char)(1 << at % 8);
        put_log(&l, bad, l.wal.n);
        expect_no_gap(&l, at >= l.last, "a flipped bit", at);
    }
    assert_true(refused > 100);
    /* A torn last commit is none: what was acknowledged before is there. */
    for (size_t n = l.last; n < l.wal.n; n += 100) {
        put_log(&l, l.wal.p, n);
        refused = 0;
        expect_no_gap(&l, true, "torn", n);
        assert_int_equal(refused, 0);
    }
    gt_buf_fini(&l.file);
    gt_buf_fini(&l.wal);
    gt_assert_ok(gt_remove_tree(AT_FDCWD, dir, NULL), (struct gt_err){0});
}

GT_RUN(GT_CASE(no_damage_gives_another_state),
       GT_CASE(commits_behind_damage_in_the_log_are_not_passed_over))
