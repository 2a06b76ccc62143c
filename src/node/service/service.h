/* The gRPC services of a node on one port: Queue (streams of proxies, handed to the proposer;
 * Watch), Cluster (Status, Identify, Clock, Digests, State, Change) and the standard health
 * service.
 *
 * Owns:     the server and its streams.
 * Does not: decide anything: the proposer does, and the node knows who it is.
 * Threads:  the loop's.
 * Errors:   of a peer end its stream or call with a status; of the listener, a sentence. */
#ifndef CB_NODE_SERVICE_SERVICE_H
#define CB_NODE_SERVICE_SERVICE_H

#include "common/base/cb_buf.h"
#include "common/rpc/rpc.h"
#include "common/wire/wire_change.h"
#include "common/wire/wire_cluster.h"
#include "common/wire/wire_digests.h"
#include "node/proposer/proposer.h"

struct service;

struct rpc_call;

/* The node's answers about itself; spans live until the next call. */
struct service_source {
    void *data;
    void (*status)(void *data, struct wire_status *out);
    void (*identify)(void *data,
                     const struct wire_identify_request *q,
                     struct wire_identify_reply *out);
    void (*clock)(void *data, struct wire_clock_reply *out);
    void (*digests)(void *data, struct wire_digests_reply *out);
    /* `call` is to be answered exactly once, now or later, also when its client has gone: with
     * service_state_reply, or rpc_call_fail. */
    void (*state)(void *data, const struct wire_state_request *q, struct rpc_call *call);
    /* The same, with service_change_reply. */
    void (*change)(void *data, const struct wire_change_request *q, struct rpc_call *call);
};

struct service_counters {
    uint64_t streams;   /* opened by proxies */
    uint64_t malformed; /* messages that did not decode */
};

struct service *service_create(struct rpc *rpc, const struct service_source *source);
/* Takes the port; nobody is served yet. False: `error` holds one sentence. */
CB_MUST_USE bool service_listen(struct service *s, const char *address, struct cb_buf *error);
/* Answers from now on. Until there is a proposer, streams are told to come back. */
void service_start(struct service *s);
void service_set_proposer(struct service *s, struct proposer *p);
/* What the health service says of coolbeans.v1.Queue: serving on the leader that serves, nowhere
 * else. */
void service_set_serving(struct service *s, bool serving);
/* Who leads, for those who watch: `leader` is the address of its gRPC port, "" when none is known,
 * of which nothing is said. */
void service_set_leader(struct service *s, uint64_t term, const char *leader);
/* And who belongs to the cluster, by the addresses of their gRPC ports: a newer list has a higher
 * `index` (> 0). */
void service_set_members(struct service *s,
                         uint64_t index,
                         const char *const *addresses,
                         uint32_t count);
const struct service_counters *service_counters_get(const struct service *s);

void service_change_reply(struct rpc_call *call, const struct wire_change_reply *m);
/* Answers a question for the state; what `m` borrows from may go after it. */
void service_state_reply(struct rpc_call *call, const struct wire_state_reply *m);

/* Ends every stream, waits for the answers to calls that the source holds, then calls `cb`; `s` is
 * freed. */
void service_close(struct service *s, void (*cb)(void *ctx), void *ctx);

/* The stream functions of struct proposer_env; `owner` is what the proposer was given. */
void service_stream_send(void *owner, const struct wire_to_proxy *message);
bool service_stream_can_send(void *owner);
void service_stream_end(void *owner, enum proposer_end why, const char *text);
void service_stream_set_reading(void *owner, bool on);

#endif
