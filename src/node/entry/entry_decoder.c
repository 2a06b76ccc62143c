#include "node/entry/entry_decoder.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#define PREFIX_SIZE 16u
#define ITEMS_MIN 16u

void entry_decoder_init(struct entry_decoder *d)
{
    *d = (struct entry_decoder){NULL, 0};
}

void entry_decoder_fini(struct entry_decoder *d)
{
    cb_free(d->items);
    entry_decoder_init(d);
}

static void reserve_items(struct entry_decoder *d, uint32_t n)
{
    if (n <= d->cap) {
        return;
    }
    uint32_t cap = d->cap == 0 ? ITEMS_MIN : d->cap;
    while (cap < n) {
        cap *= 2;
    }
    d->items = cb_realloc(d->items, cap * sizeof(*d->items));
    d->cap = cap;
}

/* 1 to CB_ID_MAX. */
static uint64_t get_id(struct cb_reader *r)
{
    uint64_t id = cb_get_varint_max(r, CB_ID_MAX);
    if (id == 0) {
        r->failed = true;
    }
    return id;
}

static void get_command(struct cb_reader *r, struct jsm_command *c)
{
    uint32_t op = cb_get_u8(r);
    unsigned fields;
    if (!entry_op_fields(op, &fields)) {
        r->failed = true;
        return;
    }
    c->op = (enum jsm_op)op;
    c->conn = get_id(r);
    if ((fields & ENTRY_FIELD_ID) != 0) {
        c->id = cb_get_varint(r);
    }
    if ((fields & ENTRY_FIELD_PRI) != 0) {
        c->pri = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    }
    if ((fields & ENTRY_FIELD_DELAY) != 0) {
        c->delay = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    }
    if ((fields & ENTRY_FIELD_TTR) != 0) {
        c->ttr = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    }
    if ((fields & ENTRY_FIELD_COUNT) != 0) {
        c->count = (uint32_t)cb_get_varint_max(r, UINT32_MAX);
    }
    if ((fields & ENTRY_FIELD_AGE) != 0) {
        c->age_ns = cb_get_varint(r);
    }
    if ((fields & ENTRY_FIELD_TUBE) != 0) {
        c->tube = cb_get_bytes(r, CB_TUBE_NAME_MAX);
    }
    if ((fields & ENTRY_FIELD_BODY) != 0) {
        c->body = cb_get_bytes(r, CB_JOB_SIZE_MAX);
    }
    if (!r->failed && !entry_command_is_valid(c)) {
        r->failed = true;
    }
}

static void get_open(struct cb_reader *r, struct jsm_item *item)
{
    item->name = cb_get_bytes(r, CB_PROXY_NAME_MAX);
    item->incarnation.started_ns = cb_get_u64(r);
    item->incarnation.random = cb_get_u64(r);
    item->address = cb_get_bytes(r, CB_ADDRESS_MAX);
    if (item->name.len == 0) {
        r->failed = true;
    }
}

static void get_counts(struct cb_reader *r, struct jsm_item *item)
{
    uint8_t counter = cb_get_u8(r);
    item->number = cb_get_varint(r);
    if (counter >= JSM_COUNTER_COUNT) {
        r->failed = true;
        return;
    }
    item->counter = (enum jsm_counter)counter;
}

static void get_item(struct cb_reader *r, struct jsm_item *item)
{
    memset(item, 0, sizeof(*item));
    item->kind = (enum jsm_item_kind)cb_get_u8(r);
    switch (item->kind) {
    case JSM_ITEM_OPEN:
        get_open(r, item);
        break;
    case JSM_ITEM_EXPIRE:
    case JSM_ITEM_ATTACHED:
        item->session = get_id(r);
        break;
    case JSM_ITEM_RESUME:
    case JSM_ITEM_CLOCK:
        break;
    case JSM_ITEM_ACK:
        item->session = get_id(r);
        item->number = get_id(r);
        break;
    case JSM_ITEM_COUNTS:
        get_counts(r, item);
        break;
    case JSM_ITEM_REQUEST:
        item->session = get_id(r);
        item->number = get_id(r);
        get_command(r, &item->command);
        break;
    case JSM_ITEM_LIMITS:
        item->limits.jobs = cb_get_varint(r);
        item->limits.bytes = cb_get_varint(r);
        break;
    case JSM_ITEM_SPACE:
        item->number = cb_get_varint_max(r, 1);
        break;
    case JSM_ITEM_KIND_END:
    default:
        r->failed = true;
        break;
    }
}

/* The entry's own bytes out of what the log gives, whose padding must be zero. */
static enum entry_result unpad(struct cb_span *bytes)
{
    if (bytes->len < ENTRY_HEADER_SIZE) {
        return ENTRY_TRUNCATED;
    }
    struct cb_reader r;
    cb_reader_init(&r, *bytes);
    if (cb_get_u32(&r) != ENTRY_FORMAT) {
        return ENTRY_VERSION;
    }
    size_t len = cb_get_u32(&r);
    uint64_t checksum = cb_get_u64(&r);
    if (len > bytes->len) {
        return ENTRY_TRUNCATED;
    }
    if (len < ENTRY_HEADER_SIZE || len > CB_ENTRY_SIZE_MAX ||
        bytes->len - len > ENTRY_PADDING_MAX) {
        return ENTRY_MALFORMED;
    }
    for (size_t i = len; i < bytes->len; i++) {
        if (bytes->ptr[i] != 0) {
            return ENTRY_MALFORMED;
        }
    }
    bytes->len = len;
    bool intact = checksum == cb_hash_seeded(bytes->ptr + PREFIX_SIZE, len - PREFIX_SIZE, len);
    return intact ? ENTRY_OK : ENTRY_CHECKSUM;
}

enum entry_result entry_decode(struct entry_decoder *d,
                               struct cb_span bytes,
                               struct entry_header *header,
                               struct jsm_entry *entry)
{
    enum entry_result result = unpad(&bytes);
    if (result != ENTRY_OK) {
        return result;
    }
    struct cb_reader r;
    cb_reader_init(&r, cb_span(bytes.ptr + PREFIX_SIZE, bytes.len - PREFIX_SIZE));
    header->stamp_ns = cb_get_u64(&r);
    header->term = cb_get_u64(&r);
    header->proposer = cb_get_u64(&r);
    header->batch = cb_get_u64(&r);
    uint32_t n = cb_get_u32(&r);
    if (n > CB_ENTRY_COMMANDS_MAX) {
        return ENTRY_MALFORMED;
    }
    reserve_items(d, n);
    unsigned opens = 0;
    for (uint32_t i = 0; i < n && !r.failed; i++) {
        get_item(&r, &d->items[i]);
        opens += d->items[i].kind == JSM_ITEM_OPEN;
    }
    /* A session's id is the entry's index: there can be one opening (jsm_apply). */
    if (!cb_reader_done(&r) || opens > 1) {
        return ENTRY_MALFORMED;
    }
    *entry = (struct jsm_entry){.stamp_ns = header->stamp_ns, .items = d->items, .n_items = n};
    return ENTRY_OK;
}

const char *entry_strerror(enum entry_result r)
{
    switch (r) {
    case ENTRY_OK:
        return "no error";
    case ENTRY_TRUNCATED:
        return "shorter than it says";
    case ENTRY_VERSION:
        return "of a format that this version does not know";
    case ENTRY_CHECKSUM:
        return "its checksum does not match";
    case ENTRY_MALFORMED:
        return "malformed";
    }
    CB_UNREACHABLE("an entry result");
}
