/* Small scripts for the job state machine, so that a test of a behaviour reads as the behaviour.
 *
 *   c1> put 10 0 60 body => INSERTED 1   one entry with this request; what it answers (optional)
 *   c1> reserve                          put: pri delay ttr body; release: id pri delay; ...
 *   c1> half-close                       also close, put-rejected
 *   c1< RESERVED 1 body                  the next answer of c1, `-` when there is none
 *   +2.5                                 time goes on by 2.5 s and what is due happens
 *   tick                                 an empty entry at the same time
 *   due 2.5 | due never                  what is due next, from now
 *   tube default ready=1 pause-left=0.5  stats-tube; `tube x -`: there is none
 *   job 1 state=ready pri=10             stats-job; `job 1 -`: there is none
 *   stats cmd-put=1 workers=1            stats
 *   tubes default a b                    list-tubes, in order
 *   watched c1 default a; used c1 a      list-tubes-watched, list-tube-used
 *   head c1 ready 1; head c1 buried -    peek-ready, ...
 *   open p1 5.7 ADDRESS                  incarnation 5.7; a first use of c1 opens p1 with 1.0
 *   steps 4                              an entry does so many steps (jsm_set_steps)
 *   expire p1; attached p1; resume; ack p1 10; count 3 7; limits 100 1000 (jobs, bytes)
 *   space short; space enough
 *
 * c1, c2, ... are connections of proxy p1, d1, d2, ... of p2, e1, e2, ... of p3. A line may hold
 * several statements parted by "; ". A `c1>` forgets the answers to c1 that were not looked at.
 * jsm_script() runs a script twice: as it is, and with the machine drained, destroyed and loaded
 * from its records after every line, which must make no difference.
 * Threads:   one.
 * Errors:    fail the running cmocka test, with the line. */
#ifndef CB_TESTS_SUPPORT_JSM_SCRIPT_H
#define CB_TESTS_SUPPORT_JSM_SCRIPT_H

#include "node/jsm/jsm.h"

struct jsm_script;

void jsm_script(const char *text);

/* A cmocka test that is one script. */
#define JSM_SCRIPT_TEST(name, text)                                                                \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        jsm_script(text);                                                                          \
    }

/* For tests that need more than a text. */
struct jsm_script *jsm_script_create(bool reload);
void jsm_script_run(struct jsm_script *s, const char *text);
/* Borrowed, and another one after a line when `reload`. */
struct jsm *jsm_script_machine(struct jsm_script *s);
/* Applies an entry at the script's time, as the next index. */
void jsm_script_apply(struct jsm_script *s, const struct jsm_item *items, uint32_t n);
uint64_t jsm_script_session(const struct jsm_script *s, int proxy);
void jsm_script_destroy(struct jsm_script *s);

#endif
