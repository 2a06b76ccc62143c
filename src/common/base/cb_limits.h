/* Every bound of the system, with its reason (design D10). Reaching one has a defined answer and a
 * test; who is behind stops reading rather than grow. */
#ifndef CB_COMMON_BASE_CB_LIMITS_H
#define CB_COMMON_BASE_CB_LIMITS_H

#include <stdint.h>

#define CB_KIB ((uint64_t)1024)
#define CB_MIB (1024 * CB_KIB)
#define CB_NS_PER_MS UINT64_C(1000000)
#define CB_NS_PER_S UINT64_C(1000000000)

/* --- the beanstalkd protocol --- */
#define CB_LINE_MAX 224                  /* a command line with its CRLF (beanstalkd) */
#define CB_TUBE_NAME_MAX 200             /* beanstalkd */
#define CB_JOB_SIZE_DEFAULT 65535        /* beanstalkd's default of -z */
#define CB_JOB_SIZE_MAX (4 * CB_MIB)     /* most that -z may say: a job is one log entry */
#define CB_RESERVE_TIMEOUT_MAX 2147483647u /* seconds (beanstalkd) */

/* --- names and identities --- */
#define CB_NODE_NAME_MAX 64
#define CB_PROXY_NAME_MAX 255 /* default: host name and port */
#define CB_ADDRESS_MAX 300    /* "host:port", host names are at most 253 bytes */
#define CB_ID_MAX ((UINT64_C(1) << 53) - 1) /* ids stay exact in a double (design D13) */
#define CB_CLUSTER_NODES_MAX 7

/* --- the job state machine --- */
/* What is due is worked off at most this many at a time, so that no apply is long (design D1). */
#define CB_DUE_PER_ENTRY_MAX 4096
/* Proxies known at once; more are refused an opening. */
#define CB_SESSIONS_MAX 1024
/* Connections of one session; a proxy has fewer descriptors than that. */
#define CB_CONNS_PER_SESSION_MAX 1000000
/* Results a session has not acknowledged: beyond it its waiters get no grants (design D3). */
#define CB_RESULTS_UNACKED_MAX 65536
#define CB_RESULT_BYTES_UNACKED_MAX (64 * CB_MIB)

/* --- log entries --- */
#define CB_ENTRY_SIZE_SOFT (64 * CB_KIB) /* a batch is closed here; a larger job is alone in its own */
#define CB_ENTRY_SIZE_MAX (CB_JOB_SIZE_MAX + 64 * CB_KIB)
#define CB_ENTRY_COMMANDS_MAX 4096
#define CB_ENTRIES_IN_FLIGHT_MAX 4 /* entries proposed and not yet applied */

/* --- streams between proxy and node --- */
#define CB_STREAM_MESSAGE_SOFT (64 * CB_KIB)
#define CB_STREAM_MESSAGE_MAX (8 * CB_MIB) /* the largest accepted; more ends the stream */
/* Requests of a session that the leader holds unproposed before it stops reading the stream. */
#define CB_SESSION_QUEUE_BYTES_MAX (8 * CB_MIB)
/* Requests that a proxy has sent and that were not applied yet. */
#define CB_PROXY_IN_FLIGHT_BYTES_MAX (16 * CB_MIB)
#define CB_PROXY_IN_FLIGHT_MAX 65536

/* --- the proxy's clients --- */
#define CB_CLIENT_OUTPUT_MAX (64 * CB_KIB) /* answers not yet taken; then its requests wait */
#define CB_CLIENT_PIPELINE_MAX 1024        /* commands of one client without an answer yet */
#define CB_CLIENT_READ_SIZE (16 * CB_KIB)

/* --- the store --- */
#define CB_STORE_DIRTY_BYTES_MAX (64 * CB_MIB) /* changed records not yet in LMDB (design D6) */
#define CB_STORE_MAP_SIZE (UINT64_C(1) << 40)  /* address space of LMDB, not memory */

/* --- raft (libraft.md sections 4, 11, 12) --- */
#define CB_RAFT_SNAPSHOT_THRESHOLD 1024
#define CB_RAFT_SNAPSHOT_TRAILING 2048
#define CB_RAFT_INFLIGHT_MAX 128
#define CB_RAFT_SEGMENT_SIZE (8 * CB_MIB)

#endif
