/* Why a message was refused.
 * Threads: any. */
#ifndef CB_COMMON_WIRE_WIRE_ERROR_H
#define CB_COMMON_WIRE_WIRE_ERROR_H

enum wire_error {
    WIRE_OK,
    WIRE_BAD_ENCODING, /* not protocol buffers, cut off, or a known field with another type */
    WIRE_BAD_RANGE,    /* a number above what its field may hold */
    WIRE_BAD_LENGTH, /* a string, body or list that is too long or too short, or too much of all */
    WIRE_BAD_OP,     /* an unknown op, kind or outcome */
    WIRE_BAD_FIELD,  /* a field that this op, kind or outcome does not have */
    WIRE_BAD_TUBE_NAME,
    WIRE_BAD_ORDER, /* numbers that do not rise by one */
};

/* A few words for a status message or a log line. */
const char *wire_error_text(enum wire_error e);

#endif
