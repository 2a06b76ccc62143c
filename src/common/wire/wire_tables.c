#include "common/wire/wire_tables.h"

#include "common/wire/wire_queue.h"

/* Row i is field i + 1 of the message in proto/queue.proto. */

#define ROWS(name) static const struct wire_field name##_rows[]
#define TABLE(name) const struct wire_table wire_table_##name = WIRE_TABLE(name##_rows)

/* clang-format off */
#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_attach, member)
ROWS(attach) = {
    F(U32, version), F(SPAN, name), F(U64, started_ns), F(U64, random), F(SPAN, address),
    F(U64, session), F(U64, number), F(U64, seen_result),
};
#undef F
TABLE(attach);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_request, member)
ROWS(request) = {
    F(U64, number), F(U64, conn), F(U32, op), F(U64, id), F(U32, pri), F(U32, delay), F(U32, ttr),
    F(U32, count), F(U64, age_ns), F(SPAN, tube), F(SPAN, body),
};
#undef F
TABLE(request);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_read, member)
ROWS(read) = {
    F(U64, read), F(U64, conn), F(U32, kind), F(U64, id), F(SPAN, tube), F(U64, after),
};
#undef F
TABLE(read);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_count, member)
ROWS(count) = {F(U32, counter), F(U64, increment)};
#undef F
TABLE(count);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_attached, member)
ROWS(attached) = {
    F(U64, session), F(U64, last_request), F(U64, last_result), F(U32, session_timeout_ms),
    F(U64, node), F(U64, term),
};
#undef F
TABLE(attached);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_result, member)
ROWS(result) = {
    F(U64, number), F(U64, request), F(U64, conn), F(U32, outcome), F(U64, id), F(U32, count),
    F(SPAN, body),
};
#undef F
TABLE(result);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_read_result, member)
ROWS(read_result) = {
    F(U64, read), F(BOOL, found), F(BOOL, again), F(U64, id), F(SPAN, body),
};
#undef F
TABLE(read_result);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_stats, member)
ROWS(stats_head) = {
    F(U64, urgent), F(U64, ready), F(U64, reserved), F(U64, delayed), F(U64, buried),
};
TABLE(stats_head);

ROWS(stats_tail) = {
    F(U64, job_timeouts), F(U64, total_jobs), F(U64, tubes), F(U64, connections), F(U64, producers),
    F(U64, workers), F(U64, waiting), F(U64, total_connections),
};
#undef F
TABLE(stats_tail);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_tube_stats, member)
ROWS(tube_stats) = {
    F(SPAN, name), F(U64, urgent), F(U64, ready), F(U64, reserved), F(U64, delayed), F(U64, buried),
    F(U64, total_jobs), F(U64, using), F(U64, watching), F(U64, waiting), F(U64, cmd_delete),
    F(U64, cmd_pause_tube), F(U32, pause), F(U64, pause_left_ns),
};
#undef F
TABLE(tube_stats);

#define F(type, member) WIRE_FIELD(WIRE_##type, struct wire_job_stats, member)
ROWS(job_stats) = {
    F(U64, id), F(SPAN, tube), F(U32, state), F(U32, pri), F(U32, delay), F(U32, ttr),
    F(U64, age_ns),
    F(U64, left_ns), F(U32, reserves), F(U32, timeouts), F(U32, releases), F(U32, buries),
    F(U32, kicks),
};
#undef F
TABLE(job_stats);
/* clang-format on */
