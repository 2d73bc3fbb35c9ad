/*
 * Many seeds of the simulator.
 *
 *     sim-ecs [--seeds FIRST COUNT] [--seed N [--trace] [--keep I,J,...]] [--twice]
 *
 * A seed that fails is printed with the command that plays it again, and cut down to a short
 * history, which is printed too. --twice plays each seed twice: both must come to the same hash.
 */
#include "lib/base/mem.h"
#include "shrink.h"
#include "trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *self;
    uint64_t from, n;
    bool trace, twice;
    unsigned *keep;
    size_t n_keep;
};

static void add_up(struct trial_result *total, const struct trial_result *r)
{
    total->acts += r->acts;
    total->events += r->events;
    total->calls += r->calls;
    total->restarts += r->restarts;
    total->nodes_lost += r->nodes_lost;
    total->nodes_held += r->nodes_held;
    total->tasks_started += r->tasks_started;
    total->revision += r->revision;
    total->time_ms += r->time_ms;
}

/* What is left of a failing seed, as it happens, and how to see it again. */
static void explain(const struct options *o, const struct trial_result *first, uint64_t seed)
{
    enum { RUNS = 300 };
    printf("    %s --seed %llu --trace\n", o->self, (unsigned long long)seed);
    if (!first->violated || o->keep) {
        return;
    }
    unsigned *keep = gt_new_array(unsigned, first->acts + 1);
    size_t n;
    shrink(seed, first, RUNS, keep, &n);
    printf("    cut down from %zu acts to %zu:\n    %s --seed %llu --trace --keep ", first->acts, n,
           o->self, (unsigned long long)seed);
    for (size_t i = 0; i < n; i++) {
        printf("%s%u", i ? "," : "", keep[i]);
    }
    printf("%s\n", n ? "" : "none");
    fflush(stdout);
    struct trial_options options = {.seed = seed, .trace = true, .keep = keep, .n_keep = n};
    struct trial_result again;
    struct gt_err err;
    trial_run(&options, &again, &err);
    free(keep);
}

static int run_one(const struct options *o, uint64_t seed, struct trial_result *total)
{
    struct trial_options options = {
        .seed = seed, .trace = o->trace, .keep = o->keep, .n_keep = o->n_keep};
    struct trial_result first, second = {0};
    struct gt_err err;
    int r = trial_run(&options, &first, &err);
    if (r < 0) {
        printf("not ok: %s\n", err.msg);
        explain(o, &first, seed);
        return 1;
    }
    options.trace = false;
    if (o->twice && (trial_run(&options, &second, &err) < 0 || first.hash != second.hash)) {
        printf("not ok: seed %llu went two ways: %016llx, %016llx\n", (unsigned long long)seed,
               (unsigned long long)first.hash, (unsigned long long)second.hash);
        return 1;
    }
    add_up(total, &first);
    return 0;
}

static void parse_keep(struct options *o, const char *text)
{
    o->keep = gt_new_array(unsigned, strlen(text) + 1);
    for (char *end; *text && strcmp(text, "none") != 0; text = *end ? end + 1 : end) {
        o->keep[o->n_keep++] = (unsigned)strtoul(text, &end, 10);
    }
}

static bool parse(struct options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            o->from = strtoull(argv[++i], NULL, 0);
            o->n = 1;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
            o->from = strtoull(argv[++i], NULL, 0);
            o->n = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc) {
            parse_keep(o, argv[++i]);
        } else if (strcmp(argv[i], "--trace") == 0) {
            o->trace = true;
        } else if (strcmp(argv[i], "--twice") == 0) {
            o->twice = true;
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = {.self = argv[0], .from = 1, .n = 100};
    if (!parse(&o, argc, argv)) {
        fprintf(stderr,
                "usage: %s [--seeds FIRST COUNT] [--seed N [--trace] [--keep I,J,...]] "
                "[--twice]\n",
                argv[0]);
        return 2;
    }
    struct trial_result total = {0};
    int failed = 0;
    for (uint64_t seed = o.from; seed < o.from + o.n; seed++) {
        failed += run_one(&o, seed, &total);
    }
    printf("%llu seeds, %d failed; %zu acts, %llu events, %llu calls, %llu revisions, %llu tasks "
           "started, %llu server restarts, %llu nodes lost, %llu held, %.1f hours\n",
           (unsigned long long)o.n, failed, total.acts, (unsigned long long)total.events,
           (unsigned long long)total.calls, (unsigned long long)total.revision,
           (unsigned long long)total.tasks_started, (unsigned long long)total.restarts,
           (unsigned long long)total.nodes_lost, (unsigned long long)total.nodes_held,
           (double)total.time_ms / 3600000);
    free(o.keep);
    return failed != 0;
}
