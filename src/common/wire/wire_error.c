#include "common/wire/wire_error.h"

#include "common/base/cb_assert.h"

const char *wire_error_text(enum wire_error e)
{
    switch (e) {
    case WIRE_OK:
        return "ok";
    case WIRE_BAD_ENCODING:
        return "not a protocol buffer";
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
