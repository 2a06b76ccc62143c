/* What the files of the engine share. Internal to this folder. */
#ifndef CB_PROXY_ENGINE_ENGINE_INTERNAL_H
#define CB_PROXY_ENGINE_ENGINE_INTERNAL_H

#include "common/base/cb_limits.h"
#include "common/base/cb_list.h"
#include "common/base/cb_map.h"
#include "common/base/cb_rng.h"
#include "proxy/engine/engine.h"
#include "proxy/protocol/bs_parse.h"
#include "proxy/protocol/bs_reply.h"

#define ENGINE_NEVER UINT64_MAX

/* A numbered request that is not known to be applied: it may have to be sent again. */
struct engine_request {
    struct wire_request wire; /* `tube` lies in `name`, `body` in `bytes` */
    struct cb_buf bytes;
    uint8_t name[]; /* of wire.tube.len bytes */
};

/* Requests in the order of their numbers, which have no gap. */
struct engine_queue {
    struct engine_request **ring;
    uint32_t cap; /* 0 or a power of two */
    uint32_t head;
    uint32_t len;
    uint64_t first; /* number of the oldest; of the next one when empty */
    size_t bytes;
};

/* A read that was not answered. Outlives its slot only as NULL: it goes with it. */
struct engine_read {
    struct cb_list link; /* in engine.reads_unsent or engine.reads_sent */
    struct wire_read wire;
    struct engine_client *client;
    struct engine_slot *slot;
    uint8_t name[];
};

enum engine_slot_kind {
    ENGINE_SLOT_REQUEST,
    ENGINE_SLOT_READ,
    ENGINE_SLOT_ANSWERED, /* `text` waits for the answers before it */
};

/* The place of an answer in the order of one client's answers. */
struct engine_slot {
    struct cb_list link;
    enum engine_slot_kind kind;
    enum bs_op op;
    bool big;                 /* the answer may be large (engine_client.big) */
    uint64_t request;         /* REQUEST: its number */
    struct engine_read *read; /* READ */
    struct cb_buf text;       /* ANSWERED: the answer; before, for `use`: the tube */
};

/* A parsed command that may not go yet. */
struct engine_held {
    enum bs_parse_result what;
    struct bs_command command; /* `tube` lies in `name` */
    uint8_t name[CB_TUBE_NAME_MAX];
};

struct engine_client {
    struct engine *engine;
    void *user;
    uint64_t conn;
    struct cb_list link;    /* in engine.clients */
    struct cb_list blocked; /* in engine.blocked while the session has no room */
    struct cb_list slots;
    uint32_t n_slots;
    uint32_t n_reads; /* slots of kind READ */
    struct engine_held *held;
    bool waits; /* its reserve is not answered: nothing behind it is taken */
    bool big;   /* an answer that may be large is outstanding */
    bool eof;
    bool half_closed; /* the machine knows of `eof` */
    bool finishing;   /* quit, or the end of what it sent: after the answers the socket closes */
    bool closing;     /* the socket's owner was told to close it */
    bool paused;      /* its owner was told not to read */
    bool put_open;    /* between a put's line and its outcome */
    uint64_t put_line_ns;
    uint64_t last_request; /* number of its last one */
    size_t out_pending;    /* bytes of answers that have not left the process */
    struct cb_buf in;      /* not yet parsed */
    struct cb_buf out;
    struct bs_parser parser;
};

enum engine_link_state {
    ENGINE_LINK_DOWN,      /* until retry_ns */
    ENGINE_LINK_ATTACHING, /* the stream is open, Attached has not come */
    ENGINE_LINK_ATTACHED,
};

/* The one stream, and the lease that its node confirms. */
struct engine_link {
    enum engine_link_state state;
    uint32_t node;
    uint32_t attempts; /* since the last success: without a pause while there are nodes untried */
    uint32_t hints;    /* followed since the last success or pause */
    uint64_t retry_ns;
    uint64_t attach_number;
    bool writable;
    uint64_t seq;           /* of the last message sent on this stream */
    uint64_t sent_ns;       /* when that was */
    uint64_t confirmed_seq; /* the leader has messages up to this one */
    uint64_t probe_seq;     /* the message whose confirmation is awaited for the lease; 0: none */
    uint64_t probe_ns;
    uint64_t next_send;  /* number of the request to send next */
    uint64_t resend_end; /* the last number that existed when the stream attached */
    bool resent;         /* the node was told that all of these were sent */
    uint64_t expect_seq; /* an EXPECT about messages before this one was already followed */
    /* Over all streams. */
    uint64_t lease_ns;   /* when the last confirmed message was sent */
    uint64_t timeout_ns; /* of the session; 0 before the first attach */
    bool fenced;
};

struct engine_node {
    char address[CB_ADDRESS_MAX];
    bool is_configured;
    bool is_member; /* as the newest list of members says; until there is one: it is configured */
    /* Its word on who leads. */
    bool is_watched;
    uint64_t retry_ns; /* of the watch */
};

struct engine {
    struct engine_ops ops;
    struct engine_config config; /* its strings are the engine's own */
    struct cb_rng rng;
    uint64_t now_ns;
    bool draining;
    bool stopping;
    bool is_superseded;

    struct cb_list clients;
    struct cb_list blocked;
    struct cb_map by_conn;
    uint32_t n_clients;
    uint64_t last_conn;

    uint64_t session;
    struct engine_queue queue;
    uint64_t seen_result;
    uint64_t acked_result; /* as told on this stream */
    size_t unacked_bytes;
    uint32_t counts[WIRE_COUNTER_COUNT];
    bool has_counts;

