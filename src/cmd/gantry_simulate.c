/* gantry-simulate, which `gantry simulate` executes: plays a scenario and says what comes of it. */
#include "cmd/gantry/cli.h"
#include "control/simulate/play.h"
#include "control/simulate/report.h"
#include "lib/base/file.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

struct options {
    const char *format, *svg, *seed, *repeat;
};

static int fail(const struct gt_err *err)
{
    fprintf(stderr, "gantry simulate: %s\n", err->msg);
    return 1;
}

/* Of an option: a whole number in bounds. */
static bool number(const char *option, const char *text, uint64_t low, uint64_t high, uint64_t *ret)
{
    char *end;
    errno = 0;
    *ret = strtoull(text, &end, 10);
    if (errno || *end || text[0] < '0' || text[0] > '9' || *ret < low || *ret > high) {
        fprintf(stderr, "gantry simulate: --%s must be a whole number, %llu to %llu, not '%s'\n",
                option, (unsigned long long)low, (unsigned long long)high, text);
        return false;
    }
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

static struct scenario *load(const char *path, struct gt_arena *a, struct gt_err *err)
{
    struct gt_buf text = GT_BUF_INIT(GT_LIMIT_SCENARIO);
    struct gt_arena *keep = a;
    int r = gt_streq(path, "-") ? gt_file_read(AT_FDCWD, "/dev/stdin", &text, err)
                                : gt_file_read(AT_FDCWD, path, &text, err);
    struct scenario *s =
        r < 0 ? NULL : scenario_read(path, gt_str(gt_arena_str(keep, gt_buf_view(&text))), a, err);
    gt_buf_fini(&text);
    return s;
}

static int write_svg(const char *path, const struct outcome *o, struct gt_err *err)
{
    gt_auto_buf struct gt_buf b = GT_BUF_INIT(REPORT_MAX);
    report_svg(o, &b);
    gt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int r = fd < 0 ? -errno : gt_write_full(fd, b.p, b.n);
    return r < 0 ? gt_err_errno(err, -r, "write '%s'", path) : 0;
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
    if (!gt_buf_ok(&b)) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "the report is longer than %lu bytes", REPORT_MAX);
    }
    int r = gt_write_full(STDOUT_FILENO, b.p, b.n);
    if (r < 0) {
        return gt_err_errno(err, -r, "write the report");
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
    gt_arena_init(&outcomes, 8 * GT_GIB);
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

int main(int argc, char **argv)
{
    gt_log_init("gantry simulate");
    struct options o = {.format = "table"};
    const struct option_def defs[] = {
        {"format", "table|json", "how to say what came of it; default: table", &o.format, NULL},
        {"svg", "FILE", "write a plot of the first seed there", &o.svg, NULL},
        {"seed", "N", "the first seed, instead of the scenario's", &o.seed, NULL},
        {"repeat", "N", "how many seeds, instead of the scenario's", &o.repeat, NULL},
        {0},
    };
    struct gt_err err = GT_ERR_INIT;
    struct gt_arena a;
    int r = options_parse_mixed(defs, "gantry simulate SCENARIO",
                                "Plays a scenario on the scheduler and says what comes of it.",
                                &argc, argv);
    if (r != 0) {
        return r < 0 ? 0 : r;
    }
    if (argc != 2) {
        fprintf(stderr, "gantry simulate: name one scenario; '-' is standard input\n");
        return 2;
    }
    gt_arena_init(&a, 4 * GT_LIMIT_API_ARENA);
    struct scenario *s = load(argv[1], &a, &err);
    if (!s) {
        r = fail(&err);
    } else if (!apply(&o, s)) {
        r = 2;
    } else {
        r = play(&o, s, &a, &err) < 0 ? fail(&err) : 0;
    }
    gt_arena_fini(&a);
    return r;
}
