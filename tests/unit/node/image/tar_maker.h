/* Archives, honest and otherwise, made in memory: ustar headers with whatever a test wants. */
#ifndef TAR_MAKER_H
#define TAR_MAKER_H

#include "lib/base/buf.h"
#include "lib/base/limits.h"

#include <stdio.h>

struct tar_item {
    char type; /* '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' directory, ... */
    const char *name, *link;
    const char *data;
    unsigned mode; /* 0: 0644, or 0755 for a directory */
    unsigned uid, major, minor;
    const char *pax; /* "key=value": put before it as a pax header */
};

static inline void tar_pad(struct gt_buf *b)
{
    static const char zeros[512];
    gt_buf_add(b, zeros, (512 - b->n % 512) % 512);
}

static inline void tar_header(struct gt_buf *b, const struct tar_item *t, size_t size)
{
    char h[513] = {0};
    unsigned mode = t->mode ? t->mode : t->type == '5' ? 0755 : 0644;
    strncpy(h, t->name, 100);
    snprintf(h + 100, 8, "%07o", mode);
    snprintf(h + 108, 8, "%07o", t->uid);
    snprintf(h + 116, 8, "%07o", t->uid);
    snprintf(h + 124, 12, "%011zo", size);
    snprintf(h + 136, 12, "%011o", 1700000000U);
    h[156] = t->type;
    if (t->link) {
        strncpy(h + 157, t->link, 100);
    }
    memcpy(h + 257, "ustar\00000", 8);
    snprintf(h + 329, 8, "%07o", t->major);
    snprintf(h + 337, 8, "%07o", t->minor);
    memset(h + 148, ' ', 8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++) {
        sum += (unsigned char)h[i];
    }
    snprintf(h + 148, 8, "%06o", sum);
    gt_buf_add(b, h, 512);
}

static inline void tar_add(struct gt_buf *b, const struct tar_item *t)
{
    if (t->pax) {
        /* "<length> key=value\n", where the length counts itself */
        size_t n = strlen(t->pax) + 3, digits = 1;
        while (snprintf(NULL, 0, "%zu", n + digits) > (int)digits) {
            digits++;
        }
        gt_auto_free char *text = gt_asprintf("%zu %s\n", n - 1 + digits, t->pax);
        tar_header(b, &(struct tar_item){.type = 'x', .name = "pax"}, strlen(text));
        gt_buf_puts(b, text);
        tar_pad(b);
    }
    size_t n = t->data ? strlen(t->data) : 0;
    tar_header(b, t, n);
    gt_buf_add(b, t->data, n);
    tar_pad(b);
}

static inline void tar_end(struct gt_buf *b)
{
    static const char zeros[1024];
    gt_buf_add(b, zeros, sizeof(zeros));
}

#endif
