/* cmocka with the headers that it wants in the order that it wants, so that tests include one file.
 */
#ifndef GT_TEST_H
#define GT_TEST_H

/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* GT_TEST(name) { ... }, then GT_RUN(name, name ...) once at the end of the file. */
#define GT_TEST(name) static void name(void **state __attribute__((unused)))
#define GT_CASE(name) cmocka_unit_test(name)
#define GT_RUN(...)                                                                                \
    int main(void)                                                                                 \
    {                                                                                              \
        const struct CMUnitTest tests[] = {__VA_ARGS__};                                           \
        return cmocka_run_group_tests(tests, NULL, NULL);                                          \
    }

/* For calls that fill a struct gt_err: shows its message when the result is not 0. */
#define gt_assert_ok(call, err)                                                                    \
    do {                                                                                           \
        int r_ = (int)(call);                                                                      \
        if (r_ < 0) {                                                                              \
            fail_msg("%s: %d: %s", #call, r_, (err).msg);                                          \
        }                                                                                          \
    } while (0)

#endif
