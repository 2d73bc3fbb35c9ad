#include "gt_test.h"

#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "lib/http/server_clock.h"

#define HOUR ((int64_t)3600000)

/* A call at the server's time `at`, which is ahead by `ahead`, and cuts its Date to seconds that
 * begin nearly a tick late. */
static void call(struct server_clock *c, int64_t at, int64_t ahead, int64_t there, int64_t back)
{
    server_clock_heard(c, (at - 9) / 1000 * 1000, at - ahead - there, at - ahead + back);
}

GT_TEST(a_clock_that_is_right_is_left_alone)
{
    struct server_clock c = SERVER_CLOCK_INIT;
    struct gt_prng g = {1};
    assert_int_equal(server_clock_ahead(&c), 0);
    for (int64_t at = 5 * HOUR; at < 6 * HOUR; at += 997) {
        call(&c, at, 0, (int64_t)gt_prng_below(&g, 50), (int64_t)gt_prng_below(&g, 25000));
        assert_int_equal(server_clock_ahead(&c), 0);
    }
}

GT_TEST(a_wrong_one_is_known_better_with_each_answer)
{
    struct gt_prng g = {2};
    for (int64_t ahead = -30 * HOUR; ahead <= 30 * HOUR; ahead += 7 * HOUR + 12345) {
        struct server_clock c = SERVER_CLOCK_INIT;
        int64_t at = 100 * HOUR + 250;
        call(&c, at, ahead, 5, 5);
        assert_in_range(server_clock_ahead(&c) - ahead + 1000, 0, 2000);
        for (int i = 0; i < 200; i++) {
            at += 700 + (int64_t)gt_prng_below(&g, 3000);
            call(&c, at, ahead, (int64_t)gt_prng_below(&g, 8), (int64_t)gt_prng_below(&g, 30));
        }
        assert_in_range(server_clock_ahead(&c) - ahead + 50, 0, 100);
    }
}

GT_TEST(a_step_is_noticed_at_once)
{
    struct server_clock c = SERVER_CLOCK_INIT;
    call(&c, 100 * HOUR, 0, 5, 5);
    call(&c, 100 * HOUR + 3000, 2 * HOUR, 5, 5);
    assert_in_range(server_clock_ahead(&c), 2 * HOUR - 1000, 2 * HOUR + 1000);
    call(&c, 100 * HOUR + 6000, 0, 5, 5);
    assert_int_equal(server_clock_ahead(&c), 0);
    server_clock_heard(&c, 100 * HOUR, 100 * HOUR, 98 * HOUR); /* set back during a call */
    server_clock_heard(&c, 100 * HOUR, 100 * HOUR + 5, 100 * HOUR + 5 - 2 * HOUR);
}

GT_RUN(GT_CASE(a_clock_that_is_right_is_left_alone),
       GT_CASE(a_wrong_one_is_known_better_with_each_answer), GT_CASE(a_step_is_noticed_at_once))
