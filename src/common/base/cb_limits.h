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
#define CB_LINE_MAX 224                    /* a command line with its CRLF (beanstalkd) */
#define CB_TUBE_NAME_MAX 200               /* beanstalkd */
#define CB_JOB_SIZE_DEFAULT 65535          /* beanstalkd's default of -z */
#define CB_JOB_SIZE_MAX (4 * CB_MIB)       /* most that -z may say: a job is one log entry */
#define CB_RESERVE_TIMEOUT_MAX 2147483647u /* seconds (beanstalkd) */

/* --- names and identities --- */
#define CB_NODE_NAME_MAX 64
#define CB_NODE_NAME_CHARS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
#define CB_PROXY_NAME_MAX 255               /* default: host name and port */
#define CB_ADDRESS_MAX 300                  /* "host:port", host names are at most 253 bytes */
#define CB_ID_MAX ((UINT64_C(1) << 53) - 1) /* ids stay exact in a double (design D13) */
#define CB_CLUSTER_NODES_MAX 7
#define CB_CHANGE_TEXT_MAX 512 /* what an operator is told of a change of the members */
#define CB_WAITS_TEXT_MAX 512  /* what an operator is told that a node waits for */
/* A clock of the cluster that a member tells, in ns, so that no sum overflows: 146 years. */
#define CB_CLUSTER_CLOCK_MAX (UINT64_C(1) << 62)
#define CB_STATUS_COUNTERS_MAX                                                                     \
    256 /* counters in one status reply; there are fewer in the sources */

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
/* A batch is closed here; a larger job is alone in its own. The log in memory holds 2,048 to 3,072
 * entries (trailing and threshold below), so this bounds it for small jobs: 48 MiB (ADR 5). */
#define CB_ENTRY_SIZE_SOFT (16 * CB_KIB)
#define CB_ENTRY_SIZE_MAX (CB_JOB_SIZE_MAX + 64 * CB_KIB)
#define CB_ENTRY_COMMANDS_MAX 4096
/* An entry that is not full waits while so many are on their way: each costs every node a write. */
#define CB_ENTRIES_IN_FLIGHT_PARTIAL 1
#define CB_ENTRIES_IN_FLIGHT_MAX 4 /* entries proposed and not yet applied */

/* --- streams between proxy and node --- */
#define CB_STREAM_MESSAGE_SOFT (64 * CB_KIB)
#define CB_STREAM_MESSAGE_MAX (8 * CB_MIB) /* the largest accepted; more ends the stream */
/* A message once it is decoded. protobuf-c makes a struct of a hundred bytes of a field of two, so
 * this is bounded apart from the message itself. Lists of tube names need the most, up to 10 times
 * their bytes; messages of jobs two or three times theirs. */
#define CB_WIRE_ARENA_MAX (8 * CB_STREAM_MESSAGE_MAX)
/* Of that, what is kept for the next message: a few times what CB_STREAM_MESSAGE_SOFT becomes. */
#define CB_WIRE_ARENA_KEEP CB_MIB
/* Requests of a session that the leader holds unproposed before it stops reading the stream. */
#define CB_SESSION_QUEUE_BYTES_MAX (8 * CB_MIB)
/* Requests that a proxy has sent and that were not applied yet. */
#define CB_PROXY_IN_FLIGHT_BYTES_MAX (16 * CB_MIB)
#define CB_PROXY_IN_FLIGHT_MAX 65536

/* --- the proxy's clients --- */
#define CB_CLIENT_OUTPUT_MAX (64 * CB_KIB) /* answers not yet taken; then its requests wait */
#define CB_CLIENT_PIPELINE_MAX 1024        /* commands of one client without an answer yet */
#define CB_CLIENT_READ_SIZE (16 * CB_KIB)

/* --- the log --- */
#define CB_LOG_LINE_MAX 1024 /* a longer line is cut */
/* Lines of one event in one window: a storm of one kind must not bury the others. */
#define CB_LOG_BURST 20
#define CB_LOG_WINDOW_NS (5 * CB_NS_PER_S)
#define CB_LOG_EVENTS_MAX 256 /* event names known; there are fewer in the sources */

