/* The proxy as a whole: its parts, wired together on one loop.
 *
 * Owns:     everything below src/proxy for the life of the process.
 * Threads:  the main thread; gRPC has its own.
 * Errors:   what the environment refuses at start, and a newer proxy of the same name, end the
 *           process with a sentence. */
#ifndef CB_PROXY_PROXY_H
#define CB_PROXY_PROXY_H

#include "proxy/proxy_options.h"

/* Returns after SIGTERM or SIGINT, when the clients' connections are closed in the cluster too. */
void proxy_run(const struct proxy_options *options);

#endif
