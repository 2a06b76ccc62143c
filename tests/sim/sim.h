/* The simulator: a whole cluster, its proxies and their clients in one process, on virtual time,
 * from one seed. What runs is the product's own code (node/core with everything below it, and the
 * proxy's engine); clocks, disks, networks and random numbers are the simulator's. See
 * docs/TESTING.md.
 *
 *     sim_options.c   what a seed is like          sim_proxy.c   proxies
 *     sim_node.c      nodes: their processes       sim_conn.c    sockets of clients
 *     sim_store.c     their stores                 sim_faults.c  what goes wrong, and when
 *     sim_answers.c   what clients read, and the log
 *     sim_clock.c     the cluster's clock          sim_state.c   states in parts
 *     sim_call.c      what calls between nodes share
 *     sim_stream.c    streams of proxies to nodes  sim_check.c   what must never be
 *     sim_run.c       one run from begin to end    sim_main.c    many runs, each in a process
 *
 * Owns:     everything of one run. A run ends with its process: what a crash leaves behind in
 *           memory is not looked for.
 * Threads:  one (and LMDB's writer, which is waited for).
 * Errors:   a violation ends the process with SIM_EXIT_VIOLATION and a sentence. */
#ifndef CB_TESTS_SIM_SIM_H
#define CB_TESTS_SIM_SIM_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_list.h"
#include "common/base/cb_rng.h"
#include "common/sys/cb_clock.h"
#include "history/history_check.h"
#include "node/core/core.h"
#include "proxy/engine/engine.h"
#include "sim/sim_client.h"
#include "sim/sim_oracle.h"
#include "support/fake_raft_io.h"
#include "support/store_mem.h"

#define SIM_NODES_MAX 7
#define SIM_PROXIES_MAX 3
#define SIM_EXIT_VIOLATION 3
#define SIM_SKIP_MAX 256 /* faults of a run that --skip can name */

/* Fault classes: a seed has some of them, `--without` masks them. X(symbol, name, what) */
#define SIM_FAULTS(X)                                                                              \
    X(LOSS, "loss", "messages between nodes are lost")                                             \
    X(LATE, "late", "messages between nodes are overtaken")                                        \
    X(TWICE, "twice", "messages between nodes come twice")                                         \
    X(FLIP, "flip", "states on their way to a node are damaged")                                   \
    X(STRANGER, "stranger", "messages of a node that is no member")                                \
    X(PARTITION, "partition", "nodes and proxies cannot reach each other, both ways")              \
    X(ONEWAY, "one-way", "nodes and proxies cannot be reached, but reach the others")              \
    X(LAG, "lag", "one node is away so long that it needs a snapshot")                             \
    X(CUT, "cut", "streams of proxies and links of nodes break with messages on the way")          \
    X(GAP, "gap", "a message of a proxy to a node is left out")                                    \
    X(CRASH, "crash", "nodes die and come back")                                                   \
    X(CRASH_ALL, "crash-all", "all nodes die at once")                                             \
    X(TORN, "torn", "a crash catches writes under way")                                            \
    X(PAUSE, "pause", "nodes and proxies stand still")                                             \
    X(SLOW_DISK, "slow-disk", "writes take up to a second")                                        \
    X(DISK_FULL, "disk-full", "log and store of a node have no room")                              \
    X(DISK_LOW, "disk-low", "disks have less room than is to be kept free")                        \
    X(EIO, "eio", "a write of the log fails")                                                      \
    X(ROT, "rot", "a log cannot be read, or has lost its end")                                     \
    X(CLOCK, "clock", "wall clocks step, other clocks drift")                                      \
    X(TRANSFER, "transfer", "leadership is handed over")                                           \
    X(TIMELY, "timely", "crashes and cuts in the middle of elections and installs")                \
    X(PROXY, "proxy", "proxies die and come back")                                                 \
    X(CLIENT, "client", "connections of clients are reset")