/* --- calls --- */
/* Streams and calls that one server has open at once: some for each proxy and node
 * (CB_SESSIONS_MAX), with room for health checks and dumps; more are answered RESOURCE_EXHAUSTED.
 */
#define CB_RPC_CALLS_MAX 4096
#define CB_RPC_CALLS_PER_CONN_MAX 256 /* one peer alone must not use up the above */
#define CB_RPC_METHODS_MAX 32         /* methods of one server; there are fewer in the sources */
#define CB_RPC_HEALTH_SERVICES_MAX 8  /* the same for services with a health of their own */
#define CB_RPC_SERVICE_NAME_MAX 255   /* of a service in a health request */

/* --- HTTP of a node --- */
#define CB_HTTP_CONNECTIONS_MAX 64 /* health checks and scrapers: a few, short ones */
#define CB_HTTP_TIMEOUT_S 10       /* of an idle connection */

/* --- the store --- */
#define CB_STORE_DIRTY_BYTES_MAX (64 * CB_MIB) /* changed records not yet in LMDB (design D6) */
#define CB_STORE_MAP_SIZE (UINT64_C(1) << 40)  /* address space of LMDB, not memory */
#define CB_STORE_KEY_MAX 511                   /* what LMDB takes at most */
/* Copies of the state that are open at a time: a few per member that wants one. Each holds one of
 * LMDB's reader slots (126), of which the store's other calls need one while they run. */
#define CB_STORE_COPIES_MAX 32
/* With less space than this a write that was cut short met a full disk, not a broken one. */
#define CB_STORE_DISK_FULL_BELOW CB_MIB
#define CB_STORE_VALUE_MAX (CB_JOB_SIZE_MAX + 256 * CB_KIB) /* a body and what stands beside it */
#define CB_STORE_LOCAL_NAME_MAX 64
#define CB_STORE_LOCAL_MAX (64 * CB_KIB) /* a fact of the node alone: a list of members at most */
#define CB_STORE_IDENTITY_MAX 255        /* of a node's or a cluster's name in the directory */

/* A file of this size is kept for a start on a full disk... */
#define CB_BALLAST_SIZE CB_MIB
/* ...which needs as much: libraft looks with a file of 4 KiB what the file system can do. */
#define CB_START_ROOM (64 * CB_KIB)

/* What is read again each second to be checked, at most: no disk is faster. */
#define CB_SCRUB_RATE_MAX (16 * CB_KIB * CB_MIB)

/* Bodies that are read from the store at a time: with one read transaction, and so many that what
 * it costs to ask a thread is shared by them. */
#define CB_BODY_FETCH_MAX 64
#define CB_BODY_FETCH_BYTES CB_MIB /* and one body more */
/* Bodies read, until they are sent, and again if they must; the oldest go first. Some hundred
 * streams that look ahead by what follows have room in it. */
#define CB_BODIES_HERE_BYTES_MAX (32 * CB_MIB)
/* How far a stream of results looks ahead for bodies that are not in memory: what its next few
 * messages take, so that they are fetched while one is on its way. */
#define CB_BODY_AHEAD_MAX 64
#define CB_BODY_AHEAD_BYTES (4 * CB_STREAM_MESSAGE_SOFT)

/* --- raft (libraft.md sections 4, 11, 12) --- */
#define CB_RAFT_SNAPSHOT_THRESHOLD 1024
#define CB_RAFT_SNAPSHOT_TRAILING 2048
/* Where entries are large, as few as this: what simulation has shown to be safe (ADR 6). */
#define CB_RAFT_SNAPSHOT_THRESHOLD_MIN 64
#define CB_RAFT_SNAPSHOT_TRAILING_MIN 128
#define CB_RAFT_INFLIGHT_MIN 16
#define CB_RAFT_LOG_BYTES (96 * CB_MIB) /* of entries in memory, near enough */
#define CB_RAFT_INFLIGHT_MAX 128
#define CB_RAFT_SEGMENT_SIZE (8 * CB_MIB)
/* Entries that wait for a majority; beyond it a follower that is behind would never catch up. */
#define CB_RAFT_BACKLOG_MAX 64
/* Entries that the log may grow by while a member is sent the state, so that it needs no second. */
#define CB_RAFT_PINNED_ENTRIES_MAX 65536
/* A member is not told again within this time to fetch the state, unless the connection broke. */
#define CB_RAFT_INSTALL_RESEND_MS 1000
/* How long the log is kept for a member that was told to, or last asked for a part of the state. */
#define CB_RAFT_PIN_MS 60000
/* When it was not kept for long enough, entries come so slowly the next time that the rest of the
 * room would last for that long, but one in CB_RAFT_SLOWEST_MS at least. */
