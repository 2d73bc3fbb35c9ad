#include "gt_test.h"

#include "node/agent/ended.h"

GT_TEST(an_answer_from_before_the_end_names_no_new_task)
{
    struct ended e;
    ended_init(&e);
    uint64_t before = ended_count(&e); /* a poll is sent ... */
    ended_add(&e, GT_STR_LIT("a"));    /* ... and meanwhile a task's end is accepted */
    assert_true(ended_after(&e, GT_STR_LIT("a"), before));
    assert_false(ended_after(&e, GT_STR_LIT("b"), before));
    uint64_t after = ended_count(&e); /* the next poll knows better */
    assert_false(ended_after(&e, GT_STR_LIT("a"), after));
    ended_fini(&e);
}

GT_TEST(what_no_answer_can_name_is_forgotten)
{
    struct ended e;
    ended_init(&e);
    ended_add(&e, GT_STR_LIT("a"));
    uint64_t between = ended_count(&e);
    ended_add(&e, GT_STR_LIT("b"));
    ended_forget(&e, between);
    assert_false(ended_after(&e, GT_STR_LIT("a"), 0));
    assert_true(ended_after(&e, GT_STR_LIT("b"), 0));
    ended_forget(&e, ended_count(&e));
    assert_true(gt_list_empty(&e.tasks));
    ended_fini(&e);
}

GT_RUN(GT_CASE(an_answer_from_before_the_end_names_no_new_task),
       GT_CASE(what_no_answer_can_name_is_forgotten))
