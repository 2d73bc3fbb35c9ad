#include "gt_test.h"

#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "rec_test.h"
#include "store/record/varint.h"

static struct rec_new_thing sample(void)
{
    static struct gt_str words[] = {{"one", 3}, {NULL, 0}, {"three", 5}};
    static int64_t numbers[] = {0, -1, INT64_MAX, INT64_MIN, 300};
    static struct rec_part inner[] = {{.label = {"deep", 4}, .weight = -7}};
    static struct rec_part parts[] = {
        {.label = {"a", 1}, .weight = 1}, {.weight = 0}, {.weight = 5}};
    static struct rec_part best = {.label = {"best", 4}};
    parts[2].parts.v = inner;
    parts[2].parts.n = 1;
    return (struct rec_new_thing){
        .name = {"thing", 5},
        .count = -12345,
        .on = true,
        .share = 0.25,
        .words = {words, 3},
        .numbers = {numbers, 5},
        .best = &best,
        .parts = {parts, 3},
        .raw = {"\0\xff", 2},
    };
}

static struct gt_arena arena;

static void *decode(const struct rec_desc *desc, struct gt_buf *b)
{
    void *rec = NULL;
    struct gt_err err;
    gt_arena_fini(&arena);
    gt_arena_init(&arena, 1 << 20);
    gt_assert_ok(rec_decode(desc, gt_buf_view(b), &arena, &rec, &err), err);
    return rec;
}

GT_TEST(round_trip)
{
    struct rec_new_thing in = sample();
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096), again = GT_BUF_INIT(4096);
    rec_encode(&rec_new_thing_desc, &in, &b);
    struct rec_new_thing *out = decode(&rec_new_thing_desc, &b);
    assert_true(gt_str_is(out->name, "thing"));
    assert_int_equal(out->count, -12345);
    assert_true(out->on);
    assert_true(out->share == 0.25);
    assert_int_equal(out->words.n, 3);
    assert_true(gt_str_is(out->words.v[2], "three"));
    assert_int_equal(out->numbers.n, 5);
    assert_true(out->numbers.v[3] == INT64_MIN && out->numbers.v[2] == INT64_MAX);
    assert_true(gt_str_is(out->best->label, "best"));
    assert_int_equal(out->parts.n, 3);
    assert_true(gt_str_is(out->parts.v[2].parts.v[0].label, "deep"));
    assert_int_equal(out->raw.n, 2);
    assert_int_equal(out->version_, 2);
    rec_encode(&rec_new_thing_desc, out, &again);
    assert_true(gt_str_eq(gt_buf_view(&b), gt_buf_view(&again)));
}

GT_TEST(zero_is_three_bytes)
{
    struct rec_new_thing in = {0};
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    rec_encode(&rec_new_thing_desc, &in, &b);
    assert_int_equal(b.n, 3);
    struct rec_new_thing *out = decode(&rec_new_thing_desc, &b);
    assert_true(out->best == NULL && out->words.n == 0);
}

/* The release before knew only fields 1 and 5 (by other descriptors of the same record). */
static const struct rec_field old_fields[] = {
    {1, REC_STR, offsetof(struct rec_new_thing, name), "name", NULL},
    {5, REC_LIST_STR, offsetof(struct rec_new_thing, words), "words", NULL},
};

GT_TEST(unknown_fields_survive_an_older_release)
{
    struct rec_desc old = rec_new_thing_desc;
    old.version = 1;
    old.fields = old_fields;
    old.n_fields = 2;
    struct rec_new_thing in = sample();
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096), again = GT_BUF_INIT(4096);
    rec_encode(&rec_new_thing_desc, &in, &b);
    struct rec_new_thing *seen = decode(&old, &b);
    assert_int_equal(seen->count, 0);
    seen->name = GT_STR_LIT("renamed");
    rec_encode(&old, seen, &again);
    struct rec_new_thing *out = decode(&rec_new_thing_desc, &again);
    assert_true(gt_str_is(out->name, "renamed"));
    assert_int_equal(out->count, -12345);
    assert_int_equal(out->parts.n, 3);
    assert_int_equal(out->version_, 2);
}

GT_TEST(fields_in_any_order_and_in_pieces)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    struct rec_new_thing zero = {0};
    rec_encode(&rec_new_thing_desc, &zero, &b);
    gt_buf_add(&b, "\x2a\x01x\x0a\x01n\x2a\x01y\x2a\x01z", 12); /* words, name, words, words */
    struct rec_new_thing *out = decode(&rec_new_thing_desc, &b);
    assert_int_equal(out->words.n, 3);
    assert_true(gt_str_is(out->words.v[0], "x") && gt_str_is(out->words.v[2], "z"));
    assert_true(gt_str_is(out->name, "n"));
}

