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

/* A row of --cluster. Its id is its place among the sorted names, from 1. */
struct node_member {
    char name[CB_NODE_NAME_MAX + 1];
    char grpc[CB_ADDRESS_MAX];
    char raft[CB_ADDRESS_MAX]; /* the next port */
};

struct node_options {
    const char *name;
    const char *data_dir;
    const char *cluster_text;
    const char *listen_text;
    const char *http;       /* NULL: none */
    const char *ready_file; /* NULL: none */
    bool insecure;
    uint64_t verbose;
    uint64_t election_ms;
    uint64_t heartbeat_ms;
    uint64_t session_timeout_ns;
    uint64_t jobs_max;  /* of the cluster; 0: no bound */
    uint64_t bytes_max; /* the same */

    struct node_member members[CB_CLUSTER_NODES_MAX]; /* sorted by name */
    size_t n_members;
    size_t self;      /* place of `name` in them */
    uint64_t cluster; /* digest of the sorted names, never 0 */
    char listen_grpc[CB_ADDRESS_MAX];
    char listen_raft[CB_ADDRESS_MAX];
};

/* CB_OPTIONS_ERROR: `text` is the sentence; HELP, VERSION: what to print. */
enum cb_options_result
node_options_parse(struct node_options *o, int argc, char **argv, struct cb_buf *text);

#endif
