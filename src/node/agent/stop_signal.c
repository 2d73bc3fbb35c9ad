#include "lib/base/mem.h"
#include "node/agent/task.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The kernel's and musl's range; glibc keeps the first two of it to itself. Programs that speak of
 * SIGRTMIN+3 (systemd) mean glibc's. */
enum { RTMIN = 34, RTMAX = 64 };

static int real_time(const char *s)
{
    bool from_min = strncasecmp(s, "RTMIN", 5) == 0, from_max = strncasecmp(s, "RTMAX", 5) == 0;
    char *end;
    if (!from_min && !from_max) {
        return 0;
    }
    long n = s[5] ? strtol(s + 5, &end, 10) : 0;
    if (s[5] && (*end || s[5] != (from_min ? '+' : '-'))) {
        return 0;
    }
    n += from_min ? RTMIN : RTMAX;
    return n >= RTMIN && n <= RTMAX ? (int)n : 0;
}

int stop_signal(const char *said)
{
    static const struct {
        const char *name;
        int number;
    } table[] = {
        {"ABRT", SIGABRT}, {"ALRM", SIGALRM},     {"BUS", SIGBUS},     {"CHLD", SIGCHLD},
        {"CONT", SIGCONT}, {"FPE", SIGFPE},       {"HUP", SIGHUP},     {"ILL", SIGILL},
        {"INT", SIGINT},   {"IO", SIGIO},         {"KILL", SIGKILL},   {"PIPE", SIGPIPE},
        {"PROF", SIGPROF}, {"PWR", SIGPWR},       {"QUIT", SIGQUIT},   {"SEGV", SIGSEGV},
        {"STOP", SIGSTOP}, {"SYS", SIGSYS},       {"TERM", SIGTERM},   {"TRAP", SIGTRAP},
        {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},     {"TTOU", SIGTTOU},   {"URG", SIGURG},
        {"USR1", SIGUSR1}, {"USR2", SIGUSR2},     {"WINCH", SIGWINCH}, {"XCPU", SIGXCPU},
        {"XFSZ", SIGXFSZ}, {"VTALRM", SIGVTALRM},
    };
    const char *s = said ? said : "";
    char *end;
    long n = strtol(s, &end, 10);
    if (*s && !*end) {
        return n > 0 && n <= RTMAX ? (int)n : SIGTERM;
    }
    s += strncasecmp(s, "SIG", 3) == 0 ? 3 : 0;
    for (size_t i = 0; i < GT_ARRAY_LEN(table); i++) {
        if (strcasecmp(s, table[i].name) == 0) {
            return table[i].number;
        }
    }
    n = real_time(s);
    return n ? (int)n : SIGTERM;
}
