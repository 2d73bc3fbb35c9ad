#include "control/core/omap.h"

#include "lib/base/mem.h"

enum { FANOUT = 32 };

/* In an inner node everything under child[i] is >= sep[i] and < sep[i+1]; sep[0] stands for "from
 * the very start" and is never looked at. A node in the tree is never empty. */
struct omap_node {
    uint16_t n;
    bool leaf;
    union {
        struct omap_entry *entry[FANOUT];
        struct {
            struct omap_node *child[FANOUT];
            char *sep[FANOUT]; /* a u32 length, then the bytes */
        };
    };
};

struct omap_entry *omap_entry_new(struct gt_str key, struct gt_str value)
{
    struct omap_entry *e = gt_malloc(sizeof *e + key.n + 1 + value.n);
    *e = (struct omap_entry){.refs = 1, .key_len = (uint32_t)key.n, .value_len = (uint32_t)value.n};
    memcpy(e->data, key.p, key.n);
    e->data[key.n] = '\0';
    if (value.n) {
        memcpy(e->data + key.n + 1, value.p, value.n);
    }
    return e;
}

void omap_entry_unref(struct omap_entry *e)
{
    if (e && --e->refs == 0) {
        free(e);
    }
}

static struct gt_str sep_view(const char *sep)
{
    uint32_t n;
    memcpy(&n, sep, sizeof n);
    return gt_str_n(sep + sizeof n, n);
}

/* The shortest text that is > left and <= right. */
static char *sep_between(const struct omap_entry *left, const struct omap_entry *right)
{
    struct gt_str l = omap_key(left), r = omap_key(right);
    uint32_t n = 0;
    while (n < l.n && l.p[n] == r.p[n]) {
        n++;
    }
    n++;
    char *sep = gt_malloc(sizeof n + n);
    memcpy(sep, &n, sizeof n);
    memcpy(sep + sizeof n, r.p, n);
    return sep;
}

