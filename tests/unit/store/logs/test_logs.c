#include "frames.h"
#include "gt_test.h"
#include "lib/base/fail.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"
#include "store/logs/logs_priv.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define GROUP GT_STR_LIT("g1")
#define STREAM GT_STR_LIT("s1")

static char dir[64];
static struct log_store *store;
static struct gt_arena arena;

static void reopen(void)
{
    struct gt_err err = GT_ERR_INIT;
    log_store_close(store);
    gt_assert_ok(log_store_open(dir, &store, &err), err);
}

static int set_up(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/gt-logs-XXXXXX");
    assert_non_null(mkdtemp(dir));
    store = NULL;
    gt_arena_init(&arena, 64 * GT_MIB);
    reopen();
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(log_stream_create(store, GROUP, STREAM, 1, NULL, &err), err);
    return 0;
}

static int tear_down(void **state)
{
    log_store_close(store);
    gt_arena_fini(&arena);
    return gt_remove_tree(AT_FDCWD, dir, NULL);
}

static void put(struct gt_str stream, int64_t time, const char *text)
{
    struct gt_err err = GT_ERR_INIT;
    struct log_event_in e = {time, gt_str(text)};
    gt_assert_ok(log_append_events(store, GROUP, stream, &e, 1, 5000, &err), err);
}

static uint64_t frames(uint64_t offset, struct gt_buf *b, int64_t now)
{
    struct gt_err err = GT_ERR_INIT;
    uint64_t next = 0;
    gt_assert_ok(log_append_frames(store, GROUP, STREAM, (struct gt_str){0}, offset, gt_buf_view(b),
                                   now, &next, &err),
                 err);
    gt_buf_reset(b);
    return next;
}

static struct log_query all(void)
{
    return (struct log_query){.group = GROUP,
                              .from = 0,
                              .to = INT64_MAX,
                              .max_events = 10000,
                              .max_bytes = GT_MIB,
                              .now = 1000000};
}

/* The texts of what a query finds, joined by '|'. */
static const char *texts(struct log_query q, struct log_result *ret)
{
    static struct gt_buf b = {.max = 1 << 20};
    struct gt_err err = GT_ERR_INIT;
    struct log_result mine;
    ret = ret ? ret : &mine;
    gt_assert_ok(log_read(store, &q, &arena, ret, &err), err);
    gt_buf_reset(&b);
    gt_buf_puts(&b, "");
    for (size_t i = 0; i < ret->n; i++) {
        gt_buf_printf(&b, "%s" GT_STR_FMT, i ? "|" : "", GT_STR_ARG(ret->v[i].text));
    }
    return b.p ? b.p : "";
}

GT_TEST(events_come_back_in_order_of_time)
{
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(log_stream_create(store, GROUP, GT_STR_LIT("s2"), 1, NULL, &err), err);
    put(STREAM, 100, "a");
    put(STREAM, 300, "c");
    put(STREAM, 200, "b");
    put(GT_STR_LIT("s2"), 250, "x");
    assert_string_equal(texts(all(), NULL), "a|b|x|c");
    struct log_query q = all();
    q.from = 200;
    q.to = 300;
    assert_string_equal(texts(q, NULL), "b|x");
    struct gt_str one = STREAM;
    q = all();
    q.streams = &one;
    q.n_streams = 1;
    assert_string_equal(texts(q, NULL), "a|b|c");
    q.backward = true;
    q.max_events = 2;
    assert_string_equal(texts(q, NULL), "b|c");
    reopen();
    assert_string_equal(texts(all(), NULL), "a|b|x|c");
}

GT_TEST(pages_meet_without_gap_or_overlap)
{
    for (int i = 0; i < 25; i++) {
        char text[8];
        snprintf(text, sizeof(text), "%d", i);
        put(STREAM, 100 + i / 3, text);
    }
    struct log_query q = all();
    struct log_result r = {0};
    struct log_key last;
    q.max_events = 4;
    int seen = 0;
    do {
        texts(q, &r);
        for (size_t i = 0; i < r.n; i++) {
            assert_int_equal(atoi(r.v[i].text.p), seen++);
        }
        last = r.last;
        q.after = &last;
    } while (r.n > 0);
    assert_int_equal(seen, 25);
    assert_false(r.more);
}