#define CB_RAFT_SLOW_MS 30000
#define CB_RAFT_SLOWEST_MS 1000
/* With less space than this a late append is a full disk, not a broken one. */
#define CB_RAFT_DISK_FULL_BELOW (2 * CB_RAFT_SEGMENT_SIZE)
/* An AppendEntries above this goes as several: each is received, checked and written by itself. */
#define CB_RAFT_APPEND_BYTES (4 * CB_MIB)
/* A state goes to another member in parts of this size, and one record more (design D7). */
#define CB_STATE_PART_SIZE CB_MIB
#define CB_STATE_PART_MAX (CB_STATE_PART_SIZE + CB_STORE_VALUE_MAX + CB_KIB)
/* A copy of the state that nobody asks for ends; so does one that takes so long in all, since the
 * database can only grow meanwhile. */
#define CB_STATE_COPY_IDLE_MS 60000
#define CB_STATE_COPY_MS 900000
/* --- comparing states (design D8) --- */
#define CB_CHECKPOINT_ENTRIES 1024 /* of the log; a busy leader has some thousand a second */
#define CB_DIGESTS_KEPT 4096       /* checkpoints that a node can compare another's with */
#define CB_DIGESTS_TOLD 32         /* the newest: asked for every few seconds */

/* Members in a configuration on the wire: those of a cluster and those that are to replace them. */
#define CB_RAFT_CONF_MAX (2 * CB_CLUSTER_NODES_MAX)
/* "NAME=HOST:PORT", which libraft takes for the address of a member. */
#define CB_RAFT_SERVER_MAX (CB_NODE_NAME_MAX + 1 + CB_ADDRESS_MAX)

/* --- links between nodes (ADR 7) --- */
/* Payload of a frame; the largest is one entry, or an AppendEntries, with its head. */
#define CB_LINK_FRAME_MAX (16 * CB_MIB)
#define CB_LINK_HELLO_MAX 512 /* the same for who has not said hello: an address at most */
#define CB_LINK_FRAME_KEEP (64 * CB_KIB) /* of a frame's memory, what is kept for the next one */
#define CB_LINK_READ_SIZE (64 * CB_KIB)  /* of the buffer that all connections share */
/* A send to a member with as much waiting is refused: it is dead or too slow, and raft sends again.
 * More than a leader has on its way to one that keeps up (CB_ENTRIES_IN_FLIGHT_MAX of the largest).
 */
#define CB_LINK_QUEUE_MAX (32 * CB_MIB)
#define CB_LINK_PEERS_MAX CB_RAFT_CONF_MAX
/* Connections that have not said hello; one more ends the oldest, since a member says it at once.
 */
#define CB_LINK_UNKNOWN_MAX 32
#define CB_LINK_LISTENERS_MAX 8 /* addresses of one host name that are listened on */
#define CB_LINK_HELLO_MS 5000   /* for a hello to come: some retransmissions */
#define CB_LINK_PING_MS 1000    /* an idle sender shows that it is there */
#define CB_LINK_SILENCE_MS 5000 /* without a frame the sender is gone: a few pings */
#define CB_LINK_CONNECT_MS 3000 /* for a connection to be made: two retransmissions */
/* Between attempts: short, since elections wait for it; growing, since a member may be down. */
#define CB_LINK_RETRY_MIN_MS 100
#define CB_LINK_RETRY_MAX_MS 1000
#define CB_LINK_TICK_MS 100 /* all of these are counted in such ticks */

#endif
