/* kill -9 at any moment: a child appends and says on a pipe what it was told is durable; it is
 * killed, and all of that must be there, without a hole. With snapshots and forgetting going on. */
#include "gt_test.h"

#include "lib/base/file.h"
#include "lib/base/mem.h"
#include "lib/base/rand.h"
#include "store/journal/journal.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 25, KEYS = 2000 };

static char dir[64], path[96];
static uint64_t last;

static int on_start(void *arg, uint64_t revision, int64_t time, struct gt_err *err)
{
    last = revision;
    return 0;
}

static int on_item(void *arg, const struct journal_item *item, struct gt_err *err)
{
    return 0;
}

static int on_entry(void *arg, const struct journal_entry *e, struct gt_err *err)
{
    if (e->revision != last + 1) {
        return gt_err_set(err, GT_ERR_CORRUPT, "a hole before %llu",
                          (unsigned long long)e->revision);
    }
    last = e->revision;
    return 0;
}

static struct journal *open_it(void)
{
    struct journal *j = NULL;
    struct gt_err err;
    struct journal_reader reader = {on_start, on_item, on_entry, NULL};
    gt_assert_ok(sqlite_journal_open(path, NULL, &j, &err), err);
    gt_assert_ok(journal_recover(j, &reader, &err), err);
    return j;
}

static void tell(void *arg, uint64_t revision)
{
    if (write(*(int *)arg, &revision, sizeof revision) != sizeof revision) {
        _exit(3);
    }
}

static size_t next_key;
static bool snapshot_next(void *arg, struct journal_item *item)
{
    static char key[32], value[400];
    if (next_key == KEYS) {
        return false;
    }
    snprintf(key, sizeof key, "%08zu", next_key++);
    *item = (struct journal_item){gt_str(key), gt_str_n(value, sizeof value), 1, 1};
    return true;
}

static void snapshot_done(void *arg, const struct gt_err *err)
{
}

static void child(int fd)
{
    static char value[1500];
    struct journal *j = open_it();
    journal_listen(j, &(struct journal_events){.on_durable = tell, .arg = &fd});
    for (uint64_t rev = last + 1;; rev++) {
        struct journal_write w = {.key = GT_STR_LIT("k"), .value = gt_str_n(value, sizeof value)};
        journal_append(j, &(struct journal_entry){.revision = rev, .writes = &w, .n_writes = 1});
        if (rev % 10 == 0 && journal_flush(j, NULL) < 0) {
            _exit(4);
        }
        if (rev % 200 == 0) {
            journal_cancel_snapshot(j);
            next_key = 0;
            journal_snapshot(
                j, &(struct journal_snapshot){
                       .revision = rev, .time = 1, .next = snapshot_next, .done = snapshot_done});
            journal_forget(j, rev, rev);
        }
    }
}

GT_TEST(nothing_told_is_lost)
{
    strcpy(dir, "/tmp/gt-kill-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/core.db", dir);
    struct gt_prng rng = {gt_rand_u64()};
    uint64_t told = 0;
    for (int i = 0; i < KILLS; i++) {
        int fds[2];
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(fds[0]);
            child(fds[1]);
        }
        close(fds[1]);
        usleep((useconds_t)(3000 + gt_prng_below(&rng, 40000)));
        kill(pid, SIGKILL);
        uint64_t revision;
        while (gt_read_full(fds[0], &revision, sizeof revision) == sizeof revision) {
            told = revision;
        }
        close(fds[0]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        journal_close(open_it());
        assert_true(last >= told);
    }
    assert_true(told > 0);
    gt_remove_tree(AT_FDCWD, dir, NULL);
}

GT_RUN(GT_CASE(nothing_told_is_lost))
