/* Three nodes, their log, and the oracle that watches them: a log's entries are applied to machines
 * here, and the oracle is told of it, truthfully or not.
 *
 * Threads:   one.
 * Errors:    a violation fails the running cmocka test, but in VIOLATES. */
#ifndef CB_TESTS_UNIT_SIM_ORACLE_FIXTURE_H
#define CB_TESTS_UNIT_SIM_ORACLE_FIXTURE_H

#include "node/entry/entry_builder.h"
#include "node/entry/entry_decoder.h"
#include "sim/sim_oracle.h"
#include "support/jsm_store.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ORACLE_NODES = 3, ORACLE_MAJORITY = 2 };

struct oracle_logged {
    uint64_t index, term;
    struct cb_span bytes;
};

struct oracle_node {
    struct jsm *machine;
    struct jsm_store store;
    uint32_t at;     /* how many of the log it has applied */
    uint32_t stored; /* how many are in its store */
};

struct oracle_fixture {
    struct sim_oracle *oracle;
    struct oracle_node nodes[ORACLE_NODES]; /* node ids are from 1 */
    struct oracle_logged *log;
    uint32_t n_log;
    struct entry_builder builder;
    struct entry_decoder decoder;
    unsigned durable;
    uint64_t batch;
    uint64_t results;
    uint64_t given_away, given_away_jobs; /* reservations, and the sum of their jobs' ids */
    uint64_t proposer_term;               /* in the headers of what is appended */
    jmp_buf violated;
    bool may_violate;
    char property[8], sentence[1024];
};

extern struct oracle_fixture fixture;

int oracle_setup(void **state);
int oracle_teardown(void **state);

/* Returns the entry's place in the log. */
uint32_t oracle_append(uint64_t index, uint64_t term, const struct jsm_entry *e);
/* The node applies the entry at this place of the log. */
void oracle_apply(uint64_t node, uint32_t place);
/* The machine of the node gets the entry at place `a`, but `b` is what it says it got. */
void oracle_apply_other(uint64_t node, uint32_t a, uint32_t b);

/* Drains the node's machine into its store. */
void oracle_store(uint64_t node);
/* The node goes on from its store. */
void oracle_restart(uint64_t node);
/* Node `to` takes over the stored state of node `from`. */
void oracle_install(uint64_t from, uint64_t to);

/* `call` must violate the property `name`, in a sentence with these words. */
#define VIOLATES(name, words, call)                                                                \
    do {                                                                                           \
        fixture.may_violate = true;                                                                \
        if (setjmp(fixture.violated) == 0) {                                                       \
            call;                                                                                  \
            fail_msg("no violation");                                                              \
        }                                                                                          \
        fixture.may_violate = false;                                                               \
        print_message("%s: %s\n", fixture.property, fixture.sentence);                             \
        assert_string_equal(fixture.property, name);                                               \
        assert_non_null(strstr(fixture.sentence, words));                                          \
    } while (0)

#endif
