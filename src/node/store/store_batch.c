#include "node/store/store_batch.h"

#include <stdlib.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

/* What precedes each key and value in the run; never leaves the process. */
struct op_head {
    uint32_t value_len;
    uint16_t key_len;
    uint16_t is_put;
};

struct store_batch *store_batch_create(void)
{
    struct store_batch *b = cb_calloc(1, sizeof(*b));
    cb_list_init(&b->link);
    cb_buf_init(&b->ops);
    return b;
}

void store_batch_destroy(struct store_batch *b)
{
    CB_ASSERT(!cb_list_is_linked(&b->link));
    cb_buf_fini(&b->ops);
    cb_free(b);
}

static void append_op(struct store_batch *b, struct cb_span key, struct cb_span value, bool is_put)
{
    CB_ASSERT(key.len > 0 && key.len <= CB_STORE_KEY_MAX);
    CB_ASSERT(value.len <= CB_STORE_VALUE_MAX);
    struct op_head head = {
        .value_len = (uint32_t)value.len,
        .key_len = (uint16_t)key.len,
        .is_put = is_put,
    };
    cb_buf_append(&b->ops, &head, sizeof(head));
    cb_buf_append(&b->ops, key.ptr, key.len);
    cb_buf_append(&b->ops, value.ptr, value.len);
    b->n_ops++;
}

void store_batch_put(struct store_batch *b, struct cb_span key, struct cb_span value)
{
    append_op(b, key, value, true);
}

void store_batch_del(struct store_batch *b, struct cb_span key)
{
    append_op(b, key, CB_SPAN_NULL, false);
}

size_t store_batch_bytes(const struct store_batch *b)
{
    return sizeof(*b) + cb_buf_len(&b->ops);
}

static uint64_t key_prefix(struct cb_span key)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) {
        v = v << 8 | (i < key.len ? key.ptr[i] : 0);
    }
    return v;
}

static int key_compare(const struct store_op *a, const struct store_op *b)
{
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = memcmp(a->key.ptr, b->key.ptr, len);
    if (order != 0 || a->key.len == b->key.len) {
        return order;
    }
    return a->key.len < b->key.len ? -1 : 1;
}

static int op_compare(const void *pa, const void *pb)
{
    const struct store_op *a = pa;
    const struct store_op *b = pb;
    int order = key_compare(a, b);
    if (order != 0) {
        return order;
    }
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

static size_t read_ops(const struct store_batch *b, struct store_op *ops, size_t seq)
{
    struct cb_span rest = cb_buf_span(&b->ops);
    size_t n = 0;
    while (rest.len > 0) {
        struct op_head head;
        memcpy(&head, rest.ptr, sizeof(head));
        const uint8_t *key = rest.ptr + sizeof(head);
        ops[n] = (struct store_op){
            .seq = seq + n,
            .key = cb_span(key, head.key_len),
            .value = cb_span(key + head.key_len, head.value_len),
            .is_put = head.is_put != 0,
        };
        ops[n].prefix = key_prefix(ops[n].key);
        n++;
        size_t len = sizeof(head) + head.key_len + head.value_len;
        rest = cb_span(rest.ptr + len, rest.len - len);
    }
    CB_ASSERT(n == b->n_ops);
    return n;
}

static size_t keep_last_of_each_key(struct store_op *ops, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || key_compare(&ops[i], &ops[i + 1]) != 0) {
            ops[kept++] = ops[i];
        }
    }
    return kept;
}

void store_merge_init(struct store_merge *m, const struct cb_list *batches)
{
    size_t n_max = 0;
    CB_LIST_FOREACH(it, batches)
    {
        n_max += CB_CONTAINER(it, struct store_batch, link)->n_ops;
    }
    m->ops = cb_malloc(n_max * sizeof(*m->ops));
    size_t n = 0;
    CB_LIST_FOREACH(it, batches)
    {
        n += read_ops(CB_CONTAINER(it, struct store_batch, link), m->ops + n, n);
    }
    qsort(m->ops, n, sizeof(*m->ops), op_compare);
    m->n_ops = keep_last_of_each_key(m->ops, n);
}

void store_merge_fini(struct store_merge *m)
{
    cb_free(m->ops);
    m->ops = NULL;
    m->n_ops = 0;
}
