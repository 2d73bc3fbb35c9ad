/* An intrusive doubly linked list. A node that is in no list has next == NULL after init/remove. */
#ifndef GT_LIB_BASE_LIST_H
#define GT_LIB_BASE_LIST_H

#include "lib/base/mem.h"

#include <stdbool.h>

struct gt_list {
    struct gt_list *prev, *next;
};

static inline void gt_list_init(struct gt_list *head)
{
    head->prev = head->next = head;
}

static inline bool gt_list_empty(const struct gt_list *head)
{
    return head->next == head;
}

static inline bool gt_list_linked(const struct gt_list *node)
{
    return node->next != NULL;
}

static inline void gt_list_push_back(struct gt_list *head, struct gt_list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

static inline void gt_list_remove(struct gt_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = node->next = NULL;
}

/* Moves all of `from` to the end of `to`. */
static inline void gt_list_splice(struct gt_list *to, struct gt_list *from)
{
    if (!gt_list_empty(from)) {
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        gt_list_init(from);
    }
}

#define gt_list_entry(node, type, member) GT_CONTAINER_OF(node, type, member)
/* The body may remove the element that it stands on. */
#define gt_list_for_each(it, tmp, head)                                                            \
    for (struct gt_list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
