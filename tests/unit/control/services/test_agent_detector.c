/* The failure detector and its brake: what it says of nodes that are heard at these times. */
#include "gt_test.h"

#include "control/services/agent/detector.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"

#include <stdio.h>

enum { NODES = 40, LOOK = 500, BEAT = 3000 };

struct bench {
    struct detector *d;
    int64_t now;
    int n;                            /* nodes that there are */
    bool silent[NODES];               /* it says nothing */
    enum detector_state state[NODES]; /* as the core was told */
    int told[3];                      /* since it was last asked */
};

static void begin(struct bench *b, int n, struct detector_options o)
{
    *b = (struct bench){.d = detector_new(&o), .now = 1000000, .n = n};
}

static void end(struct bench *b)
{
    detector_free(b->d);
}

static struct gt_str name(char to[static 8], int i)
{
    snprintf(to, 8, "n%d", i);
    return gt_str(to);
}

static void tell(struct bench *b)
{
    struct detector_change c[7];
    size_t n;
    do {
        n = detector_look(b->d, b->now, c, GT_ARRAY_LEN(c));
        for (size_t i = 0; i < n; i++) {
            int at = atoi(c[i].node + 1);
            assert_int_not_equal(b->state[at], c[i].state);
            b->state[at] = c[i].state;
            b->told[c[i].state]++;
            detector_told(b->d, &c[i], true, b->now);
        }
    } while (n == GT_ARRAY_LEN(c));
}

/* Time goes by; who is not silent beats. */
static void run(struct bench *b, int64_t ms)
{
    memset(b->told, 0, sizeof b->told);
    for (int64_t until = b->now + ms; b->now < until; b->now += LOOK) {
        for (int i = 0; i < b->n && b->now % BEAT < LOOK; i++) {
            char text[8];
            if (!b->silent[i]) {
                detector_heard(b->d, name(text, i), b->now);
            }
        }
        tell(b);
    }
}

static int count(const struct bench *b, enum detector_state state)
{
    int n = 0;
    for (int i = 0; i < b->n; i++) {
        n += b->state[i] == state;
    }
    return n;
}

static void silence(struct bench *b, int from, int n, bool silent)
{
    for (int i = from; i < from + n; i++) {
        b->silent[i] = silent;
    }
}

static const struct detector_options usual = DETECTOR_OPTIONS_DEFAULT;

GT_TEST(one_is_lost_and_back)
{
    struct bench b;
    begin(&b, 1, usual);
    run(&b, 60000);
    assert_int_equal(b.told[0] + b.told[1] + b.told[2], 0);
    silence(&b, 0, 1, true);
    run(&b, 9000);
    assert_int_equal(b.state[0], DETECTOR_LIVE);
    run(&b, 5000);
    assert_int_equal(b.state[0], DETECTOR_LOST);
    silence(&b, 0, 1, false);
    run(&b, 4000);
    assert_int_equal(b.state[0], DETECTOR_LIVE);
    assert_int_equal(b.told[DETECTOR_LIVE], 1);
    end(&b);
}

GT_TEST(brakes_from_a_share_on)
{
    static const struct {
        int nodes, silent;
        int64_t percent;
        bool held;
    } cases[] = {
        {3, 3, 50, false}, /* too few to tell */
        {4, 2, 50, false}, /* half is not more than half */
        {4, 3, 50, true},   {10, 5, 50, false}, {10, 6, 50, true},    {10, 10, 50, true},
        {10, 2, 20, false}, {10, 3, 20, true},  {10, 10, 100, false}, /* never */
        {4, 1, 0, true},                                              /* always */
        {40, 21, 50, true},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(cases); i++) {
        struct bench b;
        struct detector_options o = usual;
        o.brake_percent = cases[i].percent;
        begin(&b, cases[i].nodes, o);
        run(&b, 30000);
        silence(&b, 0, cases[i].silent, true);
        run(&b, 30000);
        enum detector_state want = cases[i].held ? DETECTOR_HELD : DETECTOR_LOST;
        if (count(&b, want) != cases[i].silent || detector_brake(b.d).on != cases[i].held) {
            fail_msg("case %zu: %d live, %d held, %d lost", i, count(&b, DETECTOR_LIVE),
                     count(&b, DETECTOR_HELD), count(&b, DETECTOR_LOST));
        }
        end(&b);
    }
}

GT_TEST(holds_until_enough_are_heard)
{
    struct bench b;
    begin(&b, 10, usual);
    run(&b, 30000);
    silence(&b, 0, 8, true);
    run(&b, 20000);
    assert_int_equal(count(&b, DETECTOR_HELD), 8);
    run(&b, 24 * 3600000); /* for however long */
    assert_int_equal(count(&b, DETECTOR_HELD), 8);
    assert_int_equal(detector_brake(b.d).silent, 8);
    assert_int_equal(detector_brake(b.d).of, 10);
    silence(&b, 0, 2, false); /* six are still too many */
    run(&b, 20000);
    assert_int_equal(count(&b, DETECTOR_HELD), 6);
    silence(&b, 2, 1, false);
    run(&b, 20000);
    assert_int_equal(count(&b, DETECTOR_LOST), 5);
    assert_false(detector_brake(b.d).on);
    silence(&b, 0, 1, true); /* and one more within the window */
    run(&b, 20000);
    assert_int_equal(b.state[0], DETECTOR_HELD);
    end(&b);
}

