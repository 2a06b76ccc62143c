/* Frames on a connection between two members: a header of 20 bytes, then the payload.
 *
 *     u32 magic "CBL1", u8 version, u8 type, u16 zero, u32 payload length, u64 checksum
 *
 * Numbers are little-endian. The checksum is the header's first 12 bytes hashed with the payload's
 * hash as the seed, so that neither can change alone.
 * Owns:     a decoder owns the part of a frame that has come so far, and no memory beyond twice
 *           that: what a header claims is bounded, and believed only as its bytes arrive.
 * Does not: know what the types mean; touch a socket.
 * Threads:  one per decoder.
 * Errors:   enum link_frame_result. */
#ifndef CB_NODE_LINK_LINK_FRAME_H
#define CB_NODE_LINK_LINK_FRAME_H

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_span.h"

#define LINK_FRAME_VERSION 1
#define LINK_FRAME_HEADER_SIZE 20

enum link_frame_type {
    LINK_FRAME_HELLO = 1, /* the first of a connection, and no other: link_hello.h */
    LINK_FRAME_PING = 2,  /* empty: the sender is there */
    LINK_FRAME_USER = 16, /* from here on they belong to the layer above */
};

/* `payload_hash` is that of cb_hash_pieces over the payload. */
void link_frame_header(uint8_t out[static LINK_FRAME_HEADER_SIZE],
                       uint8_t type,
                       uint32_t payload_len,
                       uint64_t payload_hash);

enum link_frame_result {
    LINK_FRAME_READY,
    LINK_FRAME_MORE,    /* all bytes are taken, the frame is not complete */
    LINK_FRAME_GARBAGE, /* no frame of this protocol */
    LINK_FRAME_OTHER_VERSION,
    LINK_FRAME_TOO_LONG,
    LINK_FRAME_DAMAGED, /* the checksum is wrong */
};

struct link_frame {
    uint8_t type;
    struct cb_span payload; /* until the next call with this decoder or the end of its input */
};

struct link_decoder {
    size_t payload_max; /* may be changed between frames */
    enum link_frame_result last;
    size_t header_len; /* bytes of `header` that have come */
    uint8_t header[LINK_FRAME_HEADER_SIZE];
    struct cb_buf payload;
};

void link_decoder_init(struct link_decoder *d, size_t payload_max);
void link_decoder_fini(struct link_decoder *d);
/* Takes bytes from the front of `in`, up to the end of a frame. After an error every call returns
 * it again. */
CB_MUST_USE enum link_frame_result
link_decoder_take(struct link_decoder *d, struct cb_span *in, struct link_frame *out);

#endif
