#include "cmd/duration.h"

#include <stdlib.h>
#include <string.h>

#define TEN_YEARS ((int64_t)10 * 366 * 86400)

bool duration_parse(const char *text, int64_t *ret)
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    char *rest = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    long long n = strtoll(text, &rest, 10);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(rest, units[i].name) == 0 && n <= TEN_YEARS / units[i].seconds) {
            *ret = (int64_t)n * units[i].seconds;
            return true;
        }
    }
    return false;
}
