/*
 * What one kind of request thinks of the nodes of a fleet.
 *
 * The nodes are divided into cells: those that have the same values of all attributes that the
 * request spreads over. Within a cell such a strategy makes no difference, so each cell has a
 * tournament by the other strategies; the best of each cell meet in a tournament by all of them. A
 * node that changes takes part in log(cell) matches anew, and its cell in log(cells).
 *
 * What is kept by node (index in the fleet) outlives changes of the cells; what is kept by seat (a
 * node's place in its cell, all cells one after the other) is made anew with them.
 */
#include "control/scheduler/ranking_priv.h"
#include "lib/base/limits.h"
#include "lib/base/mem.h"

/* One node of so many has changed: to look at all of them costs less than to play one by one. */
enum { REPLAY_SHARE = 16 };

/* ---- who is better */

struct cell_matches {
    const struct ranking *r;
    uint32_t first;
};

/* Two seats of a cell, counted from its first: where they spread over attributes they are equal. */
static int compare_seats(const void *arg, uint32_t a, uint32_t b)
{
    const struct cell_matches *m = arg;
    const struct ranking *r = m->r;
    const int64_t *x = r->score + (m->first + a) * r->n_by,
                  *y = r->score + (m->first + b) * r->n_by;
    for (size_t k = 0; k < r->n_by; k++) {
        if (x[k] != y[k]) {
            return x[k] < y[k] ? -1 : 1;
        }
    }
    return 0;
}

static int64_t cell_score(const struct ranking *r, const struct cell *c, size_t k)
{
    if (ranking_of_attribute(r, k)) {
        return r->sums[k][c->value[k]];
    }
    return r->score[(c->first + tournament_best(&c->t).best) * r->n_by + k];
}

