#include "frames.h"
#include "gt_test.h"
#include "lib/base/mem.h"
#include "store/logs/block.h"
#include "store/logs/logs.h"

GT_TEST(a_header_survives_and_damage_shows)
{
    struct log_head h = {.len = 5,
                         .crc = 6,
                         .stream = 7,
                         .pos = 8,
                         .min = 9,
                         .max = 10,
                         .ingested = 11,
                         .spool = 12,
                         .want = 13,
                         .kind = LOG_FRAMES,
                         .mid = 2,
                         .batch = 14};
    unsigned char raw[LOG_HEAD_BYTES];
    log_head_encode(&h, 7, raw);
    struct log_head got;
    assert_true(log_head_decode(raw, 7, &got));
    assert_false(log_head_decode(raw, 8, &got));
    assert_true(log_head_decode(raw, 7, &got));
    assert_int_equal(got.pos, 8);
    assert_int_equal(got.batch, 14);
    assert_int_equal(got.want, 13);
    assert_int_equal(got.mid, 2);
    for (size_t i = 0; i < sizeof(raw); i++) {
        raw[i] ^= 1;
        assert_false(log_head_decode(raw, 7, &got));
        raw[i] ^= 1;
    }
}

GT_TEST(cuts_at_size_and_when_time_goes_back)
{
    gt_auto_buf struct gt_buf in = GT_BUF_INIT(1 << 20);
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(1 << 20);
    put_frame(&in, 100, 1, "one\ntw");
    put_frame(&in, 101, 2, "err\n");
    put_frame(&in, 90, 1, "o\n");
    struct log_cutter c = {.p = in.p, .n = in.n};
    struct log_head h = {0};
    ptrdiff_t took = log_cutter_next(&c, 1000, &out, &h);
    assert_int_equal(took, 16 + 6 + 16 + 4);
    assert_int_equal(h.min, 100);
    assert_int_equal(h.max, 101);
    assert_int_equal(h.mid, 0);
    assert_int_equal(c.lines.mid, 1);
    assert_int_equal(log_cutter_next(&c, 1000, &out, &h), 18);
    assert_int_equal(h.mid, 1);
    assert_int_equal(h.min, 90);
    assert_int_equal(c.lines.mid, 0);
    assert_int_equal(c.n, 0);
}

GT_TEST(ends_lines_that_are_too_long)
{
    gt_auto_free char *text = gt_calloc(1, 200001);
    memset(text, 'x', 200000);
    gt_auto_buf struct gt_buf in = GT_BUF_INIT(1 << 20);
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(1 << 20);
    put_frame(&in, 1, 1, text);
    put_frame(&in, 1, 1, text);
    struct log_cutter c = {.p = in.p, .n = in.n};
    struct log_head h = {0};
    assert_int_equal(log_cutter_next(&c, 1 << 20, &out, &h), in.n);
    /* The second in two pieces, with a frame of no bytes between them, where the line is full. */
    assert_int_equal(h.len, in.n + 2 * LOG_FRAME_HEAD);
    struct log_frame f;
    const char *at = out.p + LOG_FRAME_HEAD + 200000;
    assert_int_equal(log_frame_decode(at, h.len, &f), LOG_FRAME_HEAD + LOG_LINE_MAX - 200000);
    assert_int_equal(log_frame_decode(at + LOG_FRAME_HEAD + f.text.n, h.len, &f), LOG_FRAME_HEAD);
    assert_int_equal(c.lines.len[0], 400000 - LOG_LINE_MAX);
}

/* One frame with a line that is too long by itself; characters stay whole. */
GT_TEST(cuts_within_a_frame_between_characters)
{
    gt_auto_free char *text = gt_calloc(1, LOG_FRAME_MAX + 1);
    memset(text, 'x', LOG_FRAME_MAX);
    memcpy(text, "a\n", 2);
    memcpy(text + 2 + LOG_LINE_MAX - 1, "\xc3\xa4", 2);
    gt_auto_buf struct gt_buf in = GT_BUF_INIT(1 << 20);
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(1 << 20);
    put_frame(&in, 1, 1, text);
    struct log_cutter c = {.p = in.p, .n = in.n};
    struct log_head h = {0};
    assert_int_equal(log_cutter_next(&c, 1 << 20, &out, &h), in.n);
    assert_int_equal(h.len, in.n + 2 * LOG_FRAME_HEAD);
    struct log_frame f;
    assert_int_equal(log_frame_decode(out.p, h.len, &f), LOG_FRAME_HEAD + 2 + LOG_LINE_MAX - 1);
    assert_int_equal(c.lines.len[0], LOG_FRAME_MAX - f.text.n);
}

/* Full frames of many lines: what counts is the line that goes over their border. */
GT_TEST(lines_in_full_frames_stay_whole)
{
    gt_auto_free char *text = gt_calloc(1, 200001);
    memset(text, 'x', 200000);
    text[50] = '\n';
    text[199900] = '\n';
    gt_auto_buf struct gt_buf in = GT_BUF_INIT(1 << 20);
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(1 << 20);
    put_frame(&in, 1, 1, text);
    put_frame(&in, 1, 1, text);
    struct log_cutter c = {.p = in.p, .n = in.n, .lines.mid = 1, .lines.len = {200000}};
    struct log_head h = {0};
    assert_int_equal(log_cutter_next(&c, 1 << 20, &out, &h), in.n);
    assert_int_equal(h.len, in.n);
}

GT_TEST(refuses_what_are_no_frames)
{
    gt_auto_buf struct gt_buf in = GT_BUF_INIT(1 << 20);
    gt_auto_buf struct gt_buf out = GT_BUF_INIT(1 << 20);
    put_frame(&in, 1, 3, "source");
    struct log_cutter c = {.p = in.p, .n = in.n};
    struct log_head h = {0};
    assert_int_equal(log_cutter_next(&c, 1000, &out, &h), -EINVAL);
    gt_buf_reset(&in);
    put_frame(&in, 1, 1, "cut off");
    c = (struct log_cutter){.p = in.p, .n = in.n - 1};
    assert_int_equal(log_cutter_next(&c, 1000, &out, &h), -EINVAL);
}

GT_RUN(GT_CASE(a_header_survives_and_damage_shows), GT_CASE(cuts_at_size_and_when_time_goes_back),
       GT_CASE(ends_lines_that_are_too_long), GT_CASE(cuts_within_a_frame_between_characters),
       GT_CASE(lines_in_full_frames_stay_whole), GT_CASE(refuses_what_are_no_frames))
