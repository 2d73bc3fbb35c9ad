/*
 * What the journal's group commit gives by itself: `depth` writers, each with one entry of `bytes`
 * (as it is stored, with all that goes with it) under way at a time, for `seconds`. The figure that
 * durable API calls are held against. With `apart` ms between an entry and the next, as far apart
 * as starts of containers are measured: threads and disk are at rest then, and wake up slower.
 *
 *     journal-floor DIR [seconds [bytes [depth [apart]]]]
 *
 * prints a line for each depth, or for the one that is given: entries a second, time to durability
 * (median, p99), commits.
 */
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "store/journal/journal.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { MAX_SAMPLES = 2000000, AROUND_VALUE = 64 }; /* bytes: checksum, numbers, the key */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static uint64_t durable;
static int64_t *appended_at; /* by revision modulo MAX_SAMPLES */
static int64_t *samples;
static size_t n_samples;

static void on_durable(void *arg, uint64_t revision)
{
    int64_t now = gt_clock_mono_ns();
    pthread_mutex_lock(&lock);
    for (uint64_t r = durable + 1; r <= revision && n_samples < MAX_SAMPLES; r++) {
        samples[n_samples++] = now - appended_at[r % MAX_SAMPLES];
    }
    durable = revision;
    pthread_cond_signal(&moved);
    pthread_mutex_unlock(&lock);
}

static int on_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    return 0;
}

static int on_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    return 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void run(const char *dir, unsigned depth, double seconds, size_t bytes, unsigned apart_ms)
{
    gt_auto_free char *path = gt_asprintf("%s/floor-%u.db", dir, depth);
    struct journal *j;
    struct gt_err err;
    struct journal_reader reader = {.start = on_start, .entry = on_entry};
    if (sqlite_journal_open(path, NULL, &j, &err) < 0 || journal_recover(j, &reader, &err) < 0) {
        fprintf(stderr, "journal-floor: %s\n", err.msg);
        exit(1);
    }
    journal_listen(j, &(struct journal_events){.on_durable = on_durable});
    bytes = bytes > AROUND_VALUE ? bytes - AROUND_VALUE : 1;
    gt_auto_free char *value = gt_calloc(1, bytes);
    struct journal_write w = {.key = GT_STR_LIT("000000000000/us-east-1/ecs/task/default/x"),
                              .value = gt_str_n(value, bytes)};
    durable = n_samples = 0;
    uint64_t revision = 0;
    int64_t start = gt_clock_mono_ns(), end = start + (int64_t)(seconds * 1e9);
    while (gt_clock_mono_ns() < end) {
        pthread_mutex_lock(&lock);
        while (revision - durable >= depth) {
            pthread_cond_wait(&moved, &lock);
        }
        uint64_t room = depth - (revision - durable);
        pthread_mutex_unlock(&lock);
        usleep(apart_ms * 1000);
        while (room--) {
            revision++;
            appended_at[revision % MAX_SAMPLES] = gt_clock_mono_ns();
            journal_append(j, &(struct journal_entry){
                                  .revision = revision, .time = 1, .writes = &w, .n_writes = 1});
        }
    }
    journal_flush(j, NULL);
    double took = (double)(gt_clock_mono_ns() - start) / 1e9;
    struct journal_stats stats;
    journal_stats(j, &stats);
    qsort(samples, n_samples, sizeof *samples, by_size);
    printf("depth %4u: %9.0f entries/s, durable after %7.3f ms median, %8.3f ms p99, "
           "%llu commits, longest %.1f ms, %llu bytes an entry\n",
           depth, (double)revision / took, (double)samples[n_samples / 2] / 1e6,
           (double)samples[n_samples * 99 / 100] / 1e6, (unsigned long long)stats.commits,
           (double)stats.longest_us / 1e3,
           (unsigned long long)(stats.bytes / GT_MAX(stats.entries, 1u)));
    journal_close(j);
    unlink(path);
    gt_auto_free char *lock_file = gt_asprintf("%s.lock", path);
    unlink(lock_file);
}

int main(int argc, char **argv)
{
    static const unsigned depths[] = {1, 8, 64, 100, 1000};
    if (argc < 2) {
        fprintf(stderr, "usage: %s DIR [SECONDS [BYTES [DEPTH [APART]]]]\n", argv[0]);
        return 2;
    }
    appended_at = gt_new_array(int64_t, MAX_SAMPLES);
    samples = gt_new_array(int64_t, MAX_SAMPLES);
    unsigned only = argc > 4 ? (unsigned)atoi(argv[4]) : 0;
    for (size_t i = 0; i < (only ? 1 : GT_ARRAY_LEN(depths)); i++) {
        run(argv[1], only ? only : depths[i], argc > 2 ? atof(argv[2]) : 3,
            argc > 3 ? (size_t)atol(argv[3]) : 1500, argc > 5 ? (unsigned)atoi(argv[5]) : 0);
    }
    free(samples);
    free(appended_at);
    return 0;
}
