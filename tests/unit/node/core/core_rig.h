/* A core with everything around it moved by hand: clocks, timers, threads, the store's disk and a
 * double of the replica that only notes what it is told. */
#ifndef CB_TESTS_UNIT_NODE_CORE_CORE_RIG_H
#define CB_TESTS_UNIT_NODE_CORE_CORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/core/core.h"
#include "node/entry/entry_builder.h"
#include "support/store_mem.h"

#define RIG_WORKS_MAX 8
#define RIG_ANSWERS_MAX 4
#define RIG_SELF 2
#define RIG_TERM 3

/* The double: replica.h leaves the struct to who implements it. */
struct replica {
    struct replica_mark appended; /* what replica_appended says */
    enum replica_propose_result propose_result;
    void (*in_propose)(void *data); /* called by replica_propose when not NULL */
    void *in_propose_data;
    struct replica_member members[CB_CLUSTER_NODES_MAX]; /* what replica_members gives */
    size_t n_members;
    bool is_without_leader; /* what replica_hears_leader denies */
    /* What it was told. */
    uint64_t durable;
    unsigned lowered;
    bool holds_appends;
    struct cb_buf proposed; /* the last one */
    unsigned n_proposed;
    uint64_t state_asked_by; /* the last member */
    unsigned installs;
    struct replica_mark install_applied;
};

struct rig_work {
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

/* What a core answers to a question for a part of its state. */
struct rig_answer {
    void *call;
    struct core_state_part part;
    struct cb_buf bytes; /* of `part` */
};

/* What reading bodies from the store comes to. */
enum rig_reads {
    RIG_READS_WELL,
    RIG_READS_DAMAGE,  /* STORE_CORRUPT */
    RIG_READS_SHORTER, /* a byte is missing at the end */
    RIG_READS_NOTHING, /* no such record */
};

/* The one stream of a proxy. */
struct rig_stream {
    struct proposer_stream *st;
    bool is_full; /* what it could be sent has to wait */
    unsigned n_results;
    uint64_t last_id;     /* of the last result */
    size_t last_body_len; /* the same */
};

struct core_rig {
    struct store_mem_disk *disk;
    struct store *store;
    struct store_ops store_ops;   /* the store's, some replaced below */
    const struct store_ops *real; /* what they were */
    bool no_room_for_state;       /* store_incoming_feed gives STORE_FULL */
    bool no_room_for_swap;
    bool is_unreadable; /* store_copy_open gives STORE_CORRUPT */
    enum rig_reads reads;
    unsigned n_reads;    /* calls of store_read_many */
    uint64_t body_cache; /* for the next boot */
    struct rig_stream stream;
    struct core *core; /* NULL: down */
    struct replica replica;
    struct replica_events events;
    struct cb_clock clock;
    uint64_t boot_ns, mono_ns, wall_ns;
    uint64_t timers[CORE_TIMER_COUNT];
    struct rig_work works[RIG_WORKS_MAX]; /* oldest first */
    unsigned n_works;
    bool must_wait;
    bool is_serving;
    uint64_t led_term;
    char led_by[32];
    unsigned addresses_asked;
    uint64_t unheard_of; /* has no address */
    unsigned members_told;
    uint32_t n_others;         /* members 1 and 3, for the next boot; 0: none */
    unsigned clocks_asked[4];  /* by id: questions without an answer yet */
    unsigned digests_asked[4]; /* by id: questions */
    char differs[1024];        /* what the core said of its state */
    bool asks_state;           /* a question that is open */
    uint64_t reserve_space;    /* of the next boot */
    uint64_t free_space;       /* of this member's disk */
    unsigned spaces_asked[4];  /* as clocks_asked */
    uint64_t asked_member;
    struct core_state_ask asked;
    struct rig_answer answers[RIG_ANSWERS_MAX]; /* oldest first */
    unsigned n_answers;
    int die_fd; /* where a sentence goes */
    struct entry_builder builder;
    uint64_t index; /* of the last entry */
    uint64_t requests;
};

/* A core on an empty disk, with its replica started. */
void core_rig_init(struct core_rig *r);
void core_rig_fini(struct core_rig *r);
/* Only the disk: nothing is open. */
void core_rig_init_disk(struct core_rig *r);
/* Opens the store, creates the core, starts the replica. */
void core_rig_boot(struct core_rig *r);
/* As by kill -9; works are forgotten. */
void core_rig_crash(struct core_rig *r);

/* Time goes by; timers that are reached fire, at their time. */
void core_rig_advance(struct core_rig *r, uint64_t ns);
/* What the store has queued becomes durable, and the core is told. Returns how many batches. */
size_t core_rig_store(struct core_rig *r);
/* A batch waits in the store. */
bool core_rig_is_committing(const struct core_rig *r);
/* The oldest work: both of its parts. */
void core_rig_work(struct core_rig *r);

/* The oldest answer, which the caller frees with cb_buf_fini of its bytes. */
struct rig_answer core_rig_answer(struct core_rig *r);
/* Gives the core the answer to its question; NULL: none. */
void core_rig_came(struct core_rig *r, const struct rig_answer *a);

/* The bytes of an entry of the present boot time; borrowed until the next one is made. */
struct cb_span core_rig_entry(struct core_rig *r, const struct jsm_item *items, uint32_t n);
/* The next index, as the replica would apply it. No turn follows. */
void core_rig_apply(struct core_rig *r, struct cb_span entry, bool live);
/* A session with one connection; then puts of `len` bytes. */
void core_rig_open_session(struct core_rig *r);
void core_rig_put(struct core_rig *r, size_t len);
void core_rig_role(struct core_rig *r, enum replica_role role);

/* `fn` in a child process, which must die with a sentence that holds `text`. */
void core_rig_assert_dies(struct core_rig *r, void (*fn)(struct core_rig *r), const char *text);

#endif