enum sim_fault {
#define X(symbol, name, what) SIM_FAULT_##symbol,
    SIM_FAULTS(X)
#undef X
        SIM_FAULT_COUNT
};

/* What has to have happened in a long run, or the simulator does not reach what it is for. */
#define SIM_COUNTERS(X)                                                                            \
    X(elections, "leaders that began a term")                                                      \
    X(crashes, "nodes killed")                                                                     \
    X(crashes_all, "all nodes killed at once")                                                     \
    X(deaths, "nodes that ended themselves because of a fault")                                    \
    X(starts_refused, "starts refused: a log that is damaged or has lost its end")                 \
    X(partitions, "cuts of the network")                                                           \
    X(pauses, "nodes or proxies that stood still")                                                 \
    X(lags, "nodes kept away for long")                                                            \
    X(transfers, "handovers asked for")                                                            \
    X(disks_full, "times a disk was full")                                                         \
    X(disks_low, "times a disk had less room than is to be kept free")                             \
    X(spaces_short, "times that the log said that too few disks have room")                        \
    X(puts_refused, "puts that were refused because of it")                                        \
    X(parts_told, "parts of a state that a node had from another")                                 \
    X(parts_flipped, "parts of a state that were damaged on their way")                            \
    X(clock_steps, "steps of a wall clock")                                                        \
    X(clocks_told, "times a node told another the cluster's clock")                                \
    X(digests_told, "digests of its state that a node told another")                               \
    X(digests_equal, "times a node found that it has the state of another")                        \
    X(clocks_begun_late, "times the cluster's clock began anew and had lost a second or more")     \
    X(clocks_by_wall, "times that wall clocks, put forward, led the cluster's clock ahead")        \
    X(clocks_late_ms, "milliseconds that the clusters' clocks had lost at the end")                \
    X(torn_appends, "appends torn by a crash")                                                     \
    X(store_crashes_early, "crashes before a commit of the store that was under way")              \
    X(store_crashes_late, "crashes after a commit of the store, before it was told")               \
    X(installs_cut, "crashes while a state was being installed")                                   \
    X(streams, "streams opened")                                                                   \
    X(streams_left, "streams that a proxy left because another node leads")                        \
    X(streams_cut, "streams broken by a fault")                                                    \
    X(messages_cut, "messages lost with a stream")                                                 \
    X(messages_left_out, "messages to a node left out of a stream")                                \
    X(requests_left_out, "requests left out of a message to a node")                               \
    X(proxy_crashes, "proxies killed")                                                             \
    X(fences, "proxies that closed their clients because of silence")                              \
    X(sessions_lost, "proxies whose session had ended")                                            \
    X(connections, "connections of clients")                                                       \
    X(connections_cut, "connections reset by a fault")                                             \
    X(connections_refused, "connections closed by the server")                                     \
    X(commands, "commands of clients")                                                             \
    X(answers, "answers to clients")                                                               \
    X(answers_compared, "answers held against the log")                                            \
    X(acks_compared, "confirmations of entries held against the disk")                             \
    X(reads_compared, "answers to reads, whose machine was new enough")                            \
    X(ends_compared, "jobs given away by the end of a session, whose holder was gone")             \
    X(links_held, "connections to members that lag whose socket was full for a while")             \
    X(installs_stuck, "times a node gave up to fetch the state of a leader that was gone")         \
    X(deaf_leaders, "leaders that did not hear of the one they handed over to")                    \
    X(switches, "times that no node reached another")                                              \
    X(links_reset, "connections between nodes that broke without a fault that lasts")              \
    X(leaders_told, "times that a node told a proxy who leads")                                    \
    X(members_added, "nodes added to a cluster")                                                   \
    X(members_told, "times a node was told that one it did not know is a member")                  \
    X(members_voting, "those of them that got a vote")                                             \
    X(members_removed, "members removed")                                                          \
    X(members_changed_twice, "changes asked for while one lay in the log of the leader before")    \
    X(only_voters_crashed, "crashes of the only voter while another member joined it")             \
    X(logs_from_zero, "times a member that had joined was sent the log from its beginning")        \
    X(removals_refused, "removals refused because the rest had no majority")                       \
    X(nodes_found, "times a proxy was told of a node that was added")                              \
    X(left_down, "nodes that the others had to do without at the end")                             \
    X(events, "events")