GT_TEST(frames_become_lines)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(1 << 20);
    put_frame(&b, 100, 1, "one\ntwo\r\n\nthr");
    put_frame(&b, 101, 2, "err");
    put_frame(&b, 102, 1, "ee\nfo");
    uint64_t next = frames(0, &b, 1000);
    put_frame(&b, 103, 2, "or\n");
    put_frame(&b, 104, 1, "ur\n");
    frames(next, &b, 1000);
    assert_string_equal(texts(all(), NULL), "one|two|three|error|four");
    struct gt_str one = STREAM;
    struct log_query q = all();
    q.streams = &one;
    q.n_streams = 1;
    q.backward = true;
    q.max_events = 2;
    assert_string_equal(texts(q, NULL), "error|four");
}

GT_TEST(a_spool_is_taken_once)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(1 << 20);
    put_frame(&b, 100, 1, "one\n");
    uint64_t next = frames(0, &b, 1000);
    assert_int_equal(next, 20);
    put_frame(&b, 100, 1, "one\n");
    put_frame(&b, 101, 1, "two\n");
    assert_int_equal(frames(0, &b, 1000), 40);
    reopen();
    put_frame(&b, 101, 1, "two\n");
    assert_int_equal(frames(20, &b, 1000), 40);
    assert_string_equal(texts(all(), NULL), "one|two");
}

GT_TEST(an_unfinished_line_waits_and_then_ends)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(1 << 20);
    put_frame(&b, 100, 1, "first\nwho?");
    uint64_t next = frames(0, &b, 10000);
    struct gt_str one = STREAM;
    struct log_query q = all();
    q.now = 10000 + LOG_LINE_WAIT_MS - 1;
    assert_string_equal(texts(q, NULL), "first");
    q.streams = &one;
    q.n_streams = 1;
    q.backward = true;
    assert_string_equal(texts(q, NULL), "first");
    q.now++;
    assert_string_equal(texts(q, NULL), "first|who?");
    put_frame(&b, 105, 1, "me\n"); /* it was shown: this is a new line */
    next = frames(next, &b, 20000);
    assert_string_equal(texts(q, NULL), "first|who?|me");
    put_frame(&b, 106, 1, "cut by a re");
    next = frames(next, &b, 20000);
    reopen();
    put_frame(&b, 107, 1, "start\n");
    frames(next, &b, 20000);
    assert_string_equal(texts(all(), NULL), "first|who?|me|cut by a re|start");
}

static size_t blocks_of(struct gt_str stream)
{
    return index_find(store, GROUP, stream)->n_blocks;
}

static void newest_segment(char path[static 200])
{
    snprintf(path, 200, "%s/%016x.log", dir, 1);
}

