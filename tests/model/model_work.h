/* The model's own working parts, between its files. */
#ifndef CB_TESTS_MODEL_MODEL_WORK_H
#define CB_TESTS_MODEL_MODEL_WORK_H

#include "model/model.h"

/* Appends to an array of pointers. */
#define PUSH(array, n, item)                                                                       \
    do {                                                                                           \
        (array) = cb_realloc((array), ((n) + 1) * sizeof *(array));                                \
        (array)[(n)++] = (item);                                                                   \
    } while (0)

/* Removes element i and keeps the order of the others. */
#define TAKE_OUT(array, n, i)                                                                      \
    do {                                                                                           \
        memmove(&(array)[i], &(array)[(i) + 1], ((n) - (i)-1) * sizeof *(array));                  \
        (n)--;                                                                                     \
    } while (0)

struct model_bytes model_copy(struct cb_span s);
void model_touch(struct model *m, uint64_t session);

/* Gives the result its number and keeps it; r.body is owned by it from here. */
void model_answer(struct model *m, struct model_conn *c, struct jsm_result r);
/* More is unacknowledged than the bound divided by `share`. */
bool model_is_over(const struct model_session *s, uint64_t share);
void model_answer_plain(struct model *m,
                        struct model_conn *c,
                        uint64_t request,
                        enum jsm_outcome outcome);
void model_forget_results(struct model_session *s, uint64_t upto);

struct model_tube *model_tube_make(struct model *m, struct cb_span name);
void model_tube_maybe_die(struct model *m, struct model_tube *t);
void model_unwatch(struct model *m, struct model_conn *c, uint32_t i);

void model_reserve_job(struct model *m,
                       struct model_conn *c,
                       struct model_job *j,
                       uint64_t request);
#define MODEL_MATCH_STEPS 4
/* Somebody waits in the tube and may be served. */
bool model_has_waiter(const struct model *m, const struct model_tube *t);
/* Several jobs or waiters came: the tube is to be matched, if it can be. */
void model_note(struct model_tube *t, const struct model *m);
/* Serves the waiters of unmatched tubes, as long as there are steps. */
void model_match(struct model *m);
/* A tube of this connection is unmatched. */
bool model_must_queue(const struct model_conn *c);
/* The best job that this connection could reserve now. */
struct model_job *model_best_job(const struct model *m, const struct model_conn *c);
void model_make_ready(struct model *m, struct model_job *j);
void model_make_ready_or_delayed(struct model *m, struct model_job *j, uint32_t delay);
void model_kick_job(struct model *m, struct model_job *j);
void model_delete_job(struct model *m, struct model_job *j);

void model_stop_waiting(struct model *m, struct model_conn *c);
/* When this connection's soonest job enters its last second; JSM_NEVER when it holds none. */
uint64_t model_margin(const struct model *m, const struct model_conn *c);
void model_conn_open(struct model *m, struct model_session *s, uint64_t number);
void model_conn_close(struct model *m, struct model_conn *c);
/* It leaves its tubes and the list of connections; what it holds stays. */
void model_conn_leave(struct model *m, struct model_conn *c);
uint32_t model_n_held(const struct model *m, const struct model_conn *c);

void model_release_conn(struct model *m, struct model_conn *c);
void model_release_session(struct model *m, struct model_session *s, uint64_t steps);
/* Its ttr does not run out any more. */
bool model_is_released(const struct model_conn *c);
/* What is left over from earlier entries, as far as others can see it. */
void model_go_on(struct model *m);
void model_session_free(struct model_session *s);

void model_request(struct model *m, const struct jsm_item *it);

#endif