struct sim_counters {
#define X(name, what) uint64_t name;
    SIM_COUNTERS(X)
#undef X
};

struct sim_options {
    uint64_t seed;
    uint32_t faults; /* bits of enum sim_fault */
    uint32_t drawn;  /* those, and the ones that are masked */
    uint32_t first;  /* nodes of the first list of members */
    uint32_t nodes;  /* those, and machines to spare: members come and go then */
    uint32_t proxies, clients;
    uint32_t pace;         /* the clients' pauses are so many times as long */
    uint64_t duration_ns;  /* of the safety phase */
    uint64_t fault_gap_ns; /* between the beginnings of two faults, on average */
    uint64_t log_bytes;
    struct {
        unsigned threshold, trailing;
    } snapshots[SIM_NODES_MAX + 1]; /* by node */
    unsigned inflight_max;
    size_t part_size;    /* of a state on its way to a node */
    uint32_t steps;      /* of an entry (jsm_set_steps); 0: as in a daemon */
    size_t queue_bytes;  /* of a session's requests, before its stream is not read */
    uint64_t body_cache; /* of each node */
    uint32_t left_down;  /* nodes that stay away for a while after the faults: a minority */
    uint64_t session_timeout_ns;
    uint64_t net_ns, disk_ns; /* typical */
    bool lmdb;
    uint32_t job_size_max;
};

struct sim;
struct sim_node;
struct sim_proxy;
struct sim_stream;

/* Questions of one node to another (sim_call.c). */
enum sim_call_kind { SIM_CALL_CLOCK, SIM_CALL_SPACE, SIM_CALL_KINDS };

/* A timer of a process, on its own clock. */
struct sim_timer {
    uint64_t at_ns; /* local; UINT64_MAX: off */
    uint64_t number;
};

struct sim_node {
    struct sim *sim;
    uint64_t id;
    struct fake_node *fake;
    struct cb_clock clock;
    int64_t wall_offset_ns;
    uint64_t served_term, served_ns; /* as leader last, and since when */
    uint64_t wall_stepped_on_ns;     /* by so much in all its wall clock was put forward */
    uint64_t calls[SIM_CALL_KINDS][SIM_NODES_MAX + 1]; /* by id: number of what is under way */
    uint64_t state_call;                               /* of the one call for a part of a state */
    bool asks_state;                                   /* it is under way */
    struct store_mem_disk *disk;                       /* NULL: LMDB */
    char dir[64];
    struct store *store; /* NULL: the process is down */
    struct core *core;
    struct replica *replica;
    struct sim_timer timers[CORE_TIMER_COUNT];
    struct cb_list streams; /* of proxies: struct sim_stream.at_node */
    bool is_bootstrapped;
    bool is_started;           /* its replica takes part */
    bool turn_is_due, is_turn; /* after each event but the turn itself comes a turn */
    bool installs;             /* a state is on its way in */
    bool disk_is_full;
    bool disk_is_low;            /* it has less than SIM_RESERVE_SPACE free */
    bool was_member, was_voter;  /* it was once */
    bool is_leaving, is_retired; /* it was removed; its machine is taken away */
    bool stays_down;   /* after the faults, until the others have shown to do without it */
    size_t rot_hidden; /* entries at the end of its log that cannot be read */
    struct replica_view view;
    uint64_t led_term; /* as the core last said; 0: it knows no leader yet */
    char led_by[32];
    uint64_t commit_index;            /* the highest of this process */
    uint64_t steps;                   /* sim_check.c, look_for_moments */
    struct replica_counters counters; /* of earlier processes */
    struct proposer_counters proposer_counters;
};

