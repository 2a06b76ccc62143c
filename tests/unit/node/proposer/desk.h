/* A proposer with a log, streams and clocks that a test moves by hand, over the real machine. */
#ifndef CB_TESTS_UNIT_NODE_PROPOSER_DESK_H
#define CB_TESTS_UNIT_NODE_PROPOSER_DESK_H

#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "node/entry/entry_decoder.h"
#include "node/proposer/proposer.h"
#include "support/jsm_store.h"

#define DESK_LOG_MAX 8192
#define DESK_MESSAGES_MAX 1024
#define DESK_BODIES_MAX 256
#define DESK_SELF 2
#define DESK_TIMEOUT_NS (30 * CB_NS_PER_S)

struct desk_message {
    struct cb_buf bytes;
    struct wire_to_proxy m;
};

struct desk_stream {
    struct proposer_stream *st; /* NULL once it has ended */
    bool is_slow;               /* a message once sent stays on its way */
    bool is_busy;
    bool is_reading;
    bool has_ended;
    enum proposer_end why;
    char text[400];
    struct desk_message got[DESK_MESSAGES_MAX];
    unsigned n_got;
    uint64_t seq;
};

/* A body that was asked for. */
struct desk_body {
    uint64_t job;
    bool is_here; /* else on its way */
    bool is_gone;
    bool was_kept; /* by a result, as the ask said */
};

struct desk {
    struct jsm_limits limits; /* of the next process */
    struct jsm *machine;
    struct proposer *p;
    struct cb_clock clock;
    uint64_t boot_ns, wall_ns;
    uint32_t n_others; /* members, for the next process */
    enum proposer_append append_result;
    bool store_is_behind;
    bool is_serving;
    uint64_t timer_ns;
    struct cb_buf log[DESK_LOG_MAX]; /* proposed; applied below n_applied */
    unsigned n_log, n_applied;
    uint64_t index;
    struct entry_decoder decoder;
    uint64_t attach_number;
    struct jsm_store store; /* as desk_shed drained it last */
    struct desk_body bodies[DESK_BODIES_MAX];
    unsigned n_bodies;
};

void desk_init(struct desk *d);
void desk_fini(struct desk *d);
/* Another process takes over with the machine as it is: what was proposed and not applied is lost.
 */
void desk_restart(struct desk *d);
/* Becomes leader of the next term and serves. */
void desk_serve(struct desk *d, uint64_t term);

/* The next proposed entry is applied, and a turn follows. */
void desk_apply(struct desk *d);
void desk_apply_all(struct desk *d);
/* The i-th entry of the log, decoded until the next call. */
struct jsm_entry desk_entry(struct desk *d, unsigned i, struct entry_header *h);
/* Appends an entry of node 1, as leader of that term, who guessed the time. */
void desk_log_clock(struct desk *d, uint64_t term, uint64_t stamp_ns);
/* Items of the last proposed entry. */
unsigned desk_last_items(struct desk *d);

/* Stores what has changed; bodies of 64 bytes and more that nothing holds leave memory. The machine
 * keeps all of them unless desk_init was followed by jsm_keep_bodies. */
void desk_shed(struct desk *d);
/* Those that are on their way come, as the store has them now; a turn follows. How many came. */
unsigned desk_bodies_come(struct desk *d);
/* Those that came are forgotten: they are fetched again. */
void desk_bodies_forget(struct desk *d);

void desk_open(struct desk *d, struct desk_stream *s);
void desk_close(struct desk *d, struct desk_stream *s);
/* Numbers the message, hands it in, and a turn follows. */
void desk_send(struct desk *d, struct desk_stream *s, struct wire_to_node *m);
/* Opens a stream and sends an attach; incarnation {started, 1}. */
void desk_attach(struct desk *d,
                 struct desk_stream *s,
                 const char *name,
                 uint64_t started,
                 uint64_t session,
                 uint64_t seen);
/* The same, until Attached has come: gives the session. */
uint64_t desk_join(struct desk *d, struct desk_stream *s, const char *name);
/* One request: CONN_OPEN, or a put of `body` when that is not NULL. */
void desk_request(struct desk *d, struct desk_stream *s, uint64_t number, const char *body);
void desk_read(struct desk *d, struct desk_stream *s, uint64_t read, uint32_t kind, uint64_t after);
void desk_ack(struct desk *d, struct desk_stream *s, uint64_t number);
void desk_advance(struct desk *d, uint64_t ns);

const struct wire_to_proxy *desk_last(const struct desk_stream *s);
/* Over all messages of the stream. */
unsigned desk_count_results(const struct desk_stream *s);
const struct wire_read_result *desk_find_read(const struct desk_stream *s, uint64_t read);
unsigned desk_count_expects(const struct desk_stream *s);

#endif