GT_TEST(a_torn_tail_is_cut)
{
    put(STREAM, 100, "kept");
    char path[200];
    newest_segment(path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    put(STREAM, 101, "torn");
    for (int cut = 1; cut < 110; cut += 27) {
        log_store_close(store);
        store = NULL;
        assert_int_equal(truncate(path, st.st_size + cut), 0);
        reopen();
        assert_string_equal(texts(all(), NULL), "kept");
    }
    put(STREAM, 102, "after");
    reopen();
    assert_string_equal(texts(all(), NULL), "kept|after");
}

/* Turns over one byte of the segment. */
static void damage(int segment, off_t at)
{
    char path[200], c;
    snprintf(path, sizeof(path), "%s/%016x.log", dir, segment);
    gt_auto_close int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c = (char)~c;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

static off_t active_size(void)
{
    return (off_t)store->active->size;
}

/* What was acknowledged after the damaged block is not taken for a torn tail. */
GT_TEST(damage_in_the_newest_segment_costs_one_block)
{
    static const int where[] = {0, 30, LOG_HEAD_BYTES + 2}; /* magic, header, payload */
    for (size_t i = 0; i < GT_ARRAY_LEN(where); i++) {
        put(STREAM, 100, "a");
        off_t b = active_size();
        put(STREAM, 101, "b");
        put(STREAM, 102, "c");
        put(STREAM, 103, "d");
        off_t size = active_size();
        log_store_close(store);
        store = NULL;
        damage(1, b + where[i]);
        reopen();
        assert_string_equal(texts(all(), NULL), "a|c|d");
        assert_int_equal(active_size(), size);
        put(STREAM, 104, "e");
        reopen();
        assert_string_equal(texts(all(), NULL), "a|c|d|e");
        tear_down(NULL);
        set_up(NULL);
    }
}

/* Several blocks of one batch, the first of which did not reach the disk: none was acknowledged. */
GT_TEST(a_torn_batch_is_cut_as_a_whole)
{
    put(STREAM, 100, "kept");
    off_t size = active_size();
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(2 << 20);
    for (int i = 0; i < 3; i++) {
        gt_auto_free char *text = gt_calloc(1, 200001);
        memset(text, 'a' + i, 200000);
        text[0] = '\n';
        put_frame(&b, 200, 1, text);
    }
    frames(0, &b, 1000);
    assert_true(blocks_of(STREAM) == 4);
    log_store_close(store);
    store = NULL;
    damage(1, size + 1000);
    reopen();
    assert_string_equal(texts(all(), NULL), "kept");
    assert_int_equal(active_size(), size);
}

GT_TEST(damage_in_an_old_segment_costs_one_block)
{
    static const int where[] = {0, 30, LOG_HEAD_BYTES + LOG_EVENT_HEAD};
    for (size_t i = 0; i < GT_ARRAY_LEN(where); i++) {
        put(STREAM, 100, "a");
        off_t b = active_size();
        put(STREAM, 101, "b");
        put(STREAM, 102, "c");
        store->segment_bytes = 1;
        put(STREAM, 103, "d");
        log_store_close(store);
        store = NULL;
        damage(1, b + where[i]);
        reopen();
        put(STREAM, 104, "e");
        struct gt_str one = STREAM;
        struct log_query q = all();
        q.streams = &one;
        q.n_streams = 1;
        assert_string_equal(texts(q, NULL), "a|c|d|e");
        q.backward = true;
        assert_string_equal(texts(q, NULL), "a|c|d|e");
        log_store_tidy(store);
        assert_string_equal(texts(q, NULL), "a|c|d|e");
        reopen();
        assert_string_equal(texts(q, NULL), "a|c|d|e");
        tear_down(NULL);
        set_up(NULL);
    }
}

/* Output that looks like a block is never taken for one. */
GT_TEST(a_forged_block_is_no_block)
{
    struct log_head h = {
        .len = 0, .stream = 1, .pos = 5000, .min = 1, .max = 1, .kind = LOG_EVENTS, .batch = 200};
    unsigned char head[LOG_HEAD_BYTES];
    log_head_encode(&h, 0, head);
    struct gt_err err = GT_ERR_INIT;
    struct log_event_in e = {100, gt_str_n((char *)head, sizeof(head))};
    put(STREAM, 99, "first");
    off_t at = active_size();
    gt_assert_ok(log_append_events(store, GROUP, STREAM, &e, 1, 5000, &err), err);
    put(STREAM, 101, "last");
    log_store_close(store);
    store = NULL;
    damage(1, at);
    reopen();
    assert_string_equal(texts(all(), NULL), "first|last");
    assert_int_equal(blocks_of(STREAM), 2);
}

GT_TEST(what_is_deleted_gives_back_the_newest_segment_too)
{
    gt_auto_free char *text = gt_calloc(1, 200001);
    memset(text, 'x', 200000);
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(log_stream_create(store, GT_STR_LIT("g2"), STREAM, 1, NULL, &err), err);
    struct log_event_in e = {100, gt_str(text)};
    for (int i = 0; i < 10; i++) {
        gt_assert_ok(log_append_events(store, GT_STR_LIT("g2"), STREAM, &e, 1, 5000, &err), err);
    }
    put(STREAM, 100, "kept");
    gt_assert_ok(log_group_drop(store, GT_STR_LIT("g2"), &err), err);
    log_store_tidy(store);
    uint64_t sum = 0;
    for (size_t i = 0; i < store->n_segments; i++) {
        sum += store->segments[i]->size;
    }
    assert_true(sum < 1000);
    put(STREAM, 101, "after");
    reopen();
    assert_string_equal(texts(all(), NULL), "kept|after");
}

GT_TEST(a_full_disk_is_an_answer)
{
    put(STREAM, 100, "a");
    struct gt_err err = GT_ERR_INIT;
    struct log_event_in e = {101, GT_STR_LIT("b")};
    gt_fail_nth(1);
    assert_int_equal(log_append_events(store, GROUP, STREAM, &e, 1, 5000, &err), -ENOSPC);
    put(STREAM, 102, "c");
    assert_string_equal(texts(all(), NULL), "a|c");
    reopen();
    assert_string_equal(texts(all(), NULL), "a|c");
}

GT_TEST(streams_are_listed_and_go)
{
    struct gt_err err = GT_ERR_INIT;
    static const char *const names[] = {"b/2", "b/1", "a"};
    for (size_t i = 0; i < 3; i++) {
        gt_assert_ok(log_stream_create(store, GROUP, gt_str(names[i]), 1, NULL, &err), err);
        put(gt_str(names[i]), 100 + (int64_t)i, "x");
    }
    assert_int_equal(log_stream_create(store, GROUP, STREAM, 1, NULL, &err), -EEXIST);
    struct log_stream_query q = {.prefix = GT_STR_LIT("b/"), .limit = 1};
    struct log_stream_info *v;
    size_t n;
    bool more;
    log_streams(store, GROUP, &q, &arena, &v, &n, &more);
    assert_true(n == 1 && more && gt_str_is(v[0].name, "b/1"));
    q.after_name = v[0].name;
    log_streams(store, GROUP, &q, &arena, &v, &n, &more);
    assert_true(n == 1 && !more && gt_str_is(v[0].name, "b/2"));
    q = (struct log_stream_query){.by_time = true, .descending = true, .limit = 50};
    log_streams(store, GROUP, &q, &arena, &v, &n, &more);
    assert_true(n == 4 && gt_str_is(v[0].name, "a") && v[0].last == 102 && v[0].created == 1);

    gt_assert_ok(log_stream_delete(store, GROUP, GT_STR_LIT("a"), &err), err);
    assert_int_equal(log_stream_delete(store, GROUP, GT_STR_LIT("a"), &err), -ENOENT);
    assert_string_equal(texts(all(), NULL), "x|x");
    log_expire(store, GROUP, 101);
    assert_string_equal(texts(all(), NULL), "x");
    gt_assert_ok(log_group_drop(store, GROUP, &err), err);
    reopen();
    assert_string_equal(texts(all(), NULL), "");
    assert_int_equal(log_group_bytes(store, GROUP), 0);
}

GT_TEST(small_blocks_are_merged)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(1 << 20);
    struct gt_err err = GT_ERR_INIT;
    uint64_t next = 0;
    struct log_result before, after;
    gt_assert_ok(log_stream_create(store, GROUP, GT_STR_LIT("gone"), 1, NULL, &err), err);
    store->segment_bytes = 10000;
    for (int i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof(text), i % 3 ? "frame %d\n" : "half %d ", i);
        put_frame(&b, 100 + i, 1 + (i % 2 ? 1 : 0), text);
        next = frames(next, &b, 1000);
        put(GT_STR_LIT("gone"), 100 + i, "dead weight");
        if (i % 20 == 7) {
            put(STREAM, 50 + i, "out of order");
        }
    }
    char *old = gt_strdup(texts(all(), &before));
    size_t count = blocks_of(STREAM), bytes = log_group_bytes(store, GROUP);
    assert_true(store->n_segments > 3);
    log_store_tidy(store);
    assert_true(blocks_of(STREAM) < count / 2);
    assert_string_equal(texts(all(), &after), old);
    assert_int_equal(log_group_bytes(store, GROUP), bytes);
    for (size_t i = 0; i < before.n; i++) {
        assert_int_equal(log_key_cmp(&before.v[i].key, &after.v[i].key), 0);
    }
    reopen();
    assert_string_equal(texts(all(), NULL), old);
    assert_true(blocks_of(STREAM) < count / 2);
    put_frame(&b, 1000, 1, "\nonly this\n");
    frames(next, &b, 1000);
    gt_assert_ok(log_stream_delete(store, GROUP, GT_STR_LIT("gone"), &err), err);
    log_expire(store, GROUP, 1000);
    size_t segments = store->n_segments;
    log_store_tidy(store);
    assert_true(store->n_segments < segments);
    assert_string_equal(texts(all(), NULL), "only this");
    free(old);
}