/* A proxy's question to a node who leads. */
struct sim_watch {
    uint64_t number; /* rises with each, so that what belongs to an older one is known */
    bool is_there;   /* the node has it */
    uint64_t last_ns;
};

struct sim_proxy {
    struct sim *sim;
    uint32_t number;
    struct fake_process process;
    struct engine *engine; /* NULL: down */
    struct sim_stream *stream;
    struct sim_watch watches[SIM_NODES_MAX + 1]; /* by node */
    struct cb_list conns;                        /* struct sim_conn.at_proxy */
    uint64_t session;
    uint64_t conns_opened;              /* as the engine numbers them */
    uint64_t instance;                  /* of the process, among all of the run */
    uint64_t node_of[ENGINE_NODES_MAX]; /* by the engine's number of it */
    uint64_t started;
    struct sim_timer timer;
    bool turn_is_due, is_turn; /* after each event but the turn itself comes a turn */
    char name[16];
    char address[32];
};

/* A moment of sim_members_moments.c: who leads first, and removes whom, who leads second, and who
 * is behind; 0: nobody yet. */
struct sim_two_changes {
    uint64_t first, removed, second, behind;
    uint64_t until_ns;
};

struct sim {
    struct sim_options options;
    bool verbose;
    const char *history_file; /* NULL: not kept */
    uint64_t skip[SIM_SKIP_MAX / 64];
    uint64_t n_faults; /* that had their time so far, those left out too */
    struct fake_world *world;
    struct cb_rng rng;                        /* of the faults and of what nothing else draws */
    struct fake_process outside;              /* clients, faults, the end: what never dies */
    struct sim_node nodes[SIM_NODES_MAX + 1]; /* by id, from 1 */
    struct sim_proxy proxies[SIM_PROXIES_MAX];
    struct cb_list conns; /* struct sim_conn.link */
    uint32_t n_conns;
    struct cb_list streams;
    /* Who cannot send to whom: nodes by id, then proxies. */
    unsigned cut[SIM_NODES_MAX + 1 + SIM_PROXIES_MAX][SIM_NODES_MAX + 1 + SIM_PROXIES_MAX];
    struct sim_oracle *oracle;
    struct history *history;
    struct sim_client_shared *shared;
    struct sim_check *check;
    struct sim_answers *answers;
    uint64_t last_instance;
    struct sim_counters counters;
    uint64_t judged[HIST_PROPERTY_COUNT];
    uint32_t next_conn;
    bool winding_down;
    uint64_t digest; /* of everything that happened */
    jmp_buf dead;    /* out of a process that has died */
    struct sim_node *dying;
    bool faults_are_over;
    uint64_t last_leader; /* cut off for the last act (sim_faults_moments.c), until one has voted */
    bool has_last_act;    /* a candidate was left down by it */
    struct sim_two_changes two_changes;
    uint64_t stamp_ns, stamped_ns; /* of the newest entry, and when it was applied first */
    bool is_short;                 /* by the newest entry: puts are refused */
    uint64_t short_ns;             /* when a disk was mended that had been short of space */
    uint64_t clock_ahead_ns;       /* that wall clocks have led the cluster's ahead of time */
    uint64_t clock_lost_ns;        /* ...and that it was late when it began anew, against that */
};

/* ---- sim_options.c ---- */

void sim_options_draw(struct sim_options *o, uint64_t seed, uint32_t without);
void sim_options_print(const struct sim_options *o);
const char *sim_fault_name(enum sim_fault f);
static inline bool sim_has(const struct sim *s, enum sim_fault f)
{
    return (s->options.faults >> f & 1) != 0;
}

/* ---- sim_run.c ---- */

