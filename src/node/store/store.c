#include "node/store/store.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#define DUMP_PART (256 * CB_KIB) /* of a dump as a whole: enough that calls do not count */

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

void store_incoming_meta(struct store *s, struct store_meta *out)
{
    s->ops->incoming_meta(s, out);
}

void store_discard_incoming(struct store *s)
{
    s->ops->discard_incoming(s);
}

enum store_result
store_dump(struct store *s, store_write_fn fn, void *data, struct store_error *err)
{
    struct store_copy *c;
    struct cb_buf part = CB_BUF_NULL;
    bool is_last = false;
    size_t size = 1; /* the header alone comes first: who can not take the state says so early */
    enum store_result result = store_copy_open(s, &c, err);
    if (result != STORE_OK) {
        return result;
    }
    while (result == STORE_OK && !is_last) {
        cb_buf_clear(&part);
        result = store_copy_next(c, size, &part, &is_last, err);
        if (result == STORE_OK && !fn(data, cb_buf_span(&part))) {
            result = store_fail(err, STORE_STOPPED, "writing the dump was stopped");
        }
        size = DUMP_PART;
    }
    store_copy_close(c);
    cb_buf_fini(&part);
    return result;
}

/* One read and its feed; without STORE_OK nothing of the incoming state is left. */
static enum store_result feed_next(struct store *s,
                                   store_read_fn fn,
                                   void *data,
                                   uint8_t *buf,
                                   bool *is_whole,
                                   struct store_error *err)
{
    ptrdiff_t n = fn(data, buf, DUMP_PART);
    if (n > 0) {
        return store_incoming_feed(s, cb_span(buf, (size_t)n), is_whole, err);
    }
    store_discard_incoming(s);
    return n < 0 ? store_fail(err, STORE_STOPPED, "reading the dump was stopped")
                 : store_fail(err, STORE_BAD_DUMP, "the dump is cut short");
}

enum store_result store_load_dump(
    struct store *s, store_read_fn fn, void *data, struct store_meta *meta, struct store_error *err)
{
    bool is_whole = false;
    enum store_result result = store_incoming_begin(s, err);
    if (result != STORE_OK) {
        return result;
    }
    uint8_t *buf = cb_malloc(DUMP_PART);
    while (result == STORE_OK && !is_whole) {
        result = feed_next(s, fn, data, buf, &is_whole, err);
    }
    cb_free(buf);
    if (result == STORE_OK && meta != NULL) {
        store_incoming_meta(s, meta);
    }
    return result;
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
