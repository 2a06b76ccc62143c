/* What the files of the node share: node.c puts the parts together, node_core.c is the environment
 * of the core, node_store.c opens the store, node_bootstrap.c is the first start of a cluster,
 * node_join.c that of a node which is added to one, node_members.c knows who belongs to it,
 * node_change.c changes that, node_peers.c has the connections to other members, node_clock.c asks
 * them for their clocks, node_space.c for the room on their disks, node_state.c for parts of their
 * states, node_room.c is a start on a full disk, node_scrub.c reads what is stored again,
 * node_selfcheck.c looks after the gRPC listener, node_status.c answers about it all. */
#ifndef CB_NODE_NODE_INTERNAL_H
#define CB_NODE_NODE_INTERNAL_H

#include <uv.h>

#include "common/rpc/rpc.h"
#include "common/rpc/rpc_client.h"
#include "common/sys/cb_clock.h"
#include "node/core/core.h"
#include "node/node.h"
#include "node/replica/replica_uv.h"
#include "node/service/service.h"

/* Noted in the store, for the bootstrap rule (design D12). */
enum node_phase {
    NODE_EMPTY,        /* nothing on disk */
    NODE_PREPARED,     /* all members were seen empty or prepared */
    NODE_BOOTSTRAPPED, /* takes part, or did */
    NODE_JOINING,      /* has an id of its own, and waits until it is added */
    NODE_JOINED,       /* was added; its log may still be empty */
};

struct node_timer {
    struct node *n;
    enum core_timer which;
    uint64_t at_ns; /* by the clock of that timer */
    uv_timer_t uv;
};

struct node;

/* node_room.c */
struct node_room {
    bool is_waiting; /* there is none: the log is not opened yet */
    void (*next)(struct node *n);
    uv_timer_t timer;
};

struct node_bootstrap;
struct node_change;
struct node_join;
struct node_peers;
/* A sentence for the operator. */
#define NODE_LAST_WORDS_MAX 512

struct node_scrub;
struct node_selfcheck;
struct node_stranger;

struct node {
    const struct node_options *options;
    const struct cb_clock *clock;
    uv_loop_t loop;
    uv_prepare_t prepare;
    struct node_timer timers[CORE_TIMER_COUNT];
    uv_async_t async; /* the store's thread: something is durable */
    uv_signal_t sigterm, sigint;

    struct rpc *rpc;
    struct service *service;
    struct node_selfcheck *selfcheck; /* NULL: the port is out of this machine's own reach */
    struct store *store;
    struct node_scrub *scrub; /* NULL: off, or ended */
    uint64_t cluster;         /* what all nodes of the cluster have in common */
    uint64_t id;              /* of this node, never used for another directory (design D12) */
    enum node_phase phase;
    struct node_room room;
    struct node_bootstrap *bootstrap;                 /* while it waits for the other members */
    struct node_join *join;                           /* while it waits until it is one */
    struct node_member members[CB_CLUSTER_NODES_MAX]; /* node_members.c */
    size_t n_members;
    uint64_t asked_ns;              /* node_stranger.c, when others were last asked */
    struct node_stranger *stranger; /* one that is asked about itself */
    uint64_t missed_ns; /* node_members.c, since when there is no leader; 0: there is one */
    uv_timer_t gone_timer;
    struct node_change *change; /* one that is under way */
    struct node_peers *peers;
    uint64_t state_from; /* id of the member that was last asked for a part of its state */
    uv_timer_t state_timer;
    struct core *core;
    struct replica_uv *replica_uv;
    struct replica *replica; /* NULL until it is about to start */

    char waits_text[CB_WAITS_TEXT_MAX]; /* of the last status */
    bool is_stopping;
    char last_words[NODE_LAST_WORDS_MAX]; /* "": it ends because it was told to */
    unsigned handover_polls;              /* until it stops waiting for another leader */
    unsigned end_polls;                   /* until it stops waiting for a worker */
    uv_timer_t stop_timer;
};

/* ---- node.c ---- */

/* Hands over what it leads and ends; with n->last_words, if there are any, as after an error. */
void node_stop(struct node *n, const char *why);
/* The log may be started: the node takes part. */
void node_start_replica(struct node *n);

/* ---- node_core.c ---- */

/* Timers and the wake-up of the loop: before the store is opened. */
void node_core_init(struct node *n);
/* Loads the machine from the store, or ends the process. */
void node_core_create(struct node *n);
/* Any thread: something is durable. */
void node_core_wake(struct node *n);

/* ---- node_store.c ---- */

/* The cluster that the directory belongs to; false when it is new. */
CB_MUST_USE bool node_store_find_cluster(struct node *n);
/* Opens the store and reads id and phase, or ends the process. */
void node_store_open(struct node *n);
/* Notes of this node alone. False, and nothing in `out`, when there is none. */
CB_MUST_USE bool node_store_get_note(struct node *n, const char *name, struct cb_buf *out);
/* Durable on return. */
void node_store_set_note(struct node *n, const char *name, struct cb_span value);
/* Durable on return. */
void node_store_set_phase(struct node *n, enum node_phase phase);

/* ---- node_bootstrap.c ---- */

/* Asks the other members until the log may be started, then calls node_start_replica. */
void node_bootstrap_start(struct node *n);

/* ---- node_join.c ---- */

