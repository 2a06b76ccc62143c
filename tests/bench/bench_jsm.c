/* What an operation of the job state machine costs, and what a job weighs.
 *
 *   bench_jsm [JOBS]     (default 1,000,000)
 *
 * Fills a machine with ready jobs of 100 bytes, measuring put, then reserve + delete, at the start
 * (an empty queue) and at the end (a full one), and the anonymous memory of the process. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_assert.h"
#include "node/jsm/jsm.h"

static struct jsm *m;
static uint64_t next_index = 1;
static uint64_t next_request = 1;
static uint64_t session_id;

static double now_s(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double anonymous_mib(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    CB_ASSERT(f != NULL);
    char line[256];
    unsigned long kib = 0;
    while (fgets(line, sizeof(line), f) != NULL && sscanf(line, "RssAnon: %lu", &kib) != 1) {
    }
    (void)fclose(f); /* only read from */
    return (double)kib / 1024;
}

static void apply(const struct jsm_item *items, uint32_t n)
{
    struct jsm_entry e = {.stamp_ns = next_index * 1000, .items = items, .n_items = n};
    jsm_apply(m, next_index++, &e);
}

static struct jsm_item request(enum jsm_op op, uint64_t id, struct cb_span body)
{
    return (struct jsm_item){
        .kind = JSM_ITEM_REQUEST,
        .session = session_id,
        .number = next_request++,
        .command = {.op = op, .conn = 1, .id = id, .ttr = 3600, .pri = 1000, .body = body},
    };
}

static void acknowledge(void)
{
    struct jsm_item ack = {
        .kind = JSM_ITEM_ACK,
        .session = session_id,
        .number = jsm_session_last_result(jsm_session_get(m, session_id)),
    };
    apply(&ack, 1);
}

/* Puts `n` jobs, 100 an entry; returns microseconds a job. */
static double put(unsigned n)
{
    char body[100] = "x";
    double start = now_s();
    for (unsigned i = 0; i < n; i += 100) {
        struct jsm_item items[100];
        for (unsigned k = 0; k < 100; k++) {
            items[k] = request(JSM_OP_PUT, 0, cb_span(body, sizeof(body)));
        }
        apply(items, 100);
        acknowledge();
    }
    return (now_s() - start) * 1e6 / n;
}

/* Reserves and deletes `n` jobs; returns microseconds a job. */
static double cycle(unsigned n)
{
    double start = now_s();
    for (unsigned i = 0; i < n; i++) {
        struct jsm_item reserve = request(JSM_OP_RESERVE, 0, CB_SPAN_NULL);
        apply(&reserve, 1);
        struct jsm_result r;
        const struct jsm_session *s = jsm_session_get(m, session_id);
        CB_ASSERT(jsm_session_result(s, jsm_session_last_result(s), &r) &&
                  r.outcome == JSM_RESERVED);
        struct jsm_item del = request(JSM_OP_DELETE, r.id, CB_SPAN_NULL);
        apply(&del, 1);
        acknowledge();
    }
    return (now_s() - start) * 1e6 / n;
}

static void ignore_put(void *data, struct cb_span key, struct cb_span value)
{
    *(uint64_t *)data += key.len + value.len;
}

static void ignore_del(void *data, struct cb_span key)
{
    *(uint64_t *)data += key.len;
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000000;
    m = jsm_create();
    struct jsm_item open = {
        .kind = JSM_ITEM_OPEN, .name = cb_span_str("bench"), .incarnation = {1, 1}};
    session_id = next_index;
    apply(&open, 1);
    struct jsm_item conn = request(JSM_OP_CONN_OPEN, 0, CB_SPAN_NULL);
    apply(&conn, 1);

    double base_mib = anonymous_mib();
    double put_empty = put(10000);
    double cycle_empty = cycle(10000);
    double put_all = put(n);
    double full_mib = anonymous_mib();
    double put_full = put(10000);
    double cycle_full = cycle(10000);
    printf(
        "put:            %.2f us on an empty queue, %.2f us on %u jobs (mean of filling %.2f us)\n",
        put_empty, put_full, n, put_all);
    printf("reserve+delete: %.2f us on an empty queue, %.2f us on %u jobs\n", cycle_empty,
           cycle_full, n);
    printf("memory:         %.0f bytes a job of 100 bytes\n",
           (full_mib - base_mib) * 1024 * 1024 / n);
    uint64_t bytes = 0;
    struct jsm_record_sink sink = {.data = &bytes, .put = ignore_put, .del = ignore_del};
    double start = now_s();
    jsm_drain(m, &sink);
    printf("drain:          %.2f us a job, %.0f bytes stored a job\n", (now_s() - start) * 1e6 / n,
           (double)bytes / n);
    jsm_destroy(m);
    return 0;
}
