#include "gt_test.h"

#include "lib/base/mem.h"
#include "node/agent/task.h"

#include <signal.h>

GT_TEST(what_images_say)
{
    static const struct {
        const char *said;
        int number;
    } table[] = {
        {NULL, SIGTERM},          {"", SIGTERM},
        {"SIGTERM", SIGTERM},     {"SIGQUIT", SIGQUIT},
        {"quit", SIGQUIT},        {"SIGWINCH", SIGWINCH},
        {"9", SIGKILL},           {"28", SIGWINCH},
        {"SIGRTMIN+3", 37},       {"RTMIN", 34},
        {"SIGRTMAX-1", 63},       {"rtmax", 64},
        {"SIGRTMIN+31", SIGTERM}, {"RTMIN-1", SIGTERM},
        {"RTMIN3", SIGTERM},      {"RTMIN+", SIGTERM},
        {"RTMAX+1", SIGTERM},     {"0", SIGTERM},
        {"65", SIGTERM},          {"-9", SIGTERM},
        {"SIGNOTHING", SIGTERM},  {"9x", SIGTERM},
        {"SIGABRT", SIGABRT},     {"SIG", SIGTERM},
    };
    for (size_t i = 0; i < GT_ARRAY_LEN(table); i++) {
        assert_int_equal(stop_signal(table[i].said), table[i].number);
    }
}

GT_RUN(GT_CASE(what_images_say))
