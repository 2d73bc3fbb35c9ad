/* gantry-simulate, which `gantry simulate` executes: plays a scenario and says what comes of it. */
#include "cmd/simulate_live.h"
#include "control/simulate/play.h"
#include "control/simulate/report.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct options {
    const char *format, *svg, *seed, *repeat, *cluster, *state;
    bool export;
};

static int fail(const struct gt_err *err)
{
    fprintf(stderr, "gantry simulate: %s\n", err->msg);
    return 1;
}

/* Of an option: a whole number in bounds. */
static bool number(const char *option, const char *text, int64_t low, int64_t high, uint64_t *ret)
{
    int64_t n;
    if (!number_parse(text, low, high, &n)) {
        fprintf(stderr, "gantry simulate: --%s must be a whole number, %lld to %lld, not '%s'\n",
                option, (long long)low, (long long)high, text);
        return false;
    }
    *ret = (uint64_t)n;
    return true;
}

/* What the command line says instead of the scenario. */
static bool apply(const struct options *o, struct scenario *s)
{
    uint64_t repeat = (uint64_t)s->repeat;
    if ((o->seed && !number("seed", o->seed, 0, INT64_MAX, &s->seed)) ||
        (o->repeat && !number("repeat", o->repeat, 1, SCENARIO_REPEAT_MAX, &repeat))) {
        return false;
    }
    s->repeat = (int64_t)repeat;
    if (!gt_streq(o->format, "table") && !gt_streq(o->format, "json")) {
        fprintf(stderr, "gantry simulate: --format is table or json, not '%s'\n", o->format);
        return false;
    }
    return true;
}

/* `start` NULL: the file says all. */
static struct scenario *load(const char *path, const struct scenario *start, struct gt_arena *a,
                             struct gt_err *err)
{
    gt_auto_buf struct gt_buf text = GT_BUF_INIT(GT_LIMIT_SCENARIO);
    const char *from = gt_streq(path, "-") ? "/dev/stdin" : path;
    if (gt_file_read(AT_FDCWD, from, &text, err) < 0) {
        return NULL;
    }
    struct gt_str kept = gt_str_n(gt_arena_str(a, gt_buf_view(&text)), text.n);
    return scenario_read(path, kept, start, a, err);
}

/* All of it, or an error that says what it was to be. */
static int put(int fd, const struct gt_buf *b, const char *what, struct gt_err *err)
{
    if (!gt_buf_ok(b)) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "%s is longer than %lu bytes", what, REPORT_MAX);
    }
    int r = fd < 0 ? -errno : gt_write_full(fd, b->p, b->n);
    return r < 0 ? gt_err_errno(err, -r, "write %s", what) : 0;
}

static int write_svg(const char *path, const struct outcome *o, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(REPORT_MAX);
    gt_auto_free char *what = gt_asprintf("'%s'", path);
    report_svg(o, &b);
    gt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return put(fd, &b, what, err);
}

static int report(const struct options *o, const struct outcome *const *outcomes, size_t n,
                  struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(REPORT_MAX);
    if (gt_streq(o->format, "json")) {
        report_json(outcomes, n, &b);
    } else {
        report_table(outcomes, n, &b);
    }
    int r = put(STDOUT_FILENO, &b, "the report", err);
    if (r < 0) {
        return r;
    }
    return o->svg ? write_svg(o->svg, outcomes[0], err) : 0;
}

/* All seeds, and what came of them. */
static int play(const struct options *o, const struct scenario *s, struct gt_arena *a,
                struct gt_err *err)
{
    struct machines f;
    struct gt_arena outcomes;
    const struct outcome *v[SCENARIO_REPEAT_MAX];
    machines_init(&f, s, a);
    gt_arena_init(&outcomes, 2 * OUTCOMES_MAX);
    int r = 0;
    for (int64_t i = 0; r == 0 && i < s->repeat; i++) {
        v[i] = simulate_play(s, &f, s->seed + (uint64_t)i, &outcomes, err);
        r = v[i] ? 0 : gt_err_code(err);
    }
    r = r < 0 ? r : report(o, v, (size_t)s->repeat, err);
    gt_arena_fini(&outcomes);
    machines_fini(&f);
    return r;
}

static int export(const struct scenario *s, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(REPORT_MAX);
    scenario_write(s, &b);
    return put(STDOUT_FILENO, &b, "the scenario", err);
}

/* path NULL: nothing but what `start` has. */
static int simulate(const struct options *o, const char *path, struct scenario *start)
{
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    int r = 0;
    gt_arena_init(&a, 4 * GT_LIMIT_API_ARENA);
    struct scenario *s = path ? load(path, start, &a, &err) : start;
    if (!s) {
        r = fail(&err);
    } else if (!apply(o, s)) {
        r = 2;
    } else if (o->export ? export(s, &err) < 0
                         : scenario_check(s, &err) < 0 || play(o, s, &a, &err) < 0) {
        r = fail(&err);
    }
    gt_arena_fini(&a);
    return r;
}

static int simulate_cluster(const struct options *o, const char *path)
{
    struct cli c;
    struct scenario *start;
    int r = cli_open(&c, o->state);
    if (r == 0) {
        r = simulate_live(&c, o->cluster, &start);
        r = r ? r : simulate(o, path, start);
        cli_close(&c);
    }
    return r;
}

int main(int argc, char **argv)
{
    struct options o = {.format = "table"};
    const struct option_def defs[] = {
        {"format", "table|json", "how to say what came of it; default: table", &o.format, NULL},
        {"svg", "FILE", "write a plot of the first seed there", &o.svg, NULL},
        {"seed", "N", "the first seed, instead of the scenario's", &o.seed, NULL},
        {"repeat", "N", "how many seeds, instead of the scenario's", &o.repeat, NULL},
        {"from-cluster", "NAME", "begin with what this cluster has now", &o.cluster, NULL},
        {"export", NULL, "print that as a scenario, and play nothing", NULL, &o.export},
        {"state", "DIR", "state folder of the Gantry meant", &o.state, NULL},
        {0},
    };
    gt_log_init("gantry simulate");
    int r = options_parse_mixed(defs, "gantry simulate SCENARIO",
                                "Plays a scenario on the scheduler and says what comes of it.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc > 2 || (argc < 2 && !o.cluster)) {
        fprintf(stderr, "gantry simulate: name one scenario; '-' is standard input\n");
        return 2;
    }
    if (o.export && (!o.cluster || argc > 1)) {
        fprintf(stderr, "gantry simulate: --export goes with --from-cluster, and no scenario\n");
        return 2;
    }
    return o.cluster ? simulate_cluster(&o, argc > 1 ? argv[1] : NULL)
                     : simulate(&o, argv[1], NULL);
}
