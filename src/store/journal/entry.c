#include "store/journal/journal_priv.h"
#include "store/record/varint.h"

#include "lib/base/table.h"

enum { CHECKSUM = 8 };

/* A fixed seed: the checksum guards against damage, not against an enemy with the file in hand. */
static uint64_t checksum(const char *p, size_t n)
{
    return gt_hash(p, n, 0x6a6f75726e616c31u);
}

static void add_checksum(struct gt_buf *to)
{
    uint64_t sum = checksum(to->p + CHECKSUM, to->n - CHECKSUM);
    for (int i = 0; i < CHECKSUM; i++) {
        to->p[i] = (char)(sum >> (8 * i));
    }
}

static bool take_checked(struct gt_str *bytes)
{
    if (bytes->n < CHECKSUM) {
        return false;
    }
    uint64_t sum = 0;
    for (int i = 0; i < CHECKSUM; i++) {
        sum |= (uint64_t)(unsigned char)bytes->p[i] << (8 * i);
    }
    *bytes = gt_str_n(bytes->p + CHECKSUM, bytes->n - CHECKSUM);
    return sum == checksum(bytes->p, bytes->n);
}

/* At most so much more than the texts themselves. */
enum { NUMBERS = CHECKSUM + 7 * VARINT_MAX, NUMBERS_OF_A_WRITE = 2 * VARINT_MAX + 1 };

static size_t encoded_size(const struct journal_entry *e)
{
    size_t n = NUMBERS + e->principal.n + e->label.n + e->input.n;
    for (size_t i = 0; i < e->n_writes; i++) {
        n += NUMBERS_OF_A_WRITE + e->writes[i].key.n + e->writes[i].value.n;
    }
    return n;
}

void journal_encode(const struct journal_entry *e, struct gt_buf *to)
{
    gt_buf_reserve(to, encoded_size(e)); /* one piece of memory, not one after the other */
    static const char room[CHECKSUM];
    gt_buf_add(to, room, CHECKSUM);
    varint_put(to, e->revision);
    varint_put(to, (uint64_t)e->time);
    varint_put(to, e->seed);
    varint_put_bytes(to, e->principal);
    varint_put_bytes(to, e->label);
    varint_put_bytes(to, e->input);
    varint_put(to, e->n_writes);
    for (size_t i = 0; i < e->n_writes; i++) {
        const struct journal_write *w = &e->writes[i];
        varint_put_bytes(to, w->key);
        gt_buf_putc(to, w->deleted);
        if (!w->deleted) {
            varint_put_bytes(to, w->value);
        }
    }
    GT_ASSERT(gt_buf_ok(to)); /* GT_LIMIT_TX_BYTES in the core stays far below the maximum */
    add_checksum(to);
}

static bool take_write(struct gt_str *bytes, struct journal_write *w)
{
    if (!varint_take_bytes(bytes, &w->key) || bytes->n < 1) {
        return false;
    }
    w->deleted = bytes->p[0] != 0;
    *bytes = gt_str_n(bytes->p + 1, bytes->n - 1);
    return w->deleted || varint_take_bytes(bytes, &w->value);
}

int journal_decode(struct gt_str bytes, struct gt_arena *arena, struct journal_entry *ret,
                   struct gt_err *err)
{
    uint64_t time, n_writes;
    struct journal_entry e = {0};
    if (!take_checked(&bytes)) {
        return gt_err_set(err, GT_ERR_CORRUPT, "journal entry has a wrong checksum");
    }
    /* A write takes two bytes at least: that bounds what a lying count can allocate. */
    if (!varint_take(&bytes, &e.revision) || !varint_take(&bytes, &time) ||
        !varint_take(&bytes, &e.seed) || !varint_take_bytes(&bytes, &e.principal) ||
        !varint_take_bytes(&bytes, &e.label) || !varint_take_bytes(&bytes, &e.input) ||
        !varint_take(&bytes, &n_writes) || n_writes > bytes.n / 2) {
        return gt_err_set(err, GT_ERR_CORRUPT, "journal entry is cut short");
    }
    e.time = (int64_t)time;
    struct journal_write *writes =
        gt_arena_try_alloc(arena, sizeof *writes * (size_t)GT_MAX(n_writes, 1u));
    if (!writes) {
        return gt_err_set(err, GT_ERR_TOO_LARGE, "journal entry has %llu writes",
                          (unsigned long long)n_writes);
    }
    for (size_t i = 0; i < n_writes; i++) {
        if (!take_write(&bytes, &writes[i])) {
            return gt_err_set(err, GT_ERR_CORRUPT, "journal entry %llu is damaged at write %zu",
                              (unsigned long long)e.revision, i);
        }
    }
    e.writes = writes;
    e.n_writes = (size_t)n_writes;
    *ret = e;
    return 0;
}

void journal_chunk_begin(struct gt_buf *to)
{
    static const char room[CHECKSUM];
    gt_buf_reset(to);
    gt_buf_add(to, room, CHECKSUM);
}

void journal_chunk_add(struct gt_buf *to, const struct journal_item *item)
{
    varint_put(to, item->create);
    varint_put(to, item->modify);
    varint_put_bytes(to, item->key);
    varint_put_bytes(to, item->value);
}

void journal_chunk_end(struct gt_buf *to)
{
    add_checksum(to);
}

int journal_chunk_read(struct gt_str bytes, const struct journal_reader *reader, struct gt_err *err)
{
    if (!take_checked(&bytes)) {
        return gt_err_set(err, GT_ERR_CORRUPT, "snapshot chunk has a wrong checksum");
    }
    while (bytes.n) {
        struct journal_item item;
        if (!varint_take(&bytes, &item.create) || !varint_take(&bytes, &item.modify) ||
            !varint_take_bytes(&bytes, &item.key) || !varint_take_bytes(&bytes, &item.value)) {
            return gt_err_set(err, GT_ERR_CORRUPT, "snapshot chunk is damaged");
        }
        int r = reader->item(reader->arg, &item, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
