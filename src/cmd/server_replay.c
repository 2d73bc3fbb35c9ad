/* gantry replay: runs a journal once more, and says whether the same comes of it. */
#include "cmd/options.h"
#include "cmd/server_tools.h"
#include "control/core/replay.h"
#include "control/server/server.h"
#include "lib/base/build.h"
#include "lib/base/mem.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SAY_MOST = 100 };

static void say(void *arg, const struct core_difference *d)
{
    unsigned *said = arg;
    if (++*said > SAY_MOST) {
        return;
    }
    printf("revision %" PRIu64 ": " GT_STR_FMT "%s" GT_STR_FMT ": %s\n", d->revision,
           GT_STR_ARG(d->label), d->key.n ? ": " : "", GT_STR_ARG(d->key), d->what);
    if (*said == SAY_MOST) {
        puts("... and more");
    }
}

static int report(const struct core_replayed *got)
{
    bool same = got->hash == got->recorded && got->differ == 0;
    printf("revisions %" PRIu64 " to %" PRIu64 ": %" PRIu64 " entries run again, %" PRIu64
           " of other builds applied as they were written\n",
           got->from, got->to, got->executed, got->other_build);
    printf("hash %016" PRIx64 " over %zu keys; the journal's own state has %016" PRIx64 "\n",
           got->hash, got->keys, got->recorded);
    if (got->differ) {
        printf("NOT the same: %" PRIu64 " entries differ\n", got->differ);
    } else {
        puts(same ? "the same, byte for byte" : "NOT the same: the hashes differ");
    }
    return same ? 0 : 1;
}

static int replay(const char *path, struct core_replay_options *options)
{
    struct gt_err err = GT_ERR_INIT;
    struct journal *j = NULL;
    struct core_replayed got;
    struct sqlite_journal_options jo = {.read_only = true};
    int r = sqlite_journal_open(path, &jo, &j, &err);
    r = r < 0 ? r : core_replay(j, server_services(), options, &got, &err);
    journal_close(j);
    if (r < 0) {
        fprintf(stderr, "gantry: %s\n", err.msg);
        return 1;
    }
    return report(&got);
}

int server_replay(int argc, char **argv)
{
    const char *env = getenv("GANTRY_STATE"), *journal = NULL, *to = NULL;
    const char *state = env && env[0] ? env : "/var/lib/gantry";
    unsigned said = 0;
    struct core_replay_options options = {.build = gt_build(), .differs = say, .arg = &said};
    const struct option_def defs[] = {
        {"state", "DIR", "state folder whose journal is run (/var/lib/gantry)", &state, NULL},
        {"journal", "FILE", "a journal, or a copy of one, instead", &journal, NULL},
        {"to", "REVISION", "up to this one (the newest)", &to, NULL},
        {"all", NULL, "run entries of other builds, too, instead of applying them", NULL,
         &options.all},
        {0},
    };
    int r = options_parse(defs, "gantry replay",
                          "Runs the journal once more: each call and each controller's step, on "
                          "the state\nbefore it, must write what is recorded. Changes nothing; "
                          "the server may run.",
                          argc, argv, NULL);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    int64_t last = 0;
    if (to && !number_parse(to, 1, INT64_MAX, &last)) {
        fprintf(stderr, "gantry replay: --to '%s' is not a revision\n", to);
        return 2;
    }
    options.to = (uint64_t)last;
    gt_auto_free char *path =
        journal ? gt_strdup(journal) : gt_asprintf("%s/server/core.db", state);
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "gantry: '%s': %s%s\n", path, strerror(errno),
                errno == EACCES ? "; only root may read it: try sudo" : "");
        return 1;
    }
    return replay(path, &options);
}