GT_TEST(an_operator_releases)
{
    struct bench b;
    begin(&b, 10, usual);
    run(&b, 30000);
    silence(&b, 0, 9, true);
    run(&b, 20000);
    assert_int_equal(count(&b, DETECTOR_HELD), 9);
    detector_release(b.d, b.now);
    run(&b, 20000);
    assert_int_equal(count(&b, DETECTOR_LOST), 9);
    assert_false(detector_brake(b.d).on);
    silence(&b, 0, 9, false);
    run(&b, 20000);
    assert_int_equal(count(&b, DETECTOR_LIVE), 10);
    silence(&b, 0, 1, true); /* what was is forgotten */
    run(&b, 20000);
    assert_int_equal(b.state[0], DETECTOR_LOST);
    end(&b);
}

/* One every minute: no two in one look, and yet no more than half within ten minutes. */
GT_TEST(brakes_in_a_slow_loss)
{
    struct bench b;
    begin(&b, 10, usual);
    run(&b, 30000);
    for (int i = 0; i < 9; i++) {
        silence(&b, i, 1, true);
        run(&b, 60000);
    }
    assert_int_equal(count(&b, DETECTOR_LOST), 5);
    assert_int_equal(count(&b, DETECTOR_HELD), 4);
    run(&b, 3600000); /* that the window passes releases nobody */
    assert_int_equal(count(&b, DETECTOR_HELD), 4);
    end(&b);
    /* Slower than that is what happens to machines. */
    begin(&b, 10, usual);
    run(&b, 30000);
    for (int i = 0; i < 7; i++) {
        silence(&b, i, 1, true);
        run(&b, 700000);
    }
    assert_int_equal(count(&b, DETECTOR_LOST), 7);
    end(&b);
}

GT_TEST(a_stop_of_its_own_is_nobodys_loss)
{
    struct bench b;
    begin(&b, 3, usual);
    run(&b, 30000);
    b.now += 3600000;
    tell(&b);
    assert_int_equal(count(&b, DETECTOR_LIVE), 3);
    silence(&b, 0, 1, true);
    run(&b, 9000);
    assert_int_equal(count(&b, DETECTOR_LIVE), 3);
    run(&b, 9000);
    assert_int_equal(count(&b, DETECTOR_LOST), 1);
    end(&b);
}

GT_TEST(remembers_what_the_core_knows)
{
    struct bench b;
    begin(&b, 10, usual);
    for (int i = 0; i < 10; i++) {
        char text[8];
        b.state[i] = i < 3 ? DETECTOR_LOST : i < 6 ? DETECTOR_HELD : DETECTOR_LIVE;
        detector_known(b.d, name(text, i), b.state[i], b.now - 60000, b.now);
        b.silent[i] = i < 6;
    }
    assert_true(detector_brake(b.d).on);
    run(&b, 3600000);
    assert_int_equal(count(&b, DETECTOR_HELD), 3); /* with the three lost ones: six of ten */
    assert_int_equal(detector_brake(b.d).silent, 6);
    silence(&b, 5, 1, false);
    run(&b, 20000);
    assert_int_equal(count(&b, DETECTOR_LOST), 5);
    end(&b);
}

GT_TEST(says_again_what_was_not_taken)
{
    struct bench b;
    begin(&b, 1, usual);
    run(&b, 30000);
    b.now += 9500;
    struct detector_change c[2];
    assert_int_equal(detector_look(b.d, b.now - 5000, c, 2), 0);
    b.now += 4000;
    assert_int_equal(detector_look(b.d, b.now - 5000, c, 2), 0);
    assert_int_equal(detector_look(b.d, b.now, c, 2), 1);
    detector_told(b.d, c, false, b.now);
    assert_int_equal(detector_look(b.d, b.now + 500, c, 2), 0);
    assert_int_equal(detector_look(b.d, b.now + 1000, c, 2), 1);
    detector_forget(b.d, gt_str(c->node));
    assert_int_equal(detector_look(b.d, b.now + 1000, c, 2), 0);
    detector_told(b.d, c, true, b.now); /* it is gone */
    end(&b);
}

/* Whatever happens: more than the share never counts as lost within a window without an
 * operator's word, and when all is quiet everybody is what he should be. */
GT_TEST(any_history)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct gt_prng rng = {seed};
        struct bench b;
        begin(&b, 4 + (int)gt_prng_below(&rng, NODES - 4), usual);
        run(&b, 20000);
        int64_t lost_at[NODES] = {0};
        for (int step = 0; step < 40; step++) {
            int from = (int)gt_prng_below(&rng, (uint64_t)b.n);
            int n = 1 + (int)gt_prng_below(&rng, (uint64_t)(b.n - from));
            silence(&b, from, n, gt_prng_below(&rng, 2));
            run(&b, 500 * (int64_t)(1 + gt_prng_below(&rng, 100)));
            int lately = 0, live = 0;
            for (int i = 0; i < b.n; i++) {
                bool lost = b.state[i] == DETECTOR_LOST;
                lost_at[i] = !lost ? 0 : lost_at[i] ? lost_at[i] : b.now;
                lately += lost && b.now - lost_at[i] < usual.brake_window_ms / 2;
                live += !lost;
            }
            assert_true(lately <= live + 1);
        }
        silence(&b, 0, b.n, false);
        run(&b, 30000);
        assert_int_equal(count(&b, DETECTOR_LIVE), b.n);
        end(&b);
    }
}

GT_RUN(GT_CASE(one_is_lost_and_back), GT_CASE(brakes_from_a_share_on),
       GT_CASE(holds_until_enough_are_heard), GT_CASE(an_operator_releases),
       GT_CASE(brakes_in_a_slow_loss), GT_CASE(a_stop_of_its_own_is_nobodys_loss),
       GT_CASE(remembers_what_the_core_knows), GT_CASE(says_again_what_was_not_taken),
       GT_CASE(any_history))