/* The first index in a leaf whose key is >= key (or > key). */
static unsigned leaf_find(const struct omap_node *node, struct gt_str key, bool after)
{
    unsigned lo = 0, hi = node->n;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        int c = gt_str_cmp(omap_key(node->entry[mid]), key);
        if (c < 0 || (after && c == 0)) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

/* The child under which key is or would be. */
static unsigned inner_find(const struct omap_node *node, struct gt_str key)
{
    unsigned lo = 1, hi = node->n;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (gt_str_cmp(sep_view(node->sep[mid]), key) <= 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo - 1;
}

static void node_free(struct omap_node *node)
{
    for (unsigned i = 0; i < node->n; i++) {
        if (node->leaf) {
            omap_entry_unref(node->entry[i]);
        } else {
            node_free(node->child[i]);
            free(node->sep[i]);
        }
    }
    free(node);
}

void omap_fini(struct omap *m)
{
    if (m->root) {
        node_free(m->root);
    }
    *m = (struct omap){0};
}

struct omap_entry *omap_get(const struct omap *m, struct gt_str key)
{
    const struct omap_node *node = m->root;
    if (!node) {
        return NULL;
    }
    while (!node->leaf) {
        node = node->child[inner_find(node, key)];
    }
    unsigned i = leaf_find(node, key, false);
    return i < node->n && gt_str_eq(omap_key(node->entry[i]), key) ? node->entry[i] : NULL;
}

struct omap_entry *omap_seek(const struct omap *m, struct gt_str key, bool after)
{
    const struct omap_node *node = m->root;
    const struct omap_node *right = NULL; /* the subtree next to the path, as deep as there is */
    while (node && !node->leaf) {
        unsigned i = inner_find(node, key);
        if (i + 1u < node->n) {
            right = node->child[i + 1];
        }
        node = node->child[i];
    }
    if (!node) {
        return NULL;
    }
    unsigned i = leaf_find(node, key, after);
    if (i < node->n) {
        return node->entry[i];
    }
    while (right && !right->leaf) {
        right = right->child[0];
    }
    return right ? right->entry[0] : NULL;
}

/* key NULL: all that is under the node. False: the walk has ended. */
static bool node_walk(const struct omap_node *node, const struct gt_str *key, bool after,
                      omap_visit *visit, void *arg)
{
    unsigned from = !key ? 0 : node->leaf ? leaf_find(node, *key, after) : inner_find(node, *key);
    for (unsigned i = from; i < node->n; i++) {
        bool on = node->leaf ? visit(arg, node->entry[i])
                             : node_walk(node->child[i], i == from ? key : NULL, after, visit, arg);
        if (!on) {
            return false;
        }
    }
    return true;
}

void omap_walk(const struct omap *m, struct gt_str key, bool after, omap_visit *visit, void *arg)
{
    if (m->root) {
        node_walk(m->root, &key, after, visit, arg);
    }
}

static struct omap_node *split_leaf(struct omap_node *node, char **ret_sep)
{
    struct omap_node *right = gt_new(struct omap_node);
    unsigned keep = node->n / 2;
    right->leaf = true;
    right->n = (uint16_t)(node->n - keep);
    memcpy(right->entry, node->entry + keep, right->n * sizeof(void *));
    node->n = (uint16_t)keep;
    *ret_sep = sep_between(node->entry[keep - 1], right->entry[0]);
    return right;
}

static struct omap_node *split_inner(struct omap_node *node, char **ret_sep)
{
    struct omap_node *right = gt_new(struct omap_node);
    unsigned keep = node->n / 2;
    right->n = (uint16_t)(node->n - keep);
    memcpy(right->child, node->child + keep, right->n * sizeof(void *));
    memcpy(right->sep, node->sep + keep, right->n * sizeof(void *));
    node->n = (uint16_t)keep;
    *ret_sep = gt_steal_ptr(right->sep[0]);
    return right;
}

static void insert_child(struct omap_node *node, unsigned at, struct omap_node *child, char *sep)
{
    memmove(node->child + at + 1, node->child + at, (node->n - at) * sizeof(void *));
    memmove(node->sep + at + 1, node->sep + at, (node->n - at) * sizeof(void *));
    node->child[at] = child;
    node->sep[at] = sep;
    node->n++;
}

/* Returns the new right neighbour when the node had to be split, with the text between them. */
static struct omap_node *insert(struct omap_node *node, struct omap_entry *e,
                                struct omap_entry **ret_old, char **ret_sep)
{
    if (node->leaf) {
        unsigned i = leaf_find(node, omap_key(e), false);
        if (i < node->n && gt_str_eq(omap_key(node->entry[i]), omap_key(e))) {
            *ret_old = node->entry[i];
            node->entry[i] = e;
            return NULL;
        }
        memmove(node->entry + i + 1, node->entry + i, (node->n - i) * sizeof(void *));
        node->entry[i] = e;
        node->n++;
        return node->n == FANOUT ? split_leaf(node, ret_sep) : NULL;
    }
    unsigned i = inner_find(node, omap_key(e));
    char *sep = NULL;
    struct omap_node *right = insert(node->child[i], e, ret_old, &sep);
    if (!right) {
        return NULL;
    }
    insert_child(node, i + 1, right, sep);
    return node->n == FANOUT ? split_inner(node, ret_sep) : NULL;
}

struct omap_entry *omap_put(struct omap *m, struct omap_entry *e)
{
    if (!m->root) {
        m->root = gt_new(struct omap_node);
        m->root->leaf = true;
    }
    struct omap_entry *old = NULL;
    char *sep = NULL;
    struct omap_node *right = insert(m->root, e, &old, &sep);
    if (right) {
        struct omap_node *root = gt_new(struct omap_node);
        root->n = 2;
        root->child[0] = m->root;
        root->child[1] = right;
        root->sep[1] = sep;
        m->root = root;
    }
    m->count += !old;
    return old;
}

/* Takes the entry out; the caller looks whether the node has become empty. */
static struct omap_entry *take_out(struct omap_node *node, struct gt_str key)
{
    if (node->leaf) {
        unsigned i = leaf_find(node, key, false);
        if (i == node->n || !gt_str_eq(omap_key(node->entry[i]), key)) {
            return NULL;
        }
        struct omap_entry *e = node->entry[i];
        node->n--;
        memmove(node->entry + i, node->entry + i + 1, (node->n - i) * sizeof(void *));
        return e;
    }
    unsigned i = inner_find(node, key);
    struct omap_entry *e = take_out(node->child[i], key);
    if (e && node->child[i]->n == 0) {
        free(node->child[i]);
        free(node->sep[i]);
        node->n--;
        memmove(node->child + i, node->child + i + 1, (node->n - i) * sizeof(void *));
        memmove(node->sep + i, node->sep + i + 1, (node->n - i) * sizeof(void *));
    }
    return e;
}

struct omap_entry *omap_del(struct omap *m, struct gt_str key)
{
    struct omap_entry *e = m->root ? take_out(m->root, key) : NULL;
    if (!e) {
        return NULL;
    }
    m->count--;
    while (m->root && (m->root->n == 0 || (!m->root->leaf && m->root->n == 1))) {
        struct omap_node *only = m->root->n ? m->root->child[0] : NULL;
        if (only) {
            free(m->root->sep[0]);
        }
        free(m->root);
        m->root = only;
    }
    return e;
}
