#include "common/wire/wire_pb.h"

#define FIELD_NUMBER_MAX ((UINT64_C(1) << 29) - 1)

const char *wire_error_text(enum wire_error e)
{
    switch (e) {
    case WIRE_OK:
        return "ok";
    case WIRE_BAD_ENCODING:
        return "not a protocol buffer";
    case WIRE_BAD_TYPE:
        return "field of the wrong type";
    case WIRE_BAD_RANGE:
        return "number out of range";
    case WIRE_BAD_LENGTH:
        return "wrong length";
    case WIRE_BAD_OP:
        return "unknown op, kind or outcome";
    case WIRE_BAD_FIELD:
        return "field that does not belong there";
    case WIRE_BAD_TUBE_NAME:
        return "bad tube name";
    case WIRE_BAD_ORDER:
        return "numbers out of order";
    }
    CB_UNREACHABLE("wire error");
}

void wire_reader_init(struct wire_reader *r, struct cb_span s)
{
    static const uint8_t nothing; /* arithmetic on a null pointer is undefined */
    r->p = s.len > 0 ? s.ptr : &nothing;
    r->end = r->p + s.len;
    r->error = WIRE_OK;
}

static bool fail(struct wire_reader *r)
{
    r->error = WIRE_BAD_ENCODING;
    return false;
}

/* Longer forms than needed are allowed by the encoding; more than 64 bits are not. */
static bool read_long_varint(struct wire_reader *r, uint64_t *out)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70 && r->p < r->end; shift += 7) {
        uint8_t byte = *r->p++;
        if (shift == 63 && byte > 1) {
            return fail(r);
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return true;
        }
    }
    return fail(r);
}

bool wire_reader_varint(struct wire_reader *r, uint64_t *out)
{
    if (r->p < r->end && *r->p < 0x80) {
        *out = *r->p++;
        return true;
    }
    return read_long_varint(r, out);
}

static bool skip_fixed(struct wire_reader *r, size_t len)
{
    if ((size_t)(r->end - r->p) < len) {
        return fail(r);
    }
    r->p += len;
    return true;
}

static bool read_bytes(struct wire_reader *r, struct cb_span *out)
{
    uint64_t len;
    if (!wire_reader_varint(r, &len) || len > (uint64_t)(r->end - r->p)) {
        return fail(r);
    }
    *out = cb_span(r->p, (size_t)len);
    r->p += len;
    return true;
}

bool wire_reader_next(struct wire_reader *r, struct wire_token *t)
{
    uint64_t tag;
    if (r->error != WIRE_OK || r->p == r->end || !wire_reader_varint(r, &tag)) {
        return false;
    }
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX) {
        return fail(r);
    }
    t->field = (uint32_t)(tag >> 3);
    t->value = 0;
    t->bytes = CB_SPAN_NULL;
    switch (tag & 7) {
    case WIRE_PB_VARINT:
        t->type = WIRE_PB_VARINT;
        return wire_reader_varint(r, &t->value);
    case WIRE_PB_FIXED64:
        t->type = WIRE_PB_FIXED64;
        return skip_fixed(r, 8);
    case WIRE_PB_BYTES:
        t->type = WIRE_PB_BYTES;
        return read_bytes(r, &t->bytes);
    case WIRE_PB_FIXED32:
        t->type = WIRE_PB_FIXED32;
        return skip_fixed(r, 4);
    default: /* groups: gone from the language since proto3 */
        return fail(r);
    }
}

static void *member(void *obj, const struct wire_field *f)
{
    return (char *)obj + f->offset;
}

static const void *member_const(const void *obj, const struct wire_field *f)
{
    return (const char *)obj + f->offset;
}

