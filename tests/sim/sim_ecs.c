/*
 * Many seeds of the simulator, each run twice: both must come to the same hash.
 *
 *     sim-ecs [--seeds FIRST COUNT] [--seed N [--trace]]
 *
 * A seed that fails is printed with the command that plays it again.
 */
#include "control/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_one(const char *self, uint64_t seed, bool trace, struct sim_result *total)
{
    struct sim_options options = {.seed = seed, .trace = trace};
    struct sim_result first, second;
    struct gt_err err;
    int r = sim_run(&options, &first, &err);
    options.trace = false;
    if (r >= 0) {
        r = sim_run(&options, &second, &err);
    }
    if (r < 0) {
        printf("not ok: %s\n    %s --seed %llu --trace\n", err.msg, self, (unsigned long long)seed);
        return 1;
    }
    if (first.hash != second.hash) {
        printf("not ok: seed %llu went two ways: %016llx, %016llx\n", (unsigned long long)seed,
               (unsigned long long)first.hash, (unsigned long long)second.hash);
        return 1;
    }
    total->steps += first.steps;
    total->calls += first.calls;
    total->crashes += first.crashes;
    total->nodes_lost += first.nodes_lost;
    total->pages += first.pages;
    total->losses_seen += first.losses_seen;
    total->tasks_started += first.tasks_started;
    total->revision += first.revision;
    total->time_ms += first.time_ms;
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, n = 200;
    bool trace = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            from = strtoull(argv[++i], NULL, 0);
            n = 1;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 2 < argc) {
            from = strtoull(argv[++i], NULL, 0);
            n = strtoull(argv[++i], NULL, 0);
        } else if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else {
            fprintf(stderr, "usage: %s [--seeds FIRST COUNT] [--seed N [--trace]]\n", argv[0]);
            return 2;
        }
    }
    struct sim_result total = {0};
    int failed = 0;
    for (uint64_t seed = from; seed < from + n; seed++) {
        failed += run_one(argv[0], seed, trace, &total);
    }
    printf(
        "%llu seeds, %d failed; %llu steps, %llu calls, %llu revisions, %llu tasks started, "
        "%llu server crashes, %llu nodes lost (%llu looks half way), %llu polls cut, %.1f hours\n",
        (unsigned long long)n, failed, (unsigned long long)total.steps,
        (unsigned long long)total.calls, (unsigned long long)total.revision,
        (unsigned long long)total.tasks_started, (unsigned long long)total.crashes,
        (unsigned long long)total.nodes_lost, (unsigned long long)total.losses_seen,
        (unsigned long long)total.pages, (double)total.time_ms / 3600000);
    return failed != 0;
}
