/* A log entry's bytes: what is replicated, and what a node of another version must still read.
 *
 *     u32 format version | u32 length | u64 checksum of what follows
 *     u64 stamp_ns | u64 term | u64 proposer | u64 batch | u32 item count
 *     items: u8 kind, then the kind's fields (varints, and bytes with a varint length)
 *
 * The length counts the whole entry; a log may pad it with zero bytes to a multiple of 8. The same
 * content has one form only, so that equal entries have equal bytes.
 * Owns:      the format's constants and what a command of each op consists of.
 * Does not:  know what a command means.
 * Threads:   any. */
#ifndef CB_NODE_ENTRY_ENTRY_H
#define CB_NODE_ENTRY_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "node/jsm/jsm.h"

#define ENTRY_FORMAT 1u
#define ENTRY_HEADER_SIZE 52u
#define ENTRY_PADDING_MAX 7u /* zero bytes after the entry */

/* Who proposed the entry and when: a node knows its own proposals again by term, proposer and batch
 * (design D5). */
struct entry_header {
    uint64_t stamp_ns;
    uint64_t term;     /* the proposer's, when it proposed */
    uint64_t proposer; /* node id */
    uint64_t batch;    /* rises with each proposal of this proposer's process */
};

/* The fields that a command of an op carries; all others are 0 in every form of it. */
enum entry_field {
    ENTRY_FIELD_ID = 1 << 0,
    ENTRY_FIELD_PRI = 1 << 1,
    ENTRY_FIELD_DELAY = 1 << 2,
    ENTRY_FIELD_TTR = 1 << 3,
    ENTRY_FIELD_COUNT = 1 << 4,
    ENTRY_FIELD_AGE = 1 << 5,
    ENTRY_FIELD_TUBE = 1 << 6,
    ENTRY_FIELD_BODY = 1 << 7,
};

/* A set of enum entry_field. False when there is no such op. */
bool entry_op_fields(uint32_t op, unsigned *fields);

/* True when the command may stand in an entry: known op, conn, tube name, sizes. Whoever takes
 * commands from a socket asks before it appends one; the decoder asks again. */
bool entry_command_is_valid(const struct jsm_command *c);

#endif
