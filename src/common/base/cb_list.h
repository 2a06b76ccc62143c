/* An intrusive doubly linked list: the links lie in the listed objects, so no call can fail.
 *
 * Owns:     nothing; objects must be removed before they are freed.
 * Threads:  one. */
#ifndef CB_COMMON_BASE_CB_LIST_H
#define CB_COMMON_BASE_CB_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cb_list {
    struct cb_list *prev;
    struct cb_list *next;
};

/* The object that `ptr`, a member named `member`, lies in. Through an integer, so that `type` alone
 * says whether it is const. */
#define CB_CONTAINER(ptr, type, member) ((type *)((uintptr_t)(ptr)-offsetof(type, member)))

/* Head and node both start linked to themselves. */
static inline void cb_list_init(struct cb_list *l)
{
    l->prev = l;
    l->next = l;
}

static inline bool cb_list_is_empty(const struct cb_list *head)
{
    return head->next == head;
}

/* True for a node that is on some list. */
static inline bool cb_list_is_linked(const struct cb_list *node)
{
    return node->next != node;
}

static inline void cb_list_insert_before(struct cb_list *at, struct cb_list *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void cb_list_push_back(struct cb_list *head, struct cb_list *node)
{
    cb_list_insert_before(head, node);
}

static inline void cb_list_push_front(struct cb_list *head, struct cb_list *node)
{
    cb_list_insert_before(head->next, node);
}

/* Safe on a node that is on no list. */
static inline void cb_list_remove(struct cb_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    cb_list_init(node);
}

/* NULL when empty. */
static inline struct cb_list *cb_list_first(const struct cb_list *head)
{
    return head->next == head ? NULL : head->next;
}

static inline struct cb_list *cb_list_last(const struct cb_list *head)
{
    return head->prev == head ? NULL : head->prev;
}

#define CB_LIST_FOREACH(it, head)                                                                  \
    for (struct cb_list *it = (head)->next; it != (head); it = it->next)

/* `it` may be removed (and freed) in the body; no other node may. */
#define CB_LIST_FOREACH_SAFE(it, tmp, head)                                                        \
    for (struct cb_list *it = (head)->next, *tmp = it->next; it != (head); it = tmp, tmp = it->next)

#endif