uint64_t sim_now(const struct sim *s);
/* Into the digest of the run; with -v also to stdout. */
void sim_trace(struct sim *s, const char *fmt, ...) CB_PRINTF(2, 3);
/* To stdout with -v alone, and into the digest alone: for what happens often. */
void sim_say(struct sim *s, const char *fmt, ...) CB_PRINTF(2, 3);
void sim_note(struct sim *s, uint64_t a, uint64_t b);
_Noreturn void sim_fail(struct sim *s, const char *property, const char *fmt, ...) CB_PRINTF(3, 4);
/* Faults may happen. */
bool sim_is_safety(const struct sim *s);
/* Runs it to its end; returns only when all was well. */
void sim_run(struct sim *s, const struct sim_options *o, bool verbose);
/* What a run with LMDB leaves behind, by its process id. */
void sim_lmdb_dir_remove(int pid);
/* In [min, max], and true one time in n, from the simulator's own numbers. */
uint64_t sim_between(struct sim *s, uint64_t min, uint64_t max);
bool sim_one_in(struct sim *s, uint64_t n);
/* Of what travels between a node and a proxy, or tells a node of another's end. */
static inline uint64_t sim_latency(struct sim *s)
{
    return sim_between(s, s->options.net_ns / 2, s->options.net_ns * 2);
}
/* After which a silent connection is given up: by pings at the earliest, by the system at the
 * latest. */
#define SIM_KEEPALIVE_MIN_NS (500 * CB_NS_PER_MS)
#define SIM_KEEPALIVE_MAX_NS (20 * CB_NS_PER_S)
/* An event outside of all processes. */
void sim_at(struct sim *s, uint64_t at_ns, void (*run)(void *arg), void *arg);
void sim_drop_nothing(void *arg);

/* ---- sim_node.c ---- */

void sim_node_init(struct sim *s, uint64_t id);
void sim_node_boot(struct sim_node *n);
void sim_node_crash(struct sim_node *n);
static inline bool sim_node_is_up(const struct sim_node *n)
{
    return n->core != NULL;
}
const char *sim_node_address(const struct sim_node *n);
void sim_node_set_full(struct sim_node *n, bool is_full);
/* The leader that serves, or NULL. */
struct sim_node *sim_leader(struct sim *s);
/* The live process's counters and those of earlier ones. */
struct replica_counters sim_node_counters(const struct sim_node *n);
struct proposer_counters sim_node_proposer_counters(const struct sim_node *n);

/* ---- sim_call.c ---- */

/* Of a message of a gRPC call between nodes that leaves now. */
bool sim_call_is_lost(struct sim *s, const struct sim_node *from, const struct sim_node *to);
uint64_t sim_call_arrival_ns(struct sim *s);

#define SIM_ANSWER_MAX 128
struct sim_method {
    enum sim_call_kind kind;
    uint64_t late_ns; /* then there is no answer */
    /* What a node that is asked says: the bytes that a socket would have, 1 to SIM_ANSWER_MAX. */
    void (*tell)(struct sim_node *n, struct cb_buf *out);
    /* What member `id` has said; CB_SPAN_NULL: nothing in time. */
    void (*take)(struct sim_node *n, uint64_t id, struct cb_span answer);
};

void sim_call_ask(struct sim_node *n, uint64_t id, const struct sim_method *method);

/* ---- sim_digest.c ---- */

/* For core_env. */
void sim_digest_ask(void *data, uint64_t id);
void sim_digest_differs(void *data, const char *sentence);

/* ---- sim_clock.c ---- */

/* For core_env. */
void sim_clock_ask(void *data, uint64_t id);
/* An entry with this stamp was applied as the first. */
void sim_clock_stamped(struct sim *s, uint64_t term, const struct jsm *machine);

/* ---- sim_space.c ---- */

