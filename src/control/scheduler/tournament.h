/*
 * A tournament: the best of n contestants, kept in a tree of matches, so that a change of one
 * contestant costs log n matches. Contestants are numbers; what makes one better than another is
 * the caller's, who says when a contestant has changed. One can stand for several that are equal
 * among each other (its ties); all that tie for the best can be counted and told apart by rank, in
 * the order of their numbers.
 */
#ifndef GT_CONTROL_SCHEDULER_TOURNAMENT_H
#define GT_CONTROL_SCHEDULER_TOURNAMENT_H

#include <stddef.h>
#include <stdint.h>

/* < 0: a is better; 0: they tie. */
typedef int tournament_compare(const void *arg, uint32_t a, uint32_t b);

struct tournament_slot {
    uint32_t best, ties; /* ties 0: nobody is here */
};
struct tournament {
    size_t size;                  /* leaves: a power of two */
    struct tournament_slot *slot; /* 2 * size of the caller's, zeroed; [1] is the root */
};

/* How many slots n contestants need. */
size_t tournament_slots(size_t n);
void tournament_init(struct tournament *t, size_t n, struct tournament_slot *slots);

/* Contestant i is there as `ties` equal ones, or (0) is not; the matches come later. */
void tournament_seat(struct tournament *t, uint32_t i, uint32_t ties);
void tournament_play(struct tournament *t, tournament_compare *compare, const void *arg);
/* Contestant i alone has changed. */
void tournament_set(struct tournament *t, uint32_t i, uint32_t ties, tournament_compare *compare,
                    const void *arg);

/* A best one, and how many tie with it; ties 0: there is none. */
struct tournament_slot tournament_best(const struct tournament *t);
/* Of those that tie for the best the one in which rank *rank lies; *rank becomes the rank among its
 * own ties. */
uint32_t tournament_pick(const struct tournament *t, uint32_t *rank, tournament_compare *compare,
                         const void *arg);

#endif
