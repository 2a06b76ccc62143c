/* What the files of this folder share: prop_session (leases and queues), prop_attach (how a stream
 * gets its session), prop_stream (what comes in), prop_batch (entries), prop_read, prop_body and
 * prop_send (what goes out), proposer (life, role, turn). */
#ifndef CB_NODE_PROPOSER_PROP_INTERNAL_H
#define CB_NODE_PROPOSER_PROP_INTERNAL_H

#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_list.h"
#include "common/base/cb_map.h"
#include "node/entry/entry_builder.h"
#include "node/proposer/prop_clock.h"
#include "node/proposer/proposer.h"

/* A session of the machine, as its leader sees it; there is one for each while this node serves. */
struct prop_session {
    struct cb_list link;   /* proposer.sessions */
    struct cb_list queued; /* proposer.queued while items wait */
    uint64_t id;
    struct proposer_stream *stream; /* NULL: none is attached */
    uint64_t attach_number;         /* of the last stream that was attached here */
    uint64_t heard_ns; /* CLOCK_BOOTTIME of its last message; its lease runs from here */
    bool is_expiring;  /* its EXPIRE is to be proposed, or was */
    bool expire_proposed;
    struct cb_buf items;    /* not yet proposed, each behind its u32 length */
    uint64_t next_request;  /* all below are applied, in the log or in `items` */
    uint64_t acked;         /* results that the proxy has, */
    uint64_t ack_proposed;  /* ...of these in an entry already, */
    uint64_t ackable_bytes; /* ...and the bodies of the others */
};

enum prop_stream_state {
    PROP_STREAM_NEW,     /* has sent nothing */
    PROP_STREAM_WAITING, /* has sent its Attach; waits until this leader serves or its session is
                            open */
    PROP_STREAM_ATTACHED,
};

struct proposer_stream {
    struct cb_list link;    /* proposer.streams */
    struct cb_list opening; /* proposer.opening while its OPEN is to be proposed */
    struct cb_list dirty;   /* proposer.dirty while there may be something to send */
    void *owner;
    enum prop_stream_state state;
    struct prop_session *session; /* while ATTACHED */

    uint32_t version;
    struct jsm_incarnation incarnation;
    uint64_t attach_session;
    uint64_t attach_number;
    uint64_t seen_result;
    uint32_t name_len, address_len;
    uint8_t name[CB_PROXY_NAME_MAX];
    uint8_t address[CB_ADDRESS_MAX];
    uint64_t open_batch; /* WAITING: the own entry that holds its OPEN; 0: none does */
    bool was_opened;     /* its OPEN was applied */

    uint64_t seq;           /* of its last message */
    uint64_t seq_confirmed; /* as sent */
    uint64_t sent_ns;       /* CLOCK_BOOTTIME of the last message to it */
    bool attached_is_due;   /* Attached is to be sent */
    uint64_t expect;        /* request number to be asked for; 0: none */
    uint64_t cursor;        /* results up to here were sent */
    uint64_t told_request;  /* applied_request as sent */
    struct cb_list reads;   /* struct prop_read, in the order of arrival */
    uint32_t n_reads;
    bool waits_for_body; /* something waits until proposer_bodies_came */
    bool is_paused;      /* not read: its session's queue is full, or it waits to be attached */
};

struct prop_read {
    struct cb_list link;
    uint64_t batch; /* answered when this own entry is applied; 0: to be asked again */
    uint64_t read;
    uint64_t conn;
    uint32_t kind;
    uint64_t id;
    uint64_t after;
    uint64_t job; /* a peek: the one that it found, whose body is fetched; 0: none yet */
    uint32_t job_len;
    uint32_t tube_len;
    uint8_t tube[CB_TUBE_NAME_MAX];
};

/* An entry of ours that was proposed and not yet applied. */
struct prop_flight {
    uint64_t batch;
    uint64_t counts[JSM_COUNTER_COUNT];
};

struct proposer {
    struct proposer_config config;
    struct proposer_env env;
    const struct jsm *machine;
    struct proposer_counters counters;
    struct prop_clock clock;

    bool is_leading;
    bool is_resumed;         /* leading, and our RESUME is applied */
    bool is_serving;         /* the same, and the clock is known */
    uint64_t clock_until_ns; /* resumed without it: other members are waited for until then */
    bool clock_begins;       /* the next entry says that it begins anew */
    uint64_t term;
    char leader[CB_ADDRESS_MAX];

    struct cb_list streams;
    struct cb_list dirty;
    struct cb_list opening;
    struct cb_list sessions;
    struct cb_list queued; /* sessions with items, in the order in which they get their turn */
    struct cb_map session_by_id;
    uint32_t n_expiring;                /* EXPIREs to be proposed */
    uint64_t lease_check_ns;            /* no lease ends before this CLOCK_BOOTTIME */
    uint64_t counts[JSM_COUNTER_COUNT]; /* not yet in an entry */

