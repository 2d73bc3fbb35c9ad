/* gantry-unpack: the sandboxed process that takes one layer apart. See node/image/unpack/worker.h;
 * started by the image store, of no use to people. */
#include "node/image/unpack/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
/* The leak check at the end wants ptrace, which the sandbox has not. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#endif

static int number(const char *text, uint64_t *ret)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || end == text || *end) {
        return -EINVAL;
    }
    *ret = v;
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t bytes, files;
    if (argc == 2 && strcmp(argv[1], "sync") == 0) {
        return syncfs(STDIN_FILENO) < 0 ? 1 : 0; /* for the image store: node/image/sync.c */
    }
    if (argc != 3 || number(argv[1], &bytes) < 0 || number(argv[2], &files) < 0) {
        fprintf(stderr, "gantry-unpack is started by the gantry agent to unpack a layer\n");
        return 2;
    }
    int r = unpack_worker(bytes, files);
    fflush(NULL);
    _exit(r);
}
