/* What the files of the node share: node.c puts the parts together, node_log.c brings entries to
 * the machine, node_store.c the machine's records to the store, node_transfer.c states to and from
 * other nodes, node_bootstrap.c the first start of a cluster, node_status.c answers about it all.
 */
#ifndef CB_NODE_NODE_INTERNAL_H
#define CB_NODE_NODE_INTERNAL_H

#include <uv.h>

#include "common/base/cb_list.h"
#include "common/rpc/rpc.h"
#include "common/rpc/rpc_client.h"
#include "common/sys/cb_clock.h"
#include "node/entry/entry_decoder.h"
#include "node/node.h"
#include "node/proposer/proposer.h"
#include "node/replica/replica_uv.h"
#include "node/service/service.h"
#include "node/store/store.h"

/* Records changed since the last span are handed to the store when they are this old or this many:
 * rarely, so that a job that lives shortly never reaches the disk and the log has it to itself; not
 * so rarely that a drain is felt. */
#define NODE_SPAN_NS (200 * CB_NS_PER_MS)
#define NODE_SPAN_BYTES (4 * CB_MIB)

/* Noted in the store, for the bootstrap rule (design D12). */
enum node_phase {
    NODE_EMPTY,        /* nothing on disk */
    NODE_PREPARED,     /* all members were seen empty or prepared */
    NODE_BOOTSTRAPPED, /* takes part, or did */
};

struct node_spans {
    struct store_meta applied;    /* of the machine as it is: index, term, stamp, wall */
    struct store_meta committing; /* on its way */
    struct store_meta durable;
    bool is_committing;
    bool lowers;      /* that commit carries the lowered pair */
    bool must_lower;  /* the replica waits for it */
    uint64_t wanted;  /* index that must become durable soon */
    uint64_t last_ns; /* CLOCK_MONOTONIC of the last commit */
    uv_timer_t timer;
    uv_async_t async; /* the store's thread: something is durable */
};

struct node_bootstrap;

struct node {
    const struct node_options *options;
    const struct cb_clock *clock;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer; /* the proposer's */
    uint64_t timer_ns;
    uv_signal_t sigterm, sigint;

    struct rpc *rpc;
    struct service *service;
    struct store *store;
    enum node_phase phase;
    struct node_bootstrap *bootstrap; /* while it waits for the other members */
    struct jsm *machine;
    struct proposer *proposer;
    struct replica_uv *replica_uv;
    struct replica *replica; /* NULL until it has started */
    struct replica_view view;
    bool in_append; /* the log may tell of a new role meanwhile: then it is looked at later */
    bool role_is_pending;
    struct entry_decoder decoder;
    struct node_spans spans;
    struct cb_list dumps;    /* struct dump: states asked for by other nodes, not yet made */
    struct install *install; /* the state of another node, on its way in */

    bool is_stopping;
    unsigned handover_polls; /* until it stops waiting for another leader */
    uv_timer_t stop_timer;
};

/* ---- node.c ---- */

/* What the end of each turn of the loop does. */
void node_turn(struct node *n);
uint64_t node_id(const struct node *n);
/* The gRPC address of a member, empty when there is no such id. */
const char *node_grpc_of(const struct node *n, uint64_t id);
/* The log may be started: the node takes part. */
void node_start_replica(struct node *n);

/* ---- node_log.c ---- */

void node_log_events(struct node *n, struct replica_events *out);
void node_log_env(struct node *n, struct proposer_env *out);
/* Tells the proposer of a role that came at a bad moment. */
void node_log_settle_role(struct node *n);

/* ---- node_store.c ---- */

/* Opens the store and loads the machine, or ends the process. */
void node_store_open(struct node *n);
void node_store_turn(struct node *n);
/* The machine has applied an entry; `live` as in proposer_applied. */
void node_store_applied(struct node *n, uint64_t index, uint64_t term, bool live);
bool node_store_is_behind(const struct node *n);
/* Starts a span as soon as none is under way. */
void node_store_want(struct node *n, uint64_t index);
void node_store_lower(struct node *n);
/* The store has another node's state now. */
void node_store_swapped(struct node *n);
/* Everything durable, then closed. */
void node_store_close(struct node *n);
/* Durable on return. */
void node_store_set_phase(struct node *n, enum node_phase phase);

/* ---- node_transfer.c ---- */

void node_transfer_dump(struct node *n, uint64_t at_least, struct replica_dump *dump);
/* Goes on with dumps whose index has become durable. */
void node_transfer_turn(struct node *n);
void node_transfer_install(struct node *n, struct replica_mark mark, struct cb_span bytes);
void node_transfer_installed(struct node *n, struct replica_mark mark);

/* ---- node_bootstrap.c ---- */

/* Asks the other members until the log may be started, then calls node_start_replica. */
void node_bootstrap_start(struct node *n);

/* ---- node_status.c ---- */

void node_status_fill(void *data, struct wire_status *out);
void node_status_identify(void *data, struct wire_identify_reply *out);

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