static int compare_cells(const void *arg, uint32_t a, uint32_t b)
{
    const struct ranking *r = arg;
    for (size_t k = 0; k < r->n_by; k++) {
        int64_t x = cell_score(r, &r->cells[a], k), y = cell_score(r, &r->cells[b], k);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return 0;
}

/* ---- seats */

static void look_at(const struct fleet *f, struct ranking *r, uint32_t seat)
{
    uint32_t at = r->node_of[seat];
    const struct fleet_node *n = f->nodes[at];
    if (r->version[at] != n->version) {
        r->version[at] = n->version;
        r->kind[at] = (uint8_t)sched_fits_kind(&n->node, &r->rq);
    }
    r->verdict[seat] = r->kind[at];
    if (r->kind[at] == SCHED_FITS) {
        r->verdict[seat] = (uint8_t)sched_fits_load(&n->node, &r->rq, r->tasks[at]);
    }
    int64_t *score = r->score + seat * r->n_by;
    for (size_t k = 0; k < r->n_by; k++) {
        switch (r->by[k].field) {
        case SCHED_BY_ATTRIBUTE: /* of all in its cell */
            score[k] = 0;
            break;
        case SCHED_BY_INSTANCE:
            score[k] = r->tasks[at];
            break;
        case SCHED_BY_CPU:
            score[k] = n->node.cpu_free;
            break;
        case SCHED_BY_MEMORY:
            score[k] = n->node.memory_free;
            break;
        }
    }
}

static void seat_cell(struct ranking *r, uint32_t at)
{
    tournament_seat(&r->top, at, tournament_best(&r->cells[at].t).ties);
}

static void play_all(const struct fleet *f, struct ranking *r)
{
    for (uint32_t i = 0; i < r->n_cells; i++) {
        struct cell *c = &r->cells[i];
        for (uint32_t k = 0; k < c->n; k++) {
            look_at(f, r, c->first + k);
            tournament_seat(&c->t, k, r->verdict[c->first + k] == SCHED_FITS);
        }
        tournament_play(&c->t, compare_seats, &(struct cell_matches){r, c->first});
        seat_cell(r, i);
    }
    tournament_play(&r->top, compare_cells, r);
}

static void play_one(const struct fleet *f, struct ranking *r, uint32_t seat)
{
    uint32_t at = r->cell_of[seat];
    struct cell *c = &r->cells[at];
    look_at(f, r, seat);
    tournament_set(&c->t, seat - c->first, r->verdict[seat] == SCHED_FITS, compare_seats,
                   &(struct cell_matches){r, c->first});
    if (r->n_attr < 2) {
        tournament_set(&r->top, at, tournament_best(&c->t).ties, compare_cells, r);
    } else {
        seat_cell(r, at); /* a sum may be that of many cells: see follow() */
    }
}

/* ---- following the fleet */

static void *grow(void *old, size_t from, size_t to, size_t size)
{
    char *p = gt_realloc(old, to * size);
    memset(p + from * size, 0, (to - from) * size);
    return p;
}

static void make_room(struct ranking *r, size_t n)
{
    if (n >= r->cap) {
        size_t cap = n + n / 2 + 1;
        r->seat_of = gt_realloc(r->seat_of, cap * sizeof *r->seat_of);
        memset(r->seat_of + r->cap, 0xff, (cap - r->cap) * sizeof *r->seat_of);
        r->version = grow(r->version, r->cap, cap, sizeof *r->version);
        r->tasks = grow(r->tasks, r->cap, cap, sizeof *r->tasks);
        r->kind = grow(r->kind, r->cap, cap, sizeof *r->kind);
        r->cap = cap;
    }
}

static void follow(struct fleet *f, struct ranking *r)
{
    uint64_t behind = f->logged - r->seen;
    make_room(r, f->n_nodes);
    if (r->shape != f->shape) {
        f->ranked -= r->n;
        ranking_divide(f, r);
        f->ranked += r->n;
        play_all(f, r);
    } else if (behind > f->log_cap || behind > r->n / REPLAY_SHARE + 1) {
        play_all(f, r);
    } else {
        for (uint64_t i = r->seen; i < f->logged; i++) {
            uint32_t seat = r->seat_of[f->log[i & (f->log_cap - 1)]];
            if (seat != RANKING_NO_SEAT) {
                play_one(f, r, seat);
            }
        }
        if (behind && r->n_attr > 1) {
            tournament_play(&r->top, compare_cells, r);
        }
    }
    r->shape = f->shape;
    r->seen = f->synced = f->logged;
}

void rankings_count(struct fleet *f, struct fleet_group *g, uint32_t index, int by)
{
    for (struct gt_list *l = g->rankings.next; l != &g->rankings; l = l->next) {
        struct ranking *r = gt_list_entry(l, struct ranking, of_group);
        make_room(r, f->n_nodes);
        r->tasks[index] = (uint32_t)((int)r->tasks[index] + by);
        uint32_t seat = r->seat_of[index];
        for (size_t k = 0; seat != RANKING_NO_SEAT && k < r->n_by; k++) {
            if (ranking_of_attribute(r, k)) {
                r->sums[k][r->cells[r->cell_of[seat]].value[k]] += by;
            }
        }
    }
}

/* ---- all of them */

static struct ranking *add(struct fleet *f, struct gt_str key, const struct sched_request *rq)
{
    struct ranking *r = gt_new(struct ranking);
    gt_arena_init(&r->arena, 4 * GT_MIB);
    r->key = gt_str_n(gt_arena_str(&r->arena, key), key.n);
    r->group = fleet_group_ref(f, rq->group);
    ranking_keep_request(r, rq);
    make_room(r, f->n_nodes);
    for (size_t i = 0; i < f->n_nodes; i++) {
        r->tasks[i] = f->nodes[i] ? (uint32_t)fleet_group_tasks(f->nodes[i], r->group) : 0;
    }
    r->shape = f->shape - 1; /* never looked at it */
    gt_list_push_back(&r->group->rankings, &r->of_group);
    gt_list_push_back(&f->by_use, &r->by_use);
    gt_table_put(&f->rankings, r->key, r);
    return r;
}

static void drop(struct fleet *f, struct ranking *r)
{
    gt_table_del(&f->rankings, r->key);
    gt_list_remove(&r->by_use);
    gt_list_remove(&r->of_group);
    fleet_group_unref(f, r->group);
    f->ranked -= r->n;
    ranking_free_seats(r);
    for (size_t k = 0; k < RANKING_MAX_BY; k++) {
        free(r->sums[k]);
    }
    free(r->seat_of);
    free(r->version);
    free(r->tasks);
    free(r->kind);
    gt_arena_fini(&r->arena);
    free(r);
}

void rankings_free(struct fleet *f)
{
    while (!gt_list_empty(&f->by_use)) {
        drop(f, gt_list_entry(f->by_use.next, struct ranking, by_use));
    }
}

struct ranking *ranking_of(struct fleet *f, const struct sched_request *rq)
{
    struct gt_str key = ranking_key(&f->key, rq);
    struct ranking *r = gt_table_get(&f->rankings, key);
    r = r ? r : add(f, key, rq);
    gt_list_remove(&r->by_use);
    gt_list_push_back(&f->by_use, &r->by_use);
    follow(f, r);
    while (f->ranked > FLEET_RANKED && f->by_use.next != &r->by_use) {
        drop(f, gt_list_entry(f->by_use.next, struct ranking, by_use));
    }
    return r;
}

int64_t ranking_pick(const struct ranking *r, struct gt_prng *rng)
{
    struct tournament_slot best = tournament_best(&r->top);
    if (!best.ties) {
        return -1;
    }
    uint32_t rank = best.ties > 1 ? (uint32_t)gt_prng_below(rng, best.ties) : 0;
    const struct cell *c = &r->cells[tournament_pick(&r->top, &rank, compare_cells, r)];
    uint32_t seat =
        tournament_pick(&c->t, &rank, compare_seats, &(struct cell_matches){r, c->first});
    return r->node_of[c->first + seat];
}

int64_t ranking_closest(const struct fleet *f, const struct ranking *r, enum sched_refusal *ret)
{
    int64_t best = -1;
    for (uint32_t s = 0; s < r->n; s++) {
        uint32_t at = r->node_of[s];
        bool first = best < 0 || gt_str_cmp(f->nodes[at]->node.id, f->nodes[best]->node.id) < 0;
        if (best < 0 || r->verdict[s] > *ret || (r->verdict[s] == *ret && first)) {
            best = at;
            *ret = r->verdict[s];
        }
    }
    return best;
}
