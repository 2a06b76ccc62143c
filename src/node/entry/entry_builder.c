#include "node/entry/entry_builder.h"

#include "common/base/cb_assert.h"
#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"

#define PREFIX_SIZE 16u /* version, length, checksum */

void entry_builder_init(struct entry_builder *b)
{
    cb_buf_init(&b->bytes);
    entry_builder_reset(b);
}

void entry_builder_fini(struct entry_builder *b)
{
    cb_buf_fini(&b->bytes);
}

void entry_builder_reset(struct entry_builder *b)
{
    b->n_items = 0;
    cb_buf_clear(&b->bytes);
    cb_buf_shrink(&b->bytes, 2 * CB_ENTRY_SIZE_SOFT);
    memset(cb_buf_reserve(&b->bytes, ENTRY_HEADER_SIZE), 0, ENTRY_HEADER_SIZE);
    cb_buf_commit(&b->bytes, ENTRY_HEADER_SIZE);
}

static void add_command(struct cb_buf *b, const struct jsm_command *c)
{
    unsigned fields = 0;
    CB_ASSERT(entry_command_is_valid(c) && entry_op_fields((uint32_t)c->op, &fields));
    cb_put_u8(b, (uint8_t)c->op);
    cb_put_varint(b, c->conn);
    if ((fields & ENTRY_FIELD_ID) != 0) {
        cb_put_varint(b, c->id);
    }
    if ((fields & ENTRY_FIELD_PRI) != 0) {
        cb_put_varint(b, c->pri);
    }
    if ((fields & ENTRY_FIELD_DELAY) != 0) {
        cb_put_varint(b, c->delay);
    }
    if ((fields & ENTRY_FIELD_TTR) != 0) {
        cb_put_varint(b, c->ttr);
    }
    if ((fields & ENTRY_FIELD_COUNT) != 0) {
        cb_put_varint(b, c->count);
    }
    if ((fields & ENTRY_FIELD_AGE) != 0) {
        cb_put_varint(b, c->age_ns);
    }
    if ((fields & ENTRY_FIELD_TUBE) != 0) {
        cb_put_bytes(b, c->tube);
    }
    if ((fields & ENTRY_FIELD_BODY) != 0) {
        cb_put_bytes(b, c->body);
    }
}

static void add_open(struct cb_buf *b, const struct jsm_item *item)
{
    CB_ASSERT(item->name.len >= 1 && item->name.len <= CB_PROXY_NAME_MAX);
    CB_ASSERT(item->address.len <= CB_ADDRESS_MAX);
    cb_put_bytes(b, item->name);
    cb_put_u64(b, item->incarnation.started_ns);
    cb_put_u64(b, item->incarnation.random);
    cb_put_bytes(b, item->address);
}

void entry_item_encode(struct cb_buf *out, const struct jsm_item *item)
{
    cb_put_u8(out, (uint8_t)item->kind);
    switch (item->kind) {
    case JSM_ITEM_OPEN:
        add_open(out, item);
        break;
    case JSM_ITEM_EXPIRE:
    case JSM_ITEM_ATTACHED:
        cb_put_varint(out, item->session);
        break;
    case JSM_ITEM_RESUME:
    case JSM_ITEM_CLOCK:
        break;
    case JSM_ITEM_ACK:
        cb_put_varint(out, item->session);
        cb_put_varint(out, item->number);
        break;
    case JSM_ITEM_COUNTS:
        CB_ASSERT(item->counter < JSM_COUNTER_COUNT);
        cb_put_u8(out, (uint8_t)item->counter);
        cb_put_varint(out, item->number);
        break;
    case JSM_ITEM_REQUEST:
        cb_put_varint(out, item->session);
        cb_put_varint(out, item->number);
        add_command(out, &item->command);
        break;
    case JSM_ITEM_LIMITS:
        cb_put_varint(out, item->limits.jobs);
        cb_put_varint(out, item->limits.bytes);
        break;
    case JSM_ITEM_SPACE:
        cb_put_varint(out, item->number);
        break;
    case JSM_ITEM_KIND_END:
        CB_UNREACHABLE("an item without a kind");
    }
}

void entry_builder_add(struct entry_builder *b, const struct jsm_item *item)
{
    entry_item_encode(&b->bytes, item);
    b->n_items++;
}

void entry_builder_add_encoded(struct entry_builder *b, struct cb_span item)
{
    cb_buf_append(&b->bytes, item.ptr, item.len);
    b->n_items++;
}

struct cb_span entry_builder_finish(struct entry_builder *b, const struct entry_header *h)
{
    size_t len = cb_buf_len(&b->bytes);
    CB_ASSERT(len <= CB_ENTRY_SIZE_MAX && b->n_items <= CB_ENTRY_COMMANDS_MAX);
    uint8_t *p = b->bytes.base + b->bytes.start;
    cb_store_le(p, ENTRY_FORMAT, 4);
    cb_store_le(p + 4, len, 4);
    cb_store_le(p + 16, h->stamp_ns, 8);
    cb_store_le(p + 24, h->term, 8);
    cb_store_le(p + 32, h->proposer, 8);
    cb_store_le(p + 40, h->batch, 8);
    cb_store_le(p + 48, b->n_items, 4);
    /* The length seeds the checksum, so that a damaged one is found too. */
    cb_store_le(p + 8, cb_hash_seeded(p + PREFIX_SIZE, len - PREFIX_SIZE, len), 8);
    return cb_span(p, len);
}
