/* Proves that the checkers never accuse a queue that is right, and that they find each way in which
 * it can be wrong, over random histories.
 *
 * Arguments: SEED, then how many seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "support/seed.h"
#include "unit/history/examples.h"
#include "unit/history/queue_sim.h"

/* Of so many runs with a fault one must be found wrong; most faults need one to three. */
#define FAULTY_RUNS 25

static uint64_t seed;
static uint64_t runs = 500;

static const struct {
    const char *what;
    unsigned wrong;
} faults[QUEUE_FAULT_COUNT] = {
#define X(symbol, what, wrong) [QUEUE_##symbol] = {what, wrong},
    QUEUE_FAULTS(X)
#undef X
};

/* Every second run is judged with all that may be known, the others with as little as possible. */
static struct hist_check_options options_of(uint64_t n, enum queue_fault fault)
{
    bool all = n % 2 == 0;
    return (struct hist_check_options){
        .is_drained = true,
        .clock_error_ns = QUEUE_CLOCK_ERROR_NS,
        .closes_allowed = fault == QUEUE_CLOSE ? 0 : UINT64_MAX,
        .stall_max_ns = 2 * QUEUE_STANDS_NS + 2 * QUEUE_LATENCY_NS + QUEUE_CLOCK_ERROR_NS,
        .late_max_ns = all ? 1 : 0,
        .close_notice_ns = all ? 2 * QUEUE_LATENCY_NS : 0,
        .forgotten_ns = all ? QUEUE_FORGOTTEN_NS : 0,
    };
}

static unsigned
judge(uint64_t n, enum queue_fault fault, struct hist_verdict *verdict, struct cb_buf *text)
{
    uint64_t planted;
    unsigned wrong = 0;
    struct hist_check_options options = options_of(n, fault);
    struct history *h = queue_sim(seed + n, fault, &planted);
    history_check(h, &options, verdict, text);
    for (unsigned i = 0; i < HIST_PROPERTY_COUNT; i++) {
        wrong |= verdict->violations[i] != 0 ? 1u << i : 0;
    }
    history_destroy(h);
    return wrong;
}

static void a_right_queue_is_not_accused(void **state)
{
    (void)state;
    uint64_t judged[HIST_PROPERTY_COUNT] = {0};
    for (uint64_t n = 0; n < runs; n++) {
        struct hist_verdict verdict;
        struct cb_buf text = CB_BUF_NULL;
        if (judge(n, QUEUE_NONE, &verdict, &text) != 0) {
            cb_buf_append(&text, "", 1);
            fail_msg("seed %llu:\n%s", (unsigned long long)(seed + n), (char *)text.base);
        }
        for (unsigned i = 0; i < HIST_PROPERTY_COUNT; i++) {
            judged[i] += verdict.judged[i];
        }
        cb_buf_fini(&text);
    }
    for (unsigned i = 0; i < HIST_PROPERTY_COUNT; i++) {
        print_message("%-20s judged %llu times\n", history_property_name((enum hist_property)i),
                      (unsigned long long)judged[i]);
        assert_true(judged[i] > 0);
    }
}

static void a_wrong_queue_is_found(void **state)
{
    (void)state;
    for (unsigned fault = QUEUE_NONE + 1; fault < QUEUE_FAULT_COUNT; fault++) {
        unsigned found = 0;
        for (uint64_t n = 0; n < FAULTY_RUNS; n++) {
            struct hist_verdict verdict;
            unsigned wrong = judge(n, (enum queue_fault)fault, &verdict, NULL);
            found += (wrong & faults[fault].wrong) != 0 ? 1 : 0;
        }
        print_message("%-45s found in %u of %u\n", faults[fault].what, found, FAULTY_RUNS);
        assert_true(found > 0);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_queue_is_not_accused),
        cmocka_unit_test(a_wrong_queue_is_found),
    };
    seed = seed_of_test(argc, argv);
    runs = argc > 2 ? strtoull(argv[2], NULL, 0) : runs;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
