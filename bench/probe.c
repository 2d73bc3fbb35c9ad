/* What a benchmark's container runs: says when its first instruction was, then ends or waits.
 *
 *     probe FILE          appends CLOCK_REALTIME in ns to FILE
 *     probe --wait        waits for a signal
 *     probe --lines N     writes N lines of 100 bytes, the last of them "done ..."
 *     probe --lines N FILE GO   the same once GO is there; FILE then has the ns that it took
 *
 * Static, so that loading it is not what is measured. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int lines(long n)
{
    static char block[100 * 640];
    for (long at = 0; at < n;) {
        long here = n - at < 640 ? n - at : 640;
        for (long i = 0; i < here; i++, at++) {
            char *line = block + 100 * i;
            memset(line, 'x', 99);
            line[99] = '\n';
            int w = snprintf(line, 32, "%s %ld", at + 1 == n ? "done" : "line", at);
            line[w] = ' ';
        }
        for (long off = 0; off < 100 * here;) {
            ssize_t w = write(1, block + off, (size_t)(100 * here - off));
            if (w <= 0) {
                return 1;
            }
            off += w;
        }
    }
    return 0;
}

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int append(int fd, int64_t ns)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%" PRId64 "\n", ns);
    return fd < 0 || write(fd, text, (size_t)n) != n;
}

static int timed_lines(long n, const char *file, const char *go)
{
    while (access(go, F_OK) < 0) {
        usleep(1000);
    }
    int64_t begin = now(CLOCK_MONOTONIC);
    int r = lines(n);
    int64_t took = now(CLOCK_MONOTONIC) - begin;
    return r || append(open(file, O_WRONLY | O_CREAT | O_APPEND, 0666), took);
}

int main(int argc, char **argv)
{
    int64_t at = now(CLOCK_REALTIME);
    if (argc > 4 && strcmp(argv[1], "--lines") == 0) {
        return timed_lines(atol(argv[2]), argv[3], argv[4]);
    }
    if (argc > 2 && strcmp(argv[1], "--lines") == 0) {
        return lines(atol(argv[2]));
    }
    if (argc > 1 && strcmp(argv[1], "--wait") == 0) {
        pause();
        return 0;
    }
    return append(argc > 1 ? open(argv[1], O_WRONLY | O_CREAT | O_APPEND, 0666) : 1, at);
}