    struct entry_builder builder;
    bool is_built; /* `builder` holds an entry that the log refused: it is offered again */
    bool is_full;  /* that, or the last one, was closed by its size */
    bool resume_proposed;
    bool ack_is_urgent; /* acknowledgements alone are worth an entry */
    bool limits_proposed;
    struct jsm_limits limits; /* the last that were proposed in this term */
    bool knows_space;         /* in this term... */
    bool is_short;            /* ...the owner has said so, */
    bool short_proposed;      /* ...and the log was told `short_told` */
    bool short_told;
    struct prop_flight building;
    struct prop_flight flights[CB_ENTRIES_IN_FLIGHT_MAX]; /* oldest first */
    uint32_t n_flights;
    uint64_t batch;         /* of the last entry proposed, in any term */
    uint64_t applied_batch; /* of the last of these applied in this term */
    uint64_t reads_batch;   /* reads wait for this one; 0: none do */
    uint64_t last_stamp_ns; /* of the last entry proposed */
    uint64_t retry_ns;      /* the log refused: not before this CLOCK_BOOTTIME; 0: at once */
    bool has_no_space;
    uint64_t timer_ns; /* as last set */

    struct wire_to_proxy message; /* scratch */
    struct cb_span *tubes;        /* scratch: the lists of `message` */
    uint32_t n_tubes, cap_tubes;
};

static inline uint64_t prop_boottime(const struct proposer *p)
{
    return cb_clock_boottime_ns(p->env.clock);
}

/* ---- prop_session.c ---- */

struct prop_session *prop_session_get(const struct proposer *p, uint64_t id);
/* Of a session that the machine has; its lease begins now. */
struct prop_session *prop_session_get_or_make(struct proposer *p, const struct jsm_session *s);
void prop_session_destroy(struct proposer *p, struct prop_session *s);
/* Appends an item to its queue. */
void prop_session_push(struct proposer *p, struct prop_session *s, const struct jsm_item *item);
/* The first item's bytes; the queue is not empty. */
struct cb_span prop_session_head(const struct prop_session *s);
/* Drops the first item. */
void prop_session_pop(struct prop_session *s);
/* The proxy has every result up to `number`. */
void prop_session_ack(struct proposer *p, struct prop_session *s, uint64_t number);
/* Marks whose leases ended, and finds when to look again. */
void prop_session_check_leases(struct proposer *p, uint64_t now_ns);

/* ---- prop_attach.c ---- */

/* The first message of a stream. False: the stream is gone. */
bool prop_attach_begin(struct proposer *p,
                       struct proposer_stream *st,
                       const struct wire_to_node *m);
/* Gives a waiting stream its session, or has one opened, or ends the stream: then false. */
bool prop_attach_try(struct proposer *p, struct proposer_stream *st);
/* After an own entry was applied, or when this node began to serve. */
void prop_attach_retry(struct proposer *p);
/* The session is gone from the machine. */
void prop_attach_ended(struct proposer *p, struct prop_session *s);

/* ---- prop_stream.c ---- */

void prop_stream_end(struct proposer *p,
                     struct proposer_stream *st,
                     enum proposer_end why,
                     const char *text);
/* Something may be there to be sent. */
void prop_stream_mark(struct proposer *p, struct proposer_stream *st);
/* Reads or does not read on, as the session's queue says. */
void prop_stream_pace(struct proposer *p, struct proposer_stream *st);
void prop_stream_drop_read(struct proposer_stream *st, struct prop_read *r);

/* ---- prop_batch.c ---- */

void prop_batch_run(struct proposer *p);
/* Our RESUME is applied, and nothing else of ours. False: the clock is not known yet. */
bool prop_batch_get_clock(struct proposer *p, uint64_t boot_ns);
/* One of our entries, the oldest in flight, is applied. */
void prop_batch_applied(struct proposer *p, uint64_t batch);
void prop_batch_reset(struct proposer *p);
/* The CLOCK_BOOTTIME at which there will be something to propose if nothing else happens. */
uint64_t prop_batch_next_ns(const struct proposer *p);
/* Counts of this leader that no applied entry holds. */
uint64_t prop_batch_count(const struct proposer *p, enum jsm_counter c);

/* ---- prop_read.c ---- */

/* While a list of reads is gone through: connections whose next answer waits for a body. Their
 * later reads wait as well, so that none of them sees an earlier state than the one before it. */
struct prop_held {
    uint64_t conns[16];
    uint32_t n;
    bool is_full; /* more than are noted: then all */
};
/* True when the read, the next one of the list, can be answered now. */
bool prop_read_is_ready(struct proposer *p,
                        struct proposer_stream *st,
                        struct prop_read *r,
                        struct prop_held *held);
/* True when its names fit beside those that are in p->message; always when that has none. */
bool prop_read_has_room(const struct proposer *p,
                        const struct proposer_stream *st,
                        const struct prop_read *r);
/* Adds the answer to p->message; an estimate of its bytes. It is ready. */
size_t prop_read_answer(struct proposer *p, struct proposer_stream *st, const struct prop_read *r);

/* ---- prop_body.c ---- */

/* As env->body; notes that the stream waits when it comes. */
enum proposer_body prop_body_ask(struct proposer *p,
                                 struct proposer_stream *st,
                                 const struct proposer_body_ask *ask,
                                 struct cb_span *out);
/* True when r->body is the body, or is so now. */
bool prop_body_of_result(struct proposer *p, struct proposer_stream *st, struct jsm_result *r);
/* Asks for the bodies of what is to be sent next. */
void prop_body_look_ahead(struct proposer *p,
                          struct proposer_stream *st,
                          const struct jsm_session *from);

/* ---- prop_send.c ---- */

/* Sends what there is to say, as long as the stream takes messages. */
void prop_send_pump(struct proposer *p, struct proposer_stream *st);

#endif
