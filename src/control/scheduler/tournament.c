#include "control/scheduler/tournament.h"

static size_t leaves(size_t n)
{
    size_t size = 1;
    while (size < n) {
        size *= 2;
    }
    return size;
}

size_t tournament_slots(size_t n)
{
    return 2 * leaves(n);
}

void tournament_init(struct tournament *t, size_t n, struct tournament_slot *slots)
{
    t->size = leaves(n);
    t->slot = slots;
}

void tournament_seat(struct tournament *t, uint32_t i, uint32_t ties)
{
    t->slot[t->size + i] = (struct tournament_slot){.best = i, .ties = ties};
}

static struct tournament_slot match(struct tournament_slot a, struct tournament_slot b,
                                    tournament_compare *compare, const void *arg)
{
    if (!a.ties || !b.ties) {
        return a.ties ? a : b;
    }
    int c = compare(arg, a.best, b.best);
    if (c == 0) {
        a.ties += b.ties;
    }
    return c <= 0 ? a : b;
}

void tournament_play(struct tournament *t, tournament_compare *compare, const void *arg)
{
    for (size_t i = t->size - 1; i > 0; i--) {
        t->slot[i] = match(t->slot[2 * i], t->slot[2 * i + 1], compare, arg);
    }
}

void tournament_set(struct tournament *t, uint32_t i, uint32_t ties, tournament_compare *compare,
                    const void *arg)
{
    tournament_seat(t, i, ties);
    for (size_t at = (t->size + i) / 2; at > 0; at /= 2) {
        struct tournament_slot old = t->slot[at];
        struct tournament_slot new = match(t->slot[2 * at], t->slot[2 * at + 1], compare, arg);
        t->slot[at] = new;
        if (new.ties == old.ties &&new.ties &&new.best == old.best &&new.best != i) {
            return; /* those above have not seen i, nor do they now */
        }
    }
}

struct tournament_slot tournament_best(const struct tournament *t)
{
    return t->slot[1];
}

uint32_t tournament_pick(const struct tournament *t, uint32_t *rank, tournament_compare *compare,
                         const void *arg)
{
    size_t at = 1;
    while (at < t->size) {
        struct tournament_slot left = t->slot[2 * at], best = t->slot[at];
        uint32_t tie = left.ties && compare(arg, left.best, best.best) == 0 ? left.ties : 0;
        at = 2 * at + (*rank >= tie);
        *rank -= *rank >= tie ? tie : 0;
    }
    return t->slot[at].best;
}
