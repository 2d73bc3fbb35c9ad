#include "lib/wire/sigv4_priv.h"

#include "lib/base/hex.h"
#include "lib/base/mem.h"
#include "lib/base/table.h"

#include <pthread.h>

/* A handful of keys in a few regions and services on two days; when it is full it starts anew. */
enum { MAX_KEYS = 4096 };

struct entry {
    unsigned char key[GT_SHA256_LEN];
    unsigned char secret[GT_SHA256_LEN]; /* its hash: a changed secret makes a new entry */
};

struct sigv4_keys {
    pthread_mutex_t lock;
    struct gt_table table;
};

struct sigv4_keys *sigv4_keys_new(void)
{
    struct sigv4_keys *k = gt_new(struct sigv4_keys);
    pthread_mutex_init(&k->lock, NULL);
    gt_table_init(&k->table);
    return k;
}

static void drop_all(struct sigv4_keys *k)
{
    struct gt_table_iter it = {0};
    for (struct gt_table_entry *e; (e = gt_table_next(&k->table, &it));) {
        gt_wipe(e->value, sizeof(struct entry));
        free(e->value);
    }
    gt_table_fini(&k->table);
}

void sigv4_keys_free(struct sigv4_keys *k)
{
    if (k) {
        drop_all(k);
        pthread_mutex_destroy(&k->lock);
        free(k);
    }
}

static void derive(struct gt_str secret, struct gt_str date, struct gt_str region,
                   struct gt_str service, unsigned char out[static GT_SHA256_LEN])
{
    gt_auto_buf struct gt_buf first = GT_BUF_INIT(4096);
    gt_buf_puts(&first, "AWS4");
    gt_buf_str(&first, secret);
    gt_hmac_sha256(first.p, first.n, date.p, date.n, out);
    gt_hmac_sha256(out, GT_SHA256_LEN, region.p, region.n, out);
    gt_hmac_sha256(out, GT_SHA256_LEN, service.p, service.n, out);
    gt_hmac_sha256(out, GT_SHA256_LEN, "aws4_request", 12, out);
    gt_wipe(first.p, first.n);
}

void sigv4_signing_key(struct sigv4_keys *keys, struct gt_str secret, struct gt_str key_id,
                       struct gt_str date, struct gt_str region, struct gt_str service,
                       unsigned char out[static GT_SHA256_LEN])
{
    char text[300];
    unsigned char hash[GT_SHA256_LEN];
    const struct gt_str slash = GT_STR_LIT("/");
    const struct gt_str parts[] = {key_id, slash, date, slash, region, slash, service};
    struct gt_str name = gt_str_concat(parts, GT_ARRAY_LEN(parts), text, sizeof(text));

    if (!keys || !name.p) {
        derive(secret, date, region, service, out);
        return;
    }
    gt_sha256(secret.p, secret.n, hash);
    pthread_mutex_lock(&keys->lock);
    struct entry *e = gt_table_get(&keys->table, name);
    if (!e || !gt_const_eq(e->secret, hash, sizeof(hash))) {
        if (keys->table.count >= MAX_KEYS) {
            drop_all(keys);
            gt_table_init(&keys->table);
            e = NULL;
        }
        if (!e) {
            e = gt_new(struct entry);
            gt_table_put(&keys->table, name, e);
        }
        derive(secret, date, region, service, e->key);
        memcpy(e->secret, hash, sizeof(hash));
    }
    memcpy(out, e->key, GT_SHA256_LEN);
    pthread_mutex_unlock(&keys->lock);
}

void sigv4_signature_hex(const unsigned char key[static GT_SHA256_LEN], struct gt_str amz_date,
                         struct gt_str date, struct gt_str region, struct gt_str service,
                         struct gt_str canonical, char out[static GT_SHA256_HEX])
{
    char text[512], hash[GT_SHA256_HEX];
    unsigned char mac[GT_SHA256_LEN];

    gt_sha256_hex(canonical.p, canonical.n, hash);
    const struct gt_str slash = GT_STR_LIT("/"), line = GT_STR_LIT("\n");
    const struct gt_str parts[] = {GT_STR_LIT(SIGV4_ALGORITHM),
                                   line,
                                   amz_date,
                                   line,
                                   date,
                                   slash,
                                   region,
                                   slash,
                                   service,
                                   slash,
                                   GT_STR_LIT("aws4_request"),
                                   line,
                                   gt_str(hash)};
    struct gt_str all = gt_str_concat(parts, GT_ARRAY_LEN(parts), text, sizeof(text));
    GT_ASSERT(all.p); /* region and service were capped when parsed */
    gt_hmac_sha256(key, GT_SHA256_LEN, all.p, all.n, mac);
    gt_hex_encode(mac, sizeof(mac), out);
}