    struct cb_list reads_unsent;
    struct cb_list reads_sent;
    struct cb_map by_read;
    uint32_t n_reads;
    uint64_t last_read;
    uint64_t reads_retry_ns; /* some were answered `again`: not before this time */

    struct engine_link link;
    struct engine_node nodes[ENGINE_NODES_MAX];
    uint32_t n_nodes;
    uint64_t members_index;      /* of the newest list of members */
    uint64_t led_term;           /* the latest in which a node is known to lead */
    struct wire_to_node message; /* being built; kept for its arrays */
};

/* --- engine_queue.c --- */
void engine_queue_init(struct engine_queue *q, uint64_t first);
void engine_queue_clear(struct engine_queue *q, uint64_t first);
void engine_queue_fini(struct engine_queue *q);
/* Gives `wire` the next number, copies its tube and takes `body`, which may be NULL. */
uint64_t
engine_queue_add(struct engine_queue *q, const struct wire_request *wire, struct cb_buf *body);
const struct engine_request *engine_queue_get(const struct engine_queue *q, uint64_t number);
/* Number of the next one to be added. */
uint64_t engine_queue_next(const struct engine_queue *q);
/* Frees those up to `number`. */
void engine_queue_applied(struct engine_queue *q, uint64_t number);

/* --- engine_session.c --- */
/* Room for one more command of a client. */
bool engine_has_room(const struct engine *e);
/* A request of `c`; close and half-close need no room. */
uint64_t
engine_request(struct engine_client *c, const struct wire_request *wire, struct cb_buf *body);
/* A request with no more than an op. */
uint64_t engine_request_op(struct engine_client *c, enum wire_op op);
struct engine_read *engine_read_add(struct engine_client *c, const struct wire_read *wire);
void engine_read_remove(struct engine_read *r);
void engine_count(struct engine *e, enum wire_counter counter);
/* All reads are to be asked again. */
void engine_reads_unsend(struct engine *e);
/* Everything that belonged to the old session is forgotten. */
void engine_session_reset(struct engine *e,
                          uint64_t session,
                          uint64_t last_request,
                          uint64_t last_result);
/* False: the node broke the protocol. */
bool engine_take_results(struct engine *e, const struct wire_to_proxy *m);
bool engine_take_applied(struct engine *e, uint64_t number);
void engine_take_reads(struct engine *e, const struct wire_to_proxy *m);

/* --- engine_send.c --- */
/* True when a message should go now, not only with the next one. */
bool engine_has_to_send(const struct engine *e);
void engine_send(struct engine *e);

/* --- engine_link.c --- */
void engine_link_init(struct engine *e);
void engine_link_tick(struct engine *e);
uint64_t engine_link_wake_ns(const struct engine *e);
/* Gives the stream up and tries another node. `number`: of the note. */
void engine_link_abandon(struct engine *e, enum engine_note note, uint64_t number);
/* The message attaches the stream to a leader of a term that is over. */
bool engine_link_is_stale(const struct engine *e, const struct wire_to_proxy *m);
/* False: the node broke the protocol, or the stream was given up. */
bool engine_link_take(struct engine *e, const struct wire_to_proxy *m);
bool engine_link_expect(struct engine *e, uint64_t number, uint64_t confirmed_seq);
/* Closes all clients when the lease has run out without a word of the leader. */
void engine_fence(struct engine *e);

/* Leaves the stream, if there is one, for another node at once: that one leads in `term`. */
void engine_link_follow(struct engine *e, uint32_t node, uint64_t term);

/* --- engine_nodes.c --- */
static inline bool engine_node_is_tried(const struct engine_node *n)
{
    return n->is_configured || n->is_member;
}

void engine_nodes_init(struct engine *e);
/* The node with this address; n_nodes when it is none of ours. */
uint32_t engine_node_find(const struct engine *e, const char *address);
/* The one to be tried after that. */
uint32_t engine_node_next(const struct engine *e, uint32_t node);
/* How many there are to be tried. */
uint32_t engine_nodes_count(const struct engine *e);
/* The members, as a node names them. */
void engine_nodes_told(struct engine *e, const struct wire_leadership *m);

/* --- engine_watch.c --- */
void engine_watch_tick(struct engine *e);
uint64_t engine_watch_wake_ns(const struct engine *e);

/* --- engine_client.c --- */
/* Takes what may be taken of what the client has sent. */
void engine_client_run(struct engine_client *c);
/* At once; with `tell` the machine is told that the connection is closed. */
void engine_client_abort(struct engine_client *c, bool tell);
uint32_t engine_abort_all(struct engine *e, bool tell);
/* Clients that waited for room go on. */
void engine_unblock(struct engine *e);

/* --- engine_command.c --- */
/* False: it has to wait for answers to what came before it. */
bool engine_command_may_go(const struct engine_client *c,
                           enum bs_parse_result what,
                           const struct bs_command *command);
/* Takes the body of `command`. */
void engine_command_take(struct engine_client *c,
                         enum bs_parse_result what,
                         struct bs_command *command);

/* --- engine_answer.c --- */
struct engine_slot *
engine_slot_add(struct engine_client *c, enum engine_slot_kind kind, enum bs_op op);
void engine_slots_drop(struct engine_client *c);
void engine_answer_word(struct engine_client *c, struct engine_slot *s, enum bs_reply word);
/* The client may go on afterwards: engine_client_run. */
void engine_answer_result(struct engine_client *c,
                          struct engine_slot *s,
                          const struct wire_result *r);
void engine_answer_read(struct engine_client *c,
                        struct engine_slot *s,
                        const struct wire_read_result *r);

/* --- engine_stats.c --- */
void engine_stats_write(const struct engine *e,
                        struct cb_buf *out,
                        const struct wire_read_result *r);

#endif
