/* Which field of a message lies where in its struct. Internal to this folder. */
#ifndef CB_COMMON_WIRE_WIRE_TABLES_H
#define CB_COMMON_WIRE_WIRE_TABLES_H

#include "common/wire/wire_pb.h"

extern const struct wire_table wire_table_attach;
extern const struct wire_table wire_table_request;
extern const struct wire_table wire_table_read;
extern const struct wire_table wire_table_count;
extern const struct wire_table wire_table_attached;
extern const struct wire_table wire_table_result;
extern const struct wire_table wire_table_read_result; /* its scalars: fields 1 to 5 */
extern const struct wire_table wire_table_stats_head;  /* fields 1 to 5 */
extern const struct wire_table wire_table_stats_tail;  /* fields 7 to 14, as 1 to 8 */
extern const struct wire_table wire_table_tube_stats;
extern const struct wire_table wire_table_job_stats;

/* Numbers of the fields that are no scalars. */
enum {
    WIRE_TO_NODE_SEQ = 1,
    WIRE_TO_NODE_ATTACH = 2,
    WIRE_TO_NODE_ACKED_RESULT = 3,
    WIRE_TO_NODE_REQUESTS = 4,
    WIRE_TO_NODE_READS = 5,
    WIRE_TO_NODE_COUNTS = 6,
    WIRE_TO_NODE_RESENT = 7,

    WIRE_TO_PROXY_CONFIRMED_SEQ = 1,
    WIRE_TO_PROXY_ATTACHED = 2,
    WIRE_TO_PROXY_APPLIED_REQUEST = 3,
    WIRE_TO_PROXY_EXPECT = 4,
    WIRE_TO_PROXY_RESULTS = 5,
    WIRE_TO_PROXY_READS = 6,

    WIRE_READ_RESULT_TUBES = 6,
    WIRE_READ_RESULT_STATS = 7,
    WIRE_READ_RESULT_TUBE_STATS = 8,
    WIRE_READ_RESULT_JOB_STATS = 9,

    WIRE_STATS_COUNTERS = 6,
};

#endif
