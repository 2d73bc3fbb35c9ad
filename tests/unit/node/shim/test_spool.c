#include "gt_test.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "node/shim/shim_proto.h"
#include "node/shim/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static struct spool spool;
static struct stream out;
static int writer;

static int set_up(void **state)
{
    (void)state;
    int fd[2];
    snprintf(path, sizeof path, "/tmp/gt-spool-XXXXXX");
    close(mkstemp(path));
    assert_int_equal(pipe2(fd, O_CLOEXEC | O_NONBLOCK), 0);
    writer = fd[1];
    out = (struct stream){.fd = fd[0], .number = 1};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gt_closep(&writer);
    gt_closep(&out.fd);
    spool_close(&spool);
    unlink(path);
    return 0;
}

static void put(const char *text)
{
    assert_int_equal(gt_write_full(writer, text, strlen(text)), 0);
}

/* All frames' bytes, one after the other, from an offset. */
static void expect(uint64_t at, const char *text, unsigned frames)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(1 << 20);
    struct shim_frame f;
    unsigned n = 0;
    while (pread(spool.fd, &f, sizeof f, (off_t)at) == (ssize_t)sizeof f && f.n) {
        char *to = gt_buf_reserve(&b, f.n);
        assert_int_equal(pread(spool.fd, to, f.n, (off_t)(at + sizeof f)), f.n);
        b.n += f.n;
        assert_int_equal(f.stream, 1);
        assert_true(f.time_ms > 1600000000000ULL);
        at += sizeof f + f.n;
        n++;
    }
    gt_buf_puts(&b, "");
    assert_string_equal(b.p, text);
    assert_int_equal(n, frames);
    assert_int_equal(at, spool.written);
}

static void frames_and_end(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(spool_open(&spool, path, 0, false, &err), err);
    put("one\ntwo\n");
    assert_int_equal(stream_pump(&out, &spool, 100, false), STREAM_OPEN);
    put("three");
    assert_int_equal(stream_pump(&out, &spool, 200, false), STREAM_OPEN);
    expect(0, "one\ntwo\nthree", 2);
    put("\nlast");
    gt_closep(&writer);
    stream_pump(&out, &spool, 300, true);
    assert_int_equal(stream_pump(&out, &spool, 400, false), STREAM_CLOSED);
    assert_int_equal(out.fd, -1);
    expect(0, "one\ntwo\nthree\nlast", 3);
}

static void busy_streams_are_left_alone(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(spool_open(&spool, path, 0, false, &err), err);
    put("a");
    assert_int_equal(stream_pump(&out, &spool, 1000, false), STREAM_OPEN);
    put("b");
    assert_int_equal(stream_pump(&out, &spool, 1001, false), STREAM_LATER);
    assert_true(out.retry_ms > 1001 && out.retry_ms < 1010);
    put("c");
    put("d");
    assert_int_equal(stream_pump(&out, &spool, 1020, false), STREAM_OPEN);
    expect(0, "abcd", 3);
}

static void a_full_spool_holds_up(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(spool_open(&spool, path, 64, false, &err), err); /* two frames' worth */
    put("0123456789012345678901234567890123456789");
    stream_pump(&out, &spool, 100, false);
    put("0123456789");
    assert_int_equal(stream_pump(&out, &spool, 200, false), STREAM_PAUSED);
    uint64_t full = spool.written;
    assert_int_equal(spool.dropped, 0);
    spool_ack(&spool, full);
    stream_pump(&out, &spool, 300, false);
    expect(full, "0123456789", 1);
}

#define MISSING(n)                                                                                 \
    "\n[gantry: " #n " bytes of output are missing here: "                                         \
    "the log buffer (max-buffer-size) was full]\n"

static void or_drops_and_counts(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    char *big = gt_malloc(241);
    memset(big, 'x', 240);
    big[240] = '\0';
    gt_assert_ok(spool_open(&spool, path, 256, true, &err), err);
    put(big);
    stream_pump(&out, &spool, 100, false);
    uint64_t at = spool.written;
    put("dropped");
    stream_pump(&out, &spool, 200, false);
    put("!");
    stream_pump(&out, &spool, 250, false);
    assert_int_equal(spool.dropped, 8);
    assert_int_equal(spool.written, at);
    /* It is said as soon as there is room, before anything that comes later. */
    spool_ack(&spool, spool.written);
    put("kept");
    stream_pump(&out, &spool, 300, false);
    expect(at, MISSING(8) "kept", 2);
    assert_int_equal(spool.dropped, 8);
    free(big);
}

/* A container that ends with its spool full: the last that its log says is what is missing. */
static void drops_are_said_at_the_end(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(spool_open(&spool, path, 64, true, &err), err);
    put("012345678901234567890123456789012345678901234567");
    stream_pump(&out, &spool, 100, false);
    put("dropped");
    stream_pump(&out, &spool, 200, true);
    expect(0, "012345678901234567890123456789012345678901234567", 1);
    spool_end(&spool);
    spool_end(&spool);
    expect(0, "012345678901234567890123456789012345678901234567" MISSING(7), 2);
}

static void acknowledged_bytes_are_given_back(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    struct stat st;
    char *big = gt_malloc(60000);
    memset(big, 'x', 60000);
    gt_assert_ok(spool_open(&spool, path, 0, false, &err), err);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(gt_write_full(writer, big, 60000), 0);
        stream_pump(&out, &spool, 100 * i, true);
    }
    free(big);
    spool_ack(&spool, spool.written);
    assert_int_equal(fstat(spool.fd, &st), 0);
    assert_true((uint64_t)st.st_size == spool.written); /* offsets stay */
    assert_true(st.st_blocks * 512 < 65536);
    spool_ack(&spool, UINT64_MAX); /* nonsense is cut */
    assert_true(spool.acked == spool.written);
    /* Opened again, it goes on where it was. */
    uint64_t at = spool.written;
    spool_close(&spool);
    gt_assert_ok(spool_open(&spool, path, 0, false, &err), err);
    assert_int_equal(spool.written, at);
}

static void a_line_without_an_end_gets_one(void **state)
{
    (void)state;
    struct gt_err err = GT_ERR_INIT;
    gt_assert_ok(spool_open(&spool, path, 0, false, &err), err);
    put("all\n");
    stream_pump(&out, &spool, 100, true);
    spool_end(&spool);
    expect(0, "all\n", 1);
    put("no end");
    stream_pump(&out, &spool, 200, true);
    spool_ack(&spool, spool.written);
    spool_end(&spool);
    expect(0, "all\nno end\n", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_and_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(busy_streams_are_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_spool_holds_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(or_drops_and_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drops_are_said_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_without_an_end_gets_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(acknowledged_bytes_are_given_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
