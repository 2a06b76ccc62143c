/* What the files share that load records: jsm_load.c (order, tubes, sessions, connections),
 * jsm_load_job.c (jobs, bodies, results), jsm_load_work.c (what was half done).
 *
 * Owns:     nothing.
 * Threads:  one. */
#ifndef CB_NODE_JSM_JSM_LOAD_H
#define CB_NODE_JSM_JSM_LOAD_H

#include "common/base/cb_bytes.h"
#include "node/jsm/jsm_internal.h"

struct jsm_load {
    struct jsm *m;
    struct cb_reader r;
    uint64_t a, b; /* the numbers of the key */
    uint64_t hash;
};

static inline void jsm_load_stored(const struct jsm_load *l, struct jsm_stored *s)
{
    s->hash = l->hash;
    s->in_store = true;
}

/* ---- jsm_load_job.c: false when the record is not sound ---- */
bool jsm_load_body(struct jsm_load *l, struct cb_span value);
bool jsm_load_job(struct jsm_load *l);
bool jsm_load_result(struct jsm_load *l);

/* ---- jsm_load_work.c ---- */

/* What a tube's record has at its end while something is done over several entries. */
struct jsm_tube_work {
    bool is_unmatched;
    uint64_t n;
    struct {
        uint8_t from;
        uint64_t seq;
        struct jsm_key limit;
    } splices[JSM_SPLICES_MAX];
};
bool jsm_load_read_tube_work(struct jsm_load *l, struct jsm_tube_work *w);
void jsm_load_set_tube_work(struct jsm_tube *t, const struct jsm_tube_work *w);

struct jsm_release_fields {
    uint8_t phase;
    uint64_t seq, steps, done;
};
bool jsm_load_read_release(struct jsm_load *l, bool is_there, struct jsm_release_fields *f);
void jsm_load_make_release(struct jsm *m,
                           struct jsm_conn *c,
                           struct jsm_session *s,
                           struct jsm_release_fields f);
/* When all records are there. */
bool jsm_load_work_done(struct jsm *m);

#endif