static void *write_many(void *arg)
{
    struct gt_err err = GT_ERR_INIT;
    for (int i = 0; i < 20; i++) {
        struct log_event_in e = {i, GT_STR_LIT("x")};
        gt_assert_ok(log_append_events(store, GROUP, STREAM, &e, 1, 5000, &err), err);
    }
    return NULL;
}

GT_TEST(writers_share_the_disk)
{
    pthread_t t[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&t[i], NULL, write_many, NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
    }
    struct log_result r;
    texts(all(), &r);
    assert_int_equal(r.n, 80);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(events_come_back_in_order_of_time),
        CASE(pages_meet_without_gap_or_overlap),
        CASE(frames_become_lines),
        CASE(a_spool_is_taken_once),
        CASE(an_unfinished_line_waits_and_then_ends),
        CASE(a_torn_tail_is_cut),
        CASE(damage_in_the_newest_segment_costs_one_block),
        CASE(a_torn_batch_is_cut_as_a_whole),
        CASE(damage_in_an_old_segment_costs_one_block),
        CASE(a_forged_block_is_no_block),
        CASE(what_is_deleted_gives_back_the_newest_segment_too),
        CASE(a_full_disk_is_an_answer),
        CASE(streams_are_listed_and_go),
        CASE(small_blocks_are_merged),
        CASE(writers_share_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
