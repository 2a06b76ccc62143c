/* The command line of coolbeans-node, checked.
 *
 * Owns:     nothing; strings are those of argv.
 * Threads:  one, at start.
 * Errors:   one line that says what is wrong and how to mend it. */
#ifndef CB_NODE_NODE_OPTIONS_H
#define CB_NODE_NODE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/sys/cb_options.h"

/* A member of the cluster. */
struct node_member {
    uint64_t id; /* in --cluster: the place among the sorted names, from 1 */
    char name[CB_NODE_NAME_MAX + 1];
    char grpc[CB_ADDRESS_MAX];
    char raft[CB_ADDRESS_MAX]; /* the next port */
};

struct node_options {
    const char *name;
    const char *data_dir;
    const char *cluster_text; /* NULL: --join */
    const char *join_text;    /* NULL: --cluster */
    const char *listen_text;
    const char *http;       /* NULL: none */
    const char *ready_file; /* NULL: none */
    bool insecure;
    uint64_t verbose;
    uint64_t election_ms;
    uint64_t heartbeat_ms;
    uint64_t session_timeout_ns;
    uint64_t jobs_max;      /* of the cluster; 0: no bound */
    uint64_t bytes_max;     /* the same */
    uint64_t scrub_rate;    /* bytes a second; 0: none */
    uint64_t reserve_space; /* bytes that a majority of the disks keeps free; 0: none */
    uint64_t body_cache;    /* bytes; 0: no bound */

    /* --cluster, which counts for the first start alone: after that the cluster knows. */
    struct node_member members[CB_CLUSTER_NODES_MAX]; /* sorted by name */
    size_t n_members;
    size_t self;      /* place of `name` in them */
    uint64_t cluster; /* digest of the sorted names; 0: --join */
    /* --join: members of a cluster that exists, which counts until this node is one of them. */
    char join[CB_CLUSTER_NODES_MAX][CB_ADDRESS_MAX];
    size_t n_join;
    char listen_grpc[CB_ADDRESS_MAX];
    char listen_raft[CB_ADDRESS_MAX];
};

/* CB_OPTIONS_ERROR: `text` is the sentence; HELP, VERSION: what to print. */
enum cb_options_result
node_options_parse(struct node_options *o, int argc, char **argv, struct cb_buf *text);

/* The gRPC address of a member in the one form, and its raft address, which is at the next port.
 * False: `text` is not HOST:PORT with a port from 1 to 65534. */
CB_MUST_USE bool node_addresses(const char *text,
                                char grpc[static CB_ADDRESS_MAX],
                                char raft[static CB_ADDRESS_MAX]);
/* The other way, of what somebody said; false: it is no such address. */
CB_MUST_USE bool node_grpc_of_told(const char *raft, char grpc[static CB_ADDRESS_MAX]);
/* `raft` is what node_addresses has made. */
void node_grpc_of_raft(const char *raft, char grpc[static CB_ADDRESS_MAX]);

#endif