enum wire_error wire_table_set(const struct wire_table *t, void *obj, const struct wire_token *tok)
{
    if (tok->field > t->count) {
        return WIRE_OK;
    }
    const struct wire_field *f = &t->fields[tok->field - 1];
    if (tok->type != (f->type == WIRE_SPAN ? WIRE_PB_BYTES : WIRE_PB_VARINT)) {
        return WIRE_BAD_TYPE;
    }
    switch (f->type) {
    case WIRE_U32:
        if (tok->value > UINT32_MAX) {
            return WIRE_BAD_RANGE;
        }
        *(uint32_t *)member(obj, f) = (uint32_t)tok->value;
        break;
    case WIRE_U64:
        *(uint64_t *)member(obj, f) = tok->value;
        break;
    case WIRE_BOOL:
        *(bool *)member(obj, f) = tok->value != 0;
        break;
    case WIRE_SPAN:
        *(struct cb_span *)member(obj, f) = tok->bytes;
        break;
    }
    return WIRE_OK;
}

enum wire_error wire_table_decode(const struct wire_table *t, void *obj, struct cb_span bytes)
{
    struct wire_reader r;
    struct wire_token tok;
    wire_reader_init(&r, bytes);
    while (wire_reader_next(&r, &tok)) {
        enum wire_error e = wire_table_set(t, obj, &tok);
        if (e != WIRE_OK) {
            return e;
        }
    }
    return r.error;
}

/* The number in a field; for WIRE_SPAN its length. */
static uint64_t field_value(const struct wire_field *f, const void *obj)
{
    const void *m = member_const(obj, f);
    switch (f->type) {
    case WIRE_U32:
        return *(const uint32_t *)m;
    case WIRE_U64:
        return *(const uint64_t *)m;
    case WIRE_BOOL:
        return *(const bool *)m;
    case WIRE_SPAN:
        return ((const struct cb_span *)m)->len;
    }
    CB_UNREACHABLE("field type");
}

size_t wire_table_size(const struct wire_table *t, const void *obj)
{
    size_t size = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t v = field_value(&t->fields[i], obj);
        if (v != 0) {
            size += WIRE_TAG_SIZE + wire_varint_size(v);
            size += t->fields[i].type == WIRE_SPAN ? (size_t)v : 0;
        }
    }
    return size;
}

uint8_t *wire_table_write(const struct wire_table *t, const void *obj, uint8_t *p)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const struct wire_field *f = &t->fields[i];
        uint64_t v = field_value(f, obj);
        if (v == 0) {
            continue;
        }
        bool is_span = f->type == WIRE_SPAN;
        p = wire_write_tag(p, i + 1, is_span ? WIRE_PB_BYTES : WIRE_PB_VARINT);
        p = wire_write_varint(p, v);
        if (is_span) {
            memcpy(p, ((const struct cb_span *)member_const(obj, f))->ptr, (size_t)v);
            p += v;
        }
    }
    return p;
}

void wire_put_message(struct cb_buf *b, uint32_t field, const struct wire_table *t, const void *obj)
{
    size_t size = wire_table_size(t, obj);
    size_t whole = WIRE_TAG_SIZE + wire_varint_size(size) + size;
    uint8_t *p = cb_buf_reserve(b, whole);
    p = wire_write_tag(p, field, WIRE_PB_BYTES);
    p = wire_write_varint(p, size);
    (void)wire_table_write(t, obj, p);
    cb_buf_commit(b, whole);
}

void wire_put_varint_field(struct cb_buf *b, uint32_t field, uint64_t v)
{
    if (v == 0) {
        return;
    }
    uint8_t *p = cb_buf_reserve(b, WIRE_TAG_SIZE + 10);
    uint8_t *q = wire_write_varint(wire_write_tag(p, field, WIRE_PB_VARINT), v);
    cb_buf_commit(b, (size_t)(q - p));
}

void wire_put_bytes_field(struct cb_buf *b, uint32_t field, struct cb_span s)
{
    uint8_t *p = cb_buf_reserve(b, WIRE_TAG_SIZE + 10 + s.len);
    uint8_t *q = wire_write_varint(wire_write_tag(p, field, WIRE_PB_BYTES), s.len);
    if (s.len > 0) {
        memcpy(q, s.ptr, s.len);
    }
    cb_buf_commit(b, (size_t)(q - p) + s.len);
}