/* What each disk of a cluster has to keep free. */
#define SIM_RESERVE_SPACE (256 * CB_MIB)
/* For core_env. */
uint64_t sim_space_free(void *data);
void sim_space_ask(void *data, uint64_t id);
/* What an entry that was applied as the first has made of it. */
void sim_space_applied(struct sim *s, bool is_short);
/* After the faults. */
void sim_space_end(struct sim *s);

/* ---- sim_state.c ---- */

/* For core_env. */
void sim_state_ask(void *data, uint64_t id, const struct core_state_ask *ask);
void sim_state_answer(void *data, void *call, const struct core_state_part *part);
/* A process begins that has asked nothing yet. */
void sim_state_boot(struct sim_node *n);

/* ---- sim_store.c ---- */

struct store *sim_store_open(struct sim_node *n, void (*notify)(void *data));
void sim_store_crash(struct store *store);

/* ---- sim_stream.c ---- */

void sim_stream_open(struct sim_proxy *p, struct sim_node *n);
/* By the proxy. */
void sim_stream_leave(struct sim_stream *st);
void sim_stream_up(struct sim_stream *st, const struct wire_to_node *m);
void sim_stream_down(struct sim_stream *st, const struct wire_to_proxy *m);
bool sim_stream_node_can_send(const struct sim_stream *st);
void sim_stream_end(struct sim_stream *st, enum proposer_end why, const char *text);
void sim_stream_set_reading(struct sim_stream *st, bool on);
/* By a fault: what is on the way is lost from some point on. */
void sim_stream_break(struct sim_stream *st);
/* By a fault that no gRPC has: one message on its way to the node is left out. */
void sim_stream_leave_out(struct sim_stream *st);
/* One of its processes has died. */
void sim_streams_of_node_lost(struct sim_node *n);
void sim_stream_of_proxy_lost(struct sim_proxy *p);
/* Links have been cut or mended, or a process stands still. */
void sim_streams_links_changed(struct sim *s);

/* ---- sim_notice.c: what processes notice of each other beside messages ---- */

/* The connections that this node has made to the others break, though it lives. */
void sim_notice_reset(struct sim_node *n);
/* The core's env.led. */
void sim_notice_led(struct sim_node *n, uint64_t term, const char *leader);
void sim_notice_members(struct sim_node *n);
/* The engine's watch_open. */
void sim_notice_watch(struct sim_proxy *p, struct sim_node *n);
void sim_notice_node_lost(struct sim_node *n);
void sim_notice_proxy_lost(struct sim_proxy *p);
void sim_notice_links_changed(struct sim *s);

/* ---- sim_proxy.c ---- */

void sim_proxy_init(struct sim *s, uint32_t number);
void sim_proxy_boot(struct sim_proxy *p);
void sim_proxy_crash(struct sim_proxy *p);
uint64_t sim_proxy_now(const struct sim_proxy *p);
/* The engine's number of a node. */
uint32_t sim_proxy_number_of(const struct sim_proxy *p, uint64_t node);
/* From a stream. */
void sim_proxy_message(struct sim_proxy *p, struct sim_stream *st, struct cb_span bytes);
void sim_proxy_writable(struct sim_proxy *p, struct sim_stream *st);
void sim_proxy_stream_closed(struct sim_proxy *p,
                             struct sim_stream *st,
                             const char *text,
                             const char *leader);
uint32_t sim_stream_node_number(const struct sim_stream *st);

/* ---- sim_conn.c ---- */

void sim_conn_open(struct sim *s);
void sim_conn_drain(struct sim *s);
void sim_conns_of_proxy_lost(struct sim_proxy *p);
void sim_conns_wind_down(struct sim *s);
void sim_conn_reset_one(struct sim *s);
/* `conn`, as the proxy's engine numbers them, is open at both ends, and its client knows that it
 * holds the job. */
bool sim_conn_holds(const struct sim_proxy *p, uint64_t conn, uint64_t job);
/* The engine's wishes. */
void sim_conn_ops(struct engine_ops *ops);
void sim_conns_turn(struct sim_proxy *p);