GT_TEST(damage_is_refused_not_believed)
{
    struct rec_new_thing in = sample();
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    rec_encode(&rec_new_thing_desc, &in, &b);
    struct gt_arena small;
    void *rec;
    struct gt_err err;
    gt_arena_init(&small, 64);
    assert_int_equal(rec_decode(&rec_new_thing_desc, gt_buf_view(&b), &small, &rec, &err),
                     -EMSGSIZE);
    gt_arena_fini(&small);
    b.p[0] ^= 1;
    assert_int_equal(rec_decode(&rec_new_thing_desc, gt_buf_view(&b), &arena, &rec, &err),
                     -EBADMSG);
    b.p[0] ^= 1;
    struct gt_prng rng = {7};
    for (int i = 0; i < 20000; i++) {
        gt_auto_free char *copy = gt_memdup(b.p, b.n);
        for (int k = 0; k < 3; k++) {
            copy[3 + gt_prng_below(&rng, b.n - 3)] = (char)gt_prng_next(&rng);
        }
        size_t n = 3 + gt_prng_below(&rng, b.n - 2);
        struct gt_arena a;
        gt_arena_init(&a, 1 << 16);
        (void)rec_decode(&rec_new_thing_desc, gt_str_n(copy, n), &a, &rec, &err);
        gt_arena_fini(&a);
    }
}

GT_TEST(depth_is_bounded)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(65536), body = GT_BUF_INIT(65536);
    for (int i = 0; i < 40; i++) { /* parts { parts { ... } } */
        struct gt_buf outer = GT_BUF_INIT(65536);
        varint_put(&outer, (i < 39 ? 3 : 8) << 3 | 2);
        varint_put_bytes(&outer, gt_buf_view(&body));
        gt_buf_fini(&body);
        body = outer;
    }
    struct rec_new_thing zero = {0};
    rec_encode(&rec_new_thing_desc, &zero, &b);
    gt_buf_str(&b, gt_buf_view(&body));
    void *rec;
    assert_int_equal(rec_decode(&rec_new_thing_desc, gt_buf_view(&b), &arena, &rec, NULL),
                     -EBADMSG);
}

GT_TEST(shown_as_json)
{
    struct rec_new_thing in = {.name = {"a\"b\n", 4}, .count = 3};
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(4096);
    rec_show(&rec_new_thing_desc, &in, &b);
    assert_string_equal(b.p, "{\"name\":\"a\\\"b\\u000a\",\"count\":3}");
    assert_ptr_equal(rec_desc_by_id(rec_new_thing_desc.id), &rec_new_thing_desc);
    gt_arena_fini(&arena);
}

static char told[2000];

static void on_field(void *arg, const char *field, struct gt_str from, struct gt_str to)
{
    size_t n = strlen(told);
    snprintf(told + n, sizeof told - n, "%s: " GT_STR_FMT " -> " GT_STR_FMT "\n", field,
             GT_STR_ARG(from), GT_STR_ARG(to));
}

GT_TEST(what_is_different)
{
    struct rec_new_thing a = sample(), b = sample();
    struct rec_part parts[2] = {a.parts.v[0], a.parts.v[1]};
    rec_diff(&rec_new_thing_desc, &a, &b, on_field, NULL);
    assert_string_equal(told, "");
    b.name = GT_STR_LIT("other");
    b.count = 0;
    b.best = NULL;
    parts[0].weight = 9;
    b.parts.v = parts;
    b.parts.n = 2;
    rec_diff(&rec_new_thing_desc, &a, &b, on_field, NULL);
    assert_string_equal(told, "name: \"thing\" -> \"other\"\n"
                              "count: -12345 -> \n"
                              "best.label: \"best\" -> \n"
                              "parts[0].weight: 1 -> 9\n"
                              "parts[2].weight: 5 -> \n"
                              "parts[2].parts[0].label: \"deep\" -> \n"
                              "parts[2].parts[0].weight: -7 -> \n");
    told[0] = '\0';
    rec_diff(&rec_new_thing_desc, NULL, &(struct rec_new_thing){.count = 3}, on_field, NULL);
    assert_string_equal(told, "count:  -> 3\n");
}

GT_RUN(GT_CASE(round_trip), GT_CASE(zero_is_three_bytes),
       GT_CASE(unknown_fields_survive_an_older_release), GT_CASE(fields_in_any_order_and_in_pieces),
       GT_CASE(damage_is_refused_not_believed), GT_CASE(depth_is_bounded), GT_CASE(shown_as_json),
       GT_CASE(what_is_different))
