#include "node/store/store.h"

#include "common/base/cb_limits.h"

static void check_key(struct cb_span key)
{
    CB_ASSERT(key.len > 0 && key.len <= CB_STORE_KEY_MAX);
}

static void check_local_name(const char *name)
{
    CB_ASSERT(name[0] != '\0' && strlen(name) <= CB_STORE_LOCAL_NAME_MAX);
}

void store_commit(struct store *s, struct store_batch *batch, const struct store_meta *meta)
{
    s->ops->commit(s, batch, meta);
}

void store_durable(struct store *s, struct store_meta *out)
{
    s->ops->durable(s, out);
}

size_t store_pending_bytes(struct store *s)
{
    return s->ops->pending_bytes(s);
}

bool store_is_full(struct store *s)
{
    return s->ops->is_full(s);
}

enum store_result store_load(struct store *s,
                             store_record_fn fn,
                             void *data,
                             struct store_meta *meta,
                             struct store_error *err)
{
    return s->ops->load(s, fn, data, meta, err);
}

enum store_result
store_read(struct store *s, struct cb_span key, struct cb_buf *out, struct store_error *err)
{
    check_key(key);
    return s->ops->read(s, key, out, err);
}

enum store_result store_read_many(struct store *s,
                                  const struct cb_span *keys,
                                  size_t n,
                                  store_value_fn fn,
                                  void *data,
                                  struct store_error *err)
{
    for (size_t i = 0; i < n; i++) {
        check_key(keys[i]);
    }
    return s->ops->read_many(s, keys, n, fn, data, err);
}

enum store_result
store_set_local(struct store *s, const char *name, struct cb_span value, struct store_error *err)
{
    check_local_name(name);
    CB_ASSERT(value.len <= CB_STORE_LOCAL_MAX);
    return s->ops->set_local(s, name, value, err);
}

enum store_result
store_get_local(struct store *s, const char *name, struct cb_buf *out, struct store_error *err)
{
    check_local_name(name);
    return s->ops->get_local(s, name, out, err);
}

enum store_result store_copy_open(struct store *s, struct store_copy **out, struct store_error *err)
{
    return s->ops->copy_open(s, out, err);
}

const struct store_meta *store_copy_meta(const struct store_copy *c)
{
    return &c->meta;
}

enum store_result store_copy_next(
    struct store_copy *c, size_t size, struct cb_buf *out, bool *is_last, struct store_error *err)
{
    CB_ASSERT(size > 0 && !c->is_over);
    *is_last = false;
    enum store_result result = c->ops->next(c, size, out, is_last, err);
    c->is_over = result != STORE_OK || *is_last;
    return result;
}

void store_copy_close(struct store_copy *c)
{
    c->ops->close(c);
}

enum store_result store_incoming_begin(struct store *s, struct store_error *err)
{
    return s->ops->incoming_begin(s, err);
}

enum store_result
store_incoming_feed(struct store *s, struct cb_span bytes, bool *is_whole, struct store_error *err)
{
    *is_whole = false;
    return s->ops->incoming_feed(s, bytes, is_whole, err);
}

void store_discard_incoming(struct store *s)
{
    s->ops->discard_incoming(s);
}

enum store_result store_load_incoming(struct store *s,
                                      store_record_fn fn,
                                      void *data,
                                      struct store_meta *meta,
                                      struct store_error *err)
{
    return s->ops->load_incoming(s, fn, data, meta, err);
}

enum store_result store_swap(struct store *s, struct store_error *err)
{
    return s->ops->swap(s, err);
}

void store_close(struct store *s)
{
    s->ops->close(s);
}
