/* What somebody may say to a member's raft port who is no member, or passes for one. */
#ifndef CB_UNIT_NODE_REPLICA_STRANGER_H
#define CB_UNIT_NODE_REPLICA_STRANGER_H

#include <stdint.h>

#include "common/base/cb_rng.h"

/* Connects to `to` at an IPv4 address, says something and leaves; now and then as member `from`. */
void stranger_visit(const char *address, uint64_t from, uint64_t to, struct cb_rng *rng);

#endif
