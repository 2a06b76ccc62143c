/* What a leader keeps for each session of the machine: its lease, and the items that wait. */
#include "node/proposer/prop_internal.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_bytes.h"
#include "common/base/cb_mem.h"

#define ITEM_PREFIX 4u /* u32 length */
/* A queue that was long gives its memory back when it is empty. */
#define QUEUE_KEEP (16 * CB_KIB)

struct prop_session *prop_session_get(const struct proposer *p, uint64_t id)
{
    return cb_map_get(&p->session_by_id, id);
}

struct prop_session *prop_session_get_or_make(struct proposer *p, const struct jsm_session *from)
{
    uint64_t id = jsm_session_id(from);
    struct prop_session *s = prop_session_get(p, id);
    if (s != NULL) {
        return s;
    }
    s = cb_calloc(1, sizeof(*s));
    s->id = id;
    s->heard_ns = prop_boottime(p);
    s->next_request = jsm_session_last_request(from) + 1;
    s->acked = jsm_session_acked_result(from);
    s->ack_proposed = s->acked;
    cb_list_init(&s->queued);
    cb_buf_init(&s->items);
    cb_list_push_back(&p->sessions, &s->link);
    cb_map_put(&p->session_by_id, id, s);
    uint64_t ends = s->heard_ns + p->config.session_timeout_ns;
    if (ends < p->lease_check_ns) {
        p->lease_check_ns = ends;
    }
    return s;
}

void prop_session_destroy(struct proposer *p, struct prop_session *s)
{
    CB_ASSERT(s->stream == NULL);
    if (s->is_expiring && !s->expire_proposed) {
        p->n_expiring--;
    }
    CB_ASSERT(cb_map_remove(&p->session_by_id, s->id) == s);
    cb_list_remove(&s->queued);
    cb_list_remove(&s->link);
    cb_buf_fini(&s->items);
    cb_free(s);
}

void prop_session_push(struct proposer *p, struct prop_session *s, const struct jsm_item *item)
{
    size_t before = cb_buf_len(&s->items);
    cb_put_u32(&s->items, 0);
    entry_item_encode(&s->items, item);
    uint64_t len = cb_buf_len(&s->items) - before - ITEM_PREFIX;
    cb_store_le(s->items.base + s->items.start + before, len, ITEM_PREFIX);
    if (!cb_list_is_linked(&s->queued)) {
        cb_list_push_back(&p->queued, &s->queued);
    }
}

struct cb_span prop_session_head(const struct prop_session *s)
{
    struct cb_reader r;
    cb_reader_init(&r, cb_buf_span(&s->items));
    size_t len = cb_get_u32(&r);
    CB_ASSERT(!r.failed && (size_t)(r.end - r.p) >= len);
    return cb_span(r.p, len);
}

void prop_session_pop(struct prop_session *s)
{
    cb_buf_consume(&s->items, ITEM_PREFIX + prop_session_head(s).len);
    if (cb_buf_len(&s->items) == 0) {
        cb_list_remove(&s->queued);
        cb_buf_shrink(&s->items, QUEUE_KEEP);
    }
}

/* Acknowledgements ride with other items. When what they would free grows large, or holds grants
 * back (CB_RESULTS_UNACKED_MAX), they are worth an entry of their own. */
void prop_session_ack(struct proposer *p, struct prop_session *s, uint64_t number)
{
    if (number <= s->acked) {
        return;
    }
    const struct jsm_session *from = jsm_session_get(p->machine, s->id);
    struct jsm_result result;
    while (s->acked < number) {
        s->acked++;
        if (from != NULL && jsm_session_result(from, s->acked, &result)) {
            s->ackable_bytes += result.body.len;
        }
    }
    if (s->acked - s->ack_proposed > CB_RESULTS_UNACKED_MAX / 4 ||
        s->ackable_bytes > CB_RESULT_BYTES_UNACKED_MAX / 4) {
        p->ack_is_urgent = true;
    }
}

void prop_session_check_leases(struct proposer *p, uint64_t now_ns)
{
    if (!p->is_serving || now_ns < p->lease_check_ns) {
        return;
    }
    uint64_t next = JSM_NEVER;
    CB_LIST_FOREACH(it, &p->sessions)
    {
        struct prop_session *s = CB_CONTAINER(it, struct prop_session, link);
        if (s->is_expiring) {
            continue;
        }
        uint64_t ends = s->heard_ns + p->config.session_timeout_ns;
        if (ends <= now_ns) {
            s->is_expiring = true;
            p->n_expiring++;
        } else if (ends < next) {
            next = ends;
        }
    }
    p->lease_check_ns = next;
}
