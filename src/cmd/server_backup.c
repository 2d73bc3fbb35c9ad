/* gantry backup, gantry restore. */
#include "cmd/options.h"
#include "cmd/server_tools.h"
#include "control/core/core.h"
#include "control/server/server.h"
#include "lib/base/build.h"
#include "lib/wire/timestamp.h"
#include "store/backup/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const struct gt_err *err)
{
    fprintf(stderr, "gantry: %s\n", err->msg);
    return 1;
}

static const char *default_state(void)
{
    const char *env = getenv("GANTRY_STATE");
    return env && env[0] ? env : "/var/lib/gantry";
}

/* Recovers the copy, as the server will that is started on it. */
static int look(const char *core_db, struct core **ret, struct journal **ret_journal,
                struct gt_err *err)
{
    struct sqlite_journal_options jo = {.read_only = true};
    int r = sqlite_journal_open(core_db, &jo, ret_journal, err);
    return r < 0 ? r : core_new(*ret_journal, server_services(), NULL, ret, err);
}

static int describe(void *arg, const char *core_db, struct gt_buf *to, struct gt_err *err)
{
    uint64_t *revision = arg;
    gt_auto(journal) struct journal *j = NULL;
    gt_auto(core) struct core *core = NULL;
    int r = look(core_db, &core, &j, err);
    if (r < 0) {
        return gt_err_wrap(err, "the copied journal");
    }
    *revision = core_revision(core);
    gt_buf_printf(to, "build %s\nrevision %" PRIu64 "\nhash %016" PRIx64 "\ntime ", gt_build(),
                  core_revision(core), core_hash(core));
    wire_time_put_iso(core_time(core), to);
    gt_buf_putc(to, '\n');
    return 0;
}

int server_backup(int argc, char **argv)
{
    const char *state = default_state(), *base = NULL;
    bool check = false;
    const struct option_def defs[] = {
        {"base", "DIR", "an earlier backup beside it: what it has is linked, not copied", &base,
         NULL},
        {"check", NULL, "make none: look whether DIR is complete and whole", NULL, &check},
        {"state", "DIR", "state folder (/var/lib/gantry)", &state, NULL},
        {0},
    };
    int r = options_parse_mixed(defs, "gantry backup [options] DIR",
                                "Copies the server's state, images and logs into a new folder, "
                                "while it runs.\nThe copy holds all keys.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc != 2) {
        fprintf(stderr, "gantry backup: one folder, please\n");
        return 2;
    }
    struct gt_err err = GT_ERR_INIT;
    struct backup_result got;
    uint64_t revision = 0;
    r = check ? backup_check(argv[1], &got, &err)
              : backup_make(state, argv[1], base, describe, &revision, &got, &err);
    if (r < 0) {
        return fail(&err);
    }
    if (check) {
        printf("complete: %" PRIu64 " files, %" PRIu64 " bytes\n", got.files, got.bytes);
    } else {
        printf("backed up revision %" PRIu64 ": %" PRIu64 " files, %" PRIu64 " bytes, %" PRIu64
               " of them linked\n",
               revision, got.files, got.bytes, got.linked);
    }
    return 0;
}

int server_restore(int argc, char **argv)
{
    const char *state = default_state();
    const struct option_def defs[] = {
        {"state", "DIR", "state folder to restore into (/var/lib/gantry)", &state, NULL},
        {0},
    };
    int r = options_parse_mixed(defs, "gantry restore [options] BACKUP",
                                "Restores a backup into a state folder that has no server yet.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc != 2) {
        fprintf(stderr, "gantry restore: which backup?\n");
        return 2;
    }
    struct gt_err err = GT_ERR_INIT;
    struct backup_result got;
    gt_auto(journal) struct journal *j = NULL;
    gt_auto(core) struct core *core = NULL;
    gt_auto_free char *copied = gt_asprintf("%s/server/core.db", argv[1]);
    r = backup_check(argv[1], &got, &err);
    r = r < 0 ? r : look(copied, &core, &j, &err); /* of a release that this one can read? */
    r = r < 0 ? r : backup_restore(argv[1], state, &got, &err);
    if (r < 0) {
        return fail(&err);
    }
    printf("restored revision %" PRIu64 " into %s\n"
           "Next: gantry up. Nodes that know of more keep what they run as it is until "
           "`gantry adopt`.\n",
           core_revision(core), state);
    return 0;
}