/* Asks at --join which cluster that is; returns when it knows. Nothing is on disk before. */
void node_join_find_cluster(struct node *n);
/* Asks there until this node is one of its members, then calls node_start_replica. */
void node_join_start(struct node *n);

/* ---- node_members.c ---- */

/* Who the members were last, or those of --cluster. */
void node_members_load(struct node *n);
/* These are the members, as one of them says. Durable on return. */
void node_members_set(struct node *n, const struct node_member *members, size_t count);
/* For core_env. */
void node_members_changed(void *data);
/* NULL: there is none. */
const struct node_member *node_member(const struct node *n, uint64_t id);
/* The gRPC address of a member, empty when there is no such id. */
const char *node_grpc_of(const struct node *n, uint64_t id);
/* Looks from time to time whether this node was removed, which its log does not tell. */
void node_members_start(struct node *n);
void node_members_stop(struct node *n);

/* ---- node_stranger.c ---- */

/* For core_env: asks whether that is a member. */
void node_stranger_speaks(void *data, uint64_t id, const char *address);
/* Before the service is closed. */
void node_stranger_stop(struct node *n);

/* ---- node_change.c ---- */

/* For service_source. */
void node_change_on_asked(void *data, const struct wire_change_request *q, struct rpc_call *call);
/* Answers what is under way. Before the service is closed. */
void node_change_stop(struct node *n);

/* ---- node_peers.c ---- */

void node_peers_create(struct node *n);
/* For calls to another member, whatever they are about; made when it is wanted first. Not after
 * node_peers_close. NULL: there is no such member. */
struct rpc_client *node_peer(struct node *n, uint64_t id);
/* Leaves those who are members no more, or elsewhere. */
void node_peers_changed(struct node *n);
/* Cancels what is asked; rpc_close waits for that. Before rpc_close. */
void node_peers_close(struct node *n);

/* ---- node_clock.c ---- */

/* For core_env. */
void node_clock_ask(void *data, uint64_t id);
/* For service_source. */
void node_clock_fill(void *data, struct wire_clock_reply *out);

/* ---- node_digest.c ---- */

/* For core_env. */
void node_digest_ask(void *data, uint64_t id);
void node_digest_differs(void *data, const char *sentence);
/* For service_source. */
void node_digest_fill(void *data, struct wire_digests_reply *out);
/* Ends the process when its state was found to differ before. */
void node_digest_check(struct node *n);
/* ---- node_space.c ---- */

/* For core_env. */
uint64_t node_space_free(void *data);
void node_space_ask(void *data, uint64_t id);
/* A sentence, in `text` or a literal, when a full disk holds this node up; else "". */
const char *node_space_waits(const struct node *n, char text[static CB_WAITS_TEXT_MAX]);

/* ---- node_room.c ---- */

/* Before the store is opened: makes a little room on a full disk, if it can. */
void node_room_prepare(struct node *n);
/* Calls `next`, which opens the log, as soon as there is room for that; at once, or later. */
void node_room_wait(struct node *n, void (*next)(struct node *n));

/* ---- node_scrub.c ---- */

struct node_scrub_view {
    bool is_on;
    uint64_t bytes;            /* read since the start */
    uint64_t passes;           /* over all that is stored */
    uint64_t age_s;            /* since the last of them ended; 0 when there is none */
    uint64_t damaged_segments; /* of the log, in the last of them */
};

/* Reads what is stored again and again; ends the process when it is damaged. */
void node_scrub_start(struct node *n);
/* Before the store is closed. Waits for a step. */
void node_scrub_stop(struct node *n);
void node_scrub_view(const struct node *n, struct node_scrub_view *out);

/* ---- node_state.c ---- */

/* For core_env. */
void node_state_ask(void *data, uint64_t id, const struct core_state_ask *ask);
void node_state_answer(void *data, void *call, const struct core_state_part *part);
/* For service_source. */
void node_state_on_asked(void *data, const struct wire_state_request *q, struct rpc_call *call);

/* ---- node_selfcheck.c ---- */

struct node_selfcheck_config {
    uv_loop_t *loop;
    struct rpc *rpc;
    const struct cb_clock *clock;
    const char *listen;   /* where a server of this process listens that has the health service */
    uint64_t every_ms;    /* 0: 5000; from the end of one check to the next */
    uint64_t deadline_ms; /* 0: 3000; for an answer */
};

/* From now on new connections there must be answered: three in a row that are not end the process.
 * NULL, and a line in the log, when this machine cannot reach the port even now. Blocks for a
 * second at most for each address in that case. */
struct node_selfcheck *node_selfcheck_start(const struct node_selfcheck_config *config);
/* Before rpc_close; frees `s` (which may be NULL) once the loop has turned. */
void node_selfcheck_stop(struct node_selfcheck *s);

/* ---- node_status.c ---- */

void node_status_fill(void *data, struct wire_status *out);
void node_status_identify(void *data,
                          const struct wire_identify_request *q,
                          struct wire_identify_reply *out);

/* ---- node_http.c ---- */

/* Listens at --http, or ends the process. */
void node_http_open(struct node *n);

/* ---- node_ready.c ---- */

/* Ends the process when nobody can listen at the address; `what` the port is for. */
void node_ready_check_port(const char *address, const char *what);
/* Writes --ready-file and tells the service manager. */
void node_ready_tell(const struct node *n);
void node_ready_tell_stopping(void);

#endif
