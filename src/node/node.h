/* A node: one loop on which machine, log, store, proposer and services are put together.
 *
 * Owns:     everything of the process.
 * Threads:  the loop's; the libraries below have their own.
 * Errors:   what the environment refuses ends the process with one sentence and exit status 1. */
#ifndef CB_NODE_NODE_H
#define CB_NODE_NODE_H

#include "node/node_options.h"

/* Runs until SIGTERM or SIGINT, then ends the process with status 0. */
_Noreturn void node_run(const struct node_options *options);

#endif