/* ---- sim_faults.c ---- */

void sim_faults_start(struct sim *s);
/* An election or an install has begun: a moment at which faults matter. */
void sim_faults_moment(struct sim *s);
/* The node is in the middle of something that a crash may catch half done. */
void sim_faults_halfway(struct sim_node *n);
/* A node has ended itself: it comes back. */
void sim_faults_died(struct sim_node *n);
/* A state has been sent to a node. */
void sim_faults_state_sent(struct sim *s);
/* A leader has told another member to take its place. */
void sim_faults_handed_over(struct sim_node *n);
/* A node has stored its vote for another. */
void sim_faults_voted(struct sim *s, uint64_t voter, uint64_t candidate);
/* The node sends AppendEntries. */
void sim_faults_entries_sent(struct sim_node *n, const struct raft_message *m);

/* ---- sim_members_moments.c ---- */

/* It has stored its vote for another. */
void sim_members_voted(struct sim *s, uint64_t voter, uint64_t candidate);

/* ---- sim_members.c ---- */

void sim_member_fill(uint64_t id, struct replica_member *out);
void sim_members_start(struct sim *s);
/* It leads from now on. */
void sim_members_led(struct sim_node *leader);
/* A node asks the members that it knows whether that is one. */
void sim_members_ask(struct sim_node *n, uint64_t id);
/* The node's list of members has changed. */
void sim_members_changed(struct sim_node *n);
/* As an operator would write them into --nodes; how many. */
uint32_t sim_members_now(struct sim *s, uint64_t out[static ENGINE_NODES_MAX]);
/* All members vote, as the leader knows. */
bool sim_members_are_whole(struct sim *s);
bool sim_is_member(struct sim *s, uint64_t id);
/* As any node knows the members, more than half of those that vote have the entry; else on how many
 * of how many it is at most. */
bool sim_members_majority(struct sim *s,
                          bool (*is_there)(const struct sim_node *n, uint64_t index, uint64_t term),
                          uint64_t index,
                          uint64_t term,
                          unsigned *most,
                          unsigned *of);

/* Everything is mended and stays so, but for options.left_down nodes. */
void sim_faults_end(struct sim *s);
/* Those too. */
void sim_faults_boot_rest(struct sim *s);
bool sim_link_is_cut(const struct sim *s, unsigned from, unsigned to);
static inline unsigned sim_place_of_proxy(const struct sim_proxy *p)
{
    return SIM_NODES_MAX + 1 + p->number;
}

/* ---- sim_answers.c ---- */

struct sim_answers *sim_answers_create(void);
/* The proxy's process `instance` (from 1) has this session. */
void sim_answers_session(struct sim_answers *a, uint64_t session, uint64_t instance);
/* 0: no proxy has that session. */
uint64_t sim_answers_instance(const struct sim_answers *a, uint64_t session);
/* The history's connection `number` is `conn` to that process. */
void sim_answers_bind(struct sim_answers *a, uint64_t instance, uint64_t conn, uint32_t number);
/* For sim_oracle_env. */
void sim_answers_result(void *data, uint64_t session, const struct jsm_result *r);
void sim_answers_check(struct sim *s);

/* ---- sim_reads.c ---- */

/* The reads of one stream that have no answer yet. */
struct sim_reads {
    struct sim_read *asked;
    size_t n, cap;
};

/* The proxy sends these. */
void sim_reads_asked(struct sim *s, struct sim_reads *r, const struct wire_to_node *m);
/* The node sends these. */
void sim_reads_answered(const struct sim_node *n,
                        struct sim_reads *r,
                        const struct wire_to_proxy *m);
void sim_reads_fini(struct sim_reads *r);

/* ---- sim_check.c ---- */

void sim_check_start(struct sim *s);
/* After each event of the node. */
void sim_check_node(struct sim_node *n);
bool sim_has_converged(struct sim *s);
void sim_check_end(struct sim *s);

#endif
