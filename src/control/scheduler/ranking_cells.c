/* Which node sits where: the cells of a ranking, and their tournaments before anybody has played.
 */
#include "control/scheduler/ranking_priv.h"
#include "lib/base/mem.h"

/* The values of a node that make its cell, as one text that sorts as they do. */
static struct gt_str cell_key(struct fleet *f, const struct ranking *r, const struct sched_node *n)
{
    gt_buf_reset(&f->key);
    for (size_t k = 0; k < r->n_by; k++) {
        if (ranking_of_attribute(r, k)) {
            gt_buf_str(&f->key, sched_attribute(n, r->by[k].attribute));
            gt_buf_putc(&f->key, '\0');
        }
    }
    return gt_buf_view(&f->key);
}

struct new_cell {
    struct gt_str key; /* in the table */
    uint32_t n, at;
};

static int compare_keys(const void *a, const void *b)
{
    return gt_str_cmp((*(struct new_cell *const *)a)->key, (*(struct new_cell *const *)b)->key);
}

/* Index of the k-th strategy's value of a node among all of them, by `values`. */
static uint32_t value_of(struct gt_table *values, struct gt_str value)
{
    uintptr_t at = (uintptr_t)gt_table_get(values, value);
    if (!at) {
        at = values->count + 1;
        gt_table_put(values, value, (void *)at);
    }
    return (uint32_t)at - 1;
}

static void find_values(const struct fleet *f, struct ranking *r, size_t k)
{
    struct gt_table values;
    gt_table_init(&values);
    for (size_t i = 0; i < r->n_cells; i++) {
        const struct sched_node *n = &f->nodes[r->node_of[r->cells[i].first]]->node;
        r->cells[i].value[k] = value_of(&values, sched_attribute(n, r->by[k].attribute));
    }
    free(r->sums[k]);
    r->sums[k] = gt_new_array(int64_t, values.count + 1);
    gt_table_fini(&values);
    for (uint32_t s = 0; s < r->n; s++) {
        r->sums[k][r->cells[r->cell_of[s]].value[k]] += r->tasks[r->node_of[s]];
    }
}

/* Fills `cells` with the cells of the nodes that may be asked, sorted, and says for each index of
 * the order which cell it is in. */
static void find_cells(struct fleet *f, struct ranking *r, struct gt_table *known,
                       struct new_cell ***ret_sorted, struct new_cell **in)
{
    for (size_t i = 0; i < f->n_order; i++) {
        const struct sched_node *n = fleet_at(f, i);
        in[i] = NULL;
        if (n->external != r->rq.external) {
            continue;
        }
        struct gt_str key = cell_key(f, r, n);
        struct new_cell *c = gt_table_get(known, key);
        if (!c) {
            c = gt_new(struct new_cell);
            gt_table_put(known, key, c);
        }
        c->n++;
        in[i] = c;
        r->n++;
    }
    struct new_cell **sorted = gt_new_array(struct new_cell *, known->count + 1);
    struct gt_table_entry *e;
    for (struct gt_table_iter it = {0}; (e = gt_table_next(known, &it));) {
        struct new_cell *c = e->value;
        c->key = gt_str_n(e->key, e->key_len);
        sorted[r->n_cells++] = c;
    }
    qsort(sorted, r->n_cells, sizeof *sorted, compare_keys);
    *ret_sorted = sorted;
}

void ranking_free_seats(struct ranking *r)
{
    free(r->node_of);
    free(r->cell_of);
    free(r->verdict);
    free(r->score);
    free(r->cells);
    free(r->slots);
}

static void make_seats(struct ranking *r, struct new_cell **sorted)
{
    r->node_of = gt_new_array(uint32_t, r->n + 1);
    r->cell_of = gt_new_array(uint32_t, r->n + 1);
    r->verdict = gt_new_array(uint8_t, r->n + 1);
    r->score = gt_new_array(int64_t, r->n * r->n_by + 1);
    r->cells = gt_new_array(struct cell, r->n_cells + 1);
    size_t n_slots = tournament_slots(r->n_cells);
    for (size_t i = 0; i < r->n_cells; i++) {
        n_slots += tournament_slots(sorted[i]->n);
    }
    struct tournament_slot *slot = r->slots = gt_new_array(struct tournament_slot, n_slots);
    uint32_t first = 0;
    for (uint32_t i = 0; i < r->n_cells; i++) {
        struct cell *c = &r->cells[i];
        c->first = first;
        c->n = sorted[i]->n;
        tournament_init(&c->t, c->n, slot);
        slot += tournament_slots(c->n);
        first += c->n;
        sorted[i]->at = i;
        sorted[i]->n = 0; /* now: how many have been seated */
    }
    tournament_init(&r->top, r->n_cells, slot);
}

void ranking_divide(struct fleet *f, struct ranking *r)
{
    struct gt_table known;
    gt_table_init(&known);
    struct new_cell **sorted, **in = gt_new_array(struct new_cell *, f->n_order + 1);
    ranking_free_seats(r);
    r->n = r->n_cells = 0;
    find_cells(f, r, &known, &sorted, in);
    make_seats(r, sorted);
    memset(r->seat_of, 0xff, r->cap * sizeof *r->seat_of); /* RANKING_NO_SEAT */
    for (size_t i = 0; i < f->n_order; i++) {
        if (in[i]) {
            uint32_t seat = r->cells[in[i]->at].first + in[i]->n++;
            r->node_of[seat] = f->order[i];
            r->cell_of[seat] = in[i]->at;
            r->seat_of[f->order[i]] = seat;
        }
    }
    for (size_t k = 0; k < r->n_by; k++) {
        if (ranking_of_attribute(r, k)) {
            find_values(f, r, k);
        }
    }
    for (size_t i = 0; i < r->n_cells; i++) {
        free(sorted[i]);
    }
    free(sorted);
    free(in);
    gt_table_fini(&known);
}
