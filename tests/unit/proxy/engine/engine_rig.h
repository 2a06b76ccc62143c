/* An engine with its surroundings played by the test: clients are strings, the node is the test.
 *
 * What the engine does with streams and sockets is written to a trace, a line each:
 *     open 0 | close 0 | client 1 reading off | client 1 close | client 1 close flush
 *     send 1 attach=1 session=0 seen=0         (seq, then what the message carries)
 *     send 2 #1 c1 CONN_OPEN; #2 c1 DELETE id=7; ?1 c1 kind=1 after=2; +0=1; ack=3; resent
 *     superseded 1.2.3.4:5 | note 3 node=0 number=2 */
#ifndef CB_TESTS_UNIT_PROXY_ENGINE_ENGINE_RIG_H
#define CB_TESTS_UNIT_PROXY_ENGINE_ENGINE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "common/base/cb_limits.h"
#include "proxy/engine/engine.h"

#define RIG_CLIENTS_MAX 64
#define RIG_NODES 3
#define RIG_TIMEOUT_MS 10000

struct rig_client {
    struct engine_client *engine_client; /* NULL when gone */
    bool close_asked;
    bool reading;
    struct cb_buf got;
};

struct rig {
    struct engine *engine;
    uint64_t now_ns;
    struct cb_buf trace;
    struct rig_client clients[RIG_CLIENTS_MAX];
    struct wire_to_proxy reply; /* being built */
    uint64_t term;              /* of the leader that attaches; never below what was told */
    uint32_t node;              /* with the open stream */
    bool is_open;
    bool hold_output;                  /* clients do not read */
    bool is_watched[ENGINE_NODES_MAX]; /* asked who leads; not in the trace */
};

void rig_init(struct rig *r);
void rig_fini(struct rig *r);

void rig_connect(struct rig *r, int i);
void rig_write(struct rig *r, int i, const char *text);
void rig_eof(struct rig *r, int i);
void rig_gone(struct rig *r, int i);
/* What the client got since the last call is this. */
void rig_got(struct rig *r, int i, const char *expected);

/* The turn of a loop ends: the engine may send. */
void rig_flush(struct rig *r);
void rig_writable(struct rig *r);
void rig_sleep(struct rig *r, uint64_t ms);
/* The trace since the last call is this. */
void rig_traced(struct rig *r, const char *expected);
void rig_forget_trace(struct rig *r);

/* Build the node's next message, then send it. */
void rig_attached(struct rig *r, uint64_t session, uint64_t last_request, uint64_t last_result);
void rig_result(
    struct rig *r, uint64_t number, uint64_t request, uint64_t conn, enum wire_outcome o);
struct wire_read_result *rig_read_result(struct rig *r, uint64_t read, bool found);
void rig_deliver(struct rig *r, uint64_t confirmed_seq, uint64_t applied);
void rig_closed(struct rig *r, const char *text, const char *leader);
/* What watches bring. */
void rig_told(struct rig *r, uint32_t node, uint64_t term, const char *leader);
/* With the members. */
void rig_told_members(struct rig *r, uint32_t node, const struct wire_leadership *m);
void rig_unwatched(struct rig *r, uint32_t node);

/* Attached as session 9 to a fresh node, trace forgotten. */
void rig_start(struct rig *r);

#endif
