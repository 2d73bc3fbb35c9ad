/* A ranking's inside: between ranking.c, ranking_request.c and ranking_cells.c. */
#ifndef GT_CONTROL_SCHEDULER_RANKING_PRIV_H
#define GT_CONTROL_SCHEDULER_RANKING_PRIV_H

#include "control/scheduler/fleet_priv.h"

enum { RANKING_MAX_BY = 5 }; /* strategies of a request */
#define RANKING_NO_SEAT UINT32_MAX

struct cell {
    struct tournament t;
    uint32_t first, n;              /* seats */
    uint32_t value[RANKING_MAX_BY]; /* of the strategy's attribute: index in ranking.sums */
};

struct ranking {
    struct gt_list by_use, of_group;
    struct gt_str key;
    struct gt_arena arena; /* of rq */
    struct sched_request rq;
    struct fleet_group *group;
    const struct sched_strategy *by;
    size_t n_by, n_attr;  /* strategies; those that spread over an attribute */
    uint64_t seen, shape; /* of the fleet: up to where it was followed */

    size_t cap; /* of what is kept by node */
    uint32_t *seat_of, *version, *tasks;
    uint8_t *kind; /* sched_fits_kind() at that version */

    size_t n, n_cells; /* seats */
    uint32_t *node_of, *cell_of;
    uint8_t *verdict;
    int64_t *score;                /* n_by for each seat; lower is better */
    int64_t *sums[RANKING_MAX_BY]; /* tasks of the group by value of the strategy's attribute */
    struct cell *cells;
    struct tournament_slot *slots; /* of all cells, then of the top */
    struct tournament top;
};

static inline bool ranking_of_attribute(const struct ranking *r, size_t k)
{
    return r->by[k].field == SCHED_BY_ATTRIBUTE;
}

/* The request as bytes, in `b`: equal ones have equal bytes, others have not. */
struct gt_str ranking_key(struct gt_buf *b, const struct sched_request *rq);
/* A copy of the request into the ranking, whose group is there. */
void ranking_keep_request(struct ranking *r, const struct sched_request *rq);

/* Makes everything by seat anew, for the members that the fleet has now; nobody has played yet. */
void ranking_divide(struct fleet *f, struct ranking *r);
void ranking_free_seats(struct ranking *r);

#endif
