/* A journal file that is damaged in any way is refused or read, never believed blindly: opens and
 * recovers from the input as a file. The corpus holds a small real journal; read only, so that the
 * pages that SQLite sees are the input's. */
#include "lib/base/mem.h"
#include "store/journal/journal.h"

#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static int on_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    return 0;
}

static int on_item(void *arg, const struct journal_item *item, struct gt_err *err)
{
    return 0;
}

static int on_entry(void *arg, const struct journal_entry *entry, struct gt_err *err)
{
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/fuzz-journal-%d.db", (int)getpid());
    FILE *f = fopen(path, "w");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0) {
        abort();
    }
    struct journal *j = NULL;
    struct gt_err err;
    struct sqlite_journal_options options = {.read_only = true};
    if (sqlite_journal_open(path, &options, &j, &err) == 0) {
        struct journal_reader reader = {on_start, on_item, on_entry, NULL};
        (void)journal_recover(j, &reader, &err);
        journal_close(j);
    }
    static const char *const suffix[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < GT_ARRAY_LEN(suffix); i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", path, suffix[i]);
        unlink(name);
    }
    return 0;
}
