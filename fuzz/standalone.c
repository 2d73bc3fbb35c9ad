/*
 * Replays a corpus through a fuzz target without libFuzzer: each file as it is, then mutations of
 * it from a fixed seed, so that a failure of one run is a failure of every run.
 *     fuzz-NAME DIR|FILE... [-m MUTATIONS]      mutations of each file, default 2000
 */
#include "lib/base/buf.h"
#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "lib/base/table.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { LARGEST_INPUT = 1 << 20, MAX_GROWTH = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long mutations = 2000, runs;

/* An exact copy on the heap, so that the sanitizer sees one byte too many. */
static void run(const void *p, size_t n)
{
    uint8_t *copy = gt_malloc(n ? n : 1);
    if (n) {
        memcpy(copy, p, n);
    }
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    runs++;
}

/* One small change in place; returns the new size. `cap` is room enough for growth. */
static size_t mutate(struct gt_prng *g, uint8_t *p, size_t n, size_t cap)
{
    static const char special[] = "\0\"\\{}[]:,.=&%+-/ \n\xff\x80\xc3\xed\xf4"
                                  "0129aZ";
    size_t at = n ? gt_prng_below(g, n) : 0;

    switch (gt_prng_below(g, 6)) {
    case 0:
        if (n) {
            p[at] ^= (uint8_t)(1u << gt_prng_below(g, 8));
        }
        return n;
    case 1:
        if (n) {
            p[at] = (uint8_t)special[gt_prng_below(g, sizeof(special) - 1)];
        }
        return n;
    case 2: /* cut the end off */
        return at;
    case 3: { /* remove a run */
        size_t len = n ? 1 + gt_prng_below(g, n - at) : 0;
        memmove(p + at, p + at + len, n - at - len);
        return n - len;
    }
    case 4: /* insert a byte */
        if (n < cap) {
            memmove(p + at + 1, p + at, n - at);
            p[at] = (uint8_t)special[gt_prng_below(g, sizeof(special) - 1)];
            return n + 1;
        }
        return n;
    default: { /* repeat a run */
        size_t len = n ? 1 + gt_prng_below(g, GT_MIN(n - at, (size_t)16)) : 0;
        if (n + len <= cap) {
            memmove(p + at + len, p + at, n - at);
            return n + len;
        }
        return n;
    }
    }
}

static void replay(const char *path, struct gt_str input)
{
    struct gt_prng g = {.state = gt_hash(path, strlen(path), 1)};
    size_t cap = input.n + MAX_GROWTH;
    uint8_t *work = gt_malloc(cap);

    run(input.p, input.n);
    for (unsigned long i = 0; i < mutations; i++) {
        size_t n = input.n;
        if (n) {
            memcpy(work, input.p, n);
        }
        for (uint64_t k = 1 + gt_prng_below(&g, 4); k > 0; k--) {
            n = mutate(&g, work, n, cap);
        }
        run(work, n);
    }
    free(work);
}

static int file(const char *dir, const char *name)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(LARGEST_INPUT);
    gt_auto_free char *path = dir ? gt_asprintf("%s/%s", dir, name) : gt_strdup(name);
    struct gt_err err = GT_ERR_INIT;

    if (gt_file_read(AT_FDCWD, path, &text, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    replay(name, gt_buf_view(&text));
    return 0;
}

static int folder(const char *path)
{
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort), bad = n < 0;

    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            bad |= file(path, names[i]->d_name);
        }
        free(names[i]);
    }
    if (n >= 0) {
        free(names);
    }
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (gt_streq(argv[i], "-m") && i + 1 < argc) {
            mutations = strtoul(argv[++i], NULL, 10);
        } else if (stat(argv[i], &st) < 0) {
            perror(argv[i]);
            bad = 1;
        } else {
            bad |= S_ISDIR(st.st_mode) ? folder(argv[i]) : file(NULL, argv[i]);
        }
    }
    printf("%lu runs\n", runs);
    return bad || runs == 0;
}
