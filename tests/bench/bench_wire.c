/* What a message between proxy and node costs to encode and to decode.
 *
 *   bench_wire [ROUNDS]     (default 2,000)
 *
 * Batches of 100, as under load: puts with bodies of 100 bytes one way, reserved jobs with such
 * bodies the other. Prints nanoseconds a request or result, the best of several runs: the others
 * measure the neighbours on the machine. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/cb_assert.h"
#include "common/wire/wire_queue.h"

#define BATCH 100u
#define RUNS 7

static struct wire_to_node to_node;
static struct wire_to_node to_node_back;
static struct wire_to_proxy to_proxy;
static struct wire_to_proxy to_proxy_back;
static struct cb_buf bytes;

static void encode_to_node(void)
{
    cb_buf_clear(&bytes);
    wire_to_node_encode(&to_node, &bytes);
}

static void decode_to_node(void)
{
    CB_ASSERT(wire_to_node_decode(&to_node_back, cb_buf_span(&bytes)) == WIRE_OK);
}

static void encode_to_proxy(void)
{
    cb_buf_clear(&bytes);
    wire_to_proxy_encode(&to_proxy, &bytes);
}

static void decode_to_proxy(void)
{
    CB_ASSERT(wire_to_proxy_decode(&to_proxy_back, cb_buf_span(&bytes)) == WIRE_OK);
}

static double now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void measure(const char *name, void (*once)(void), unsigned long rounds)
{
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        double start = now_ns();
        for (unsigned long i = 0; i < rounds; i++) {
            once();
        }
        double each = (now_ns() - start) / (double)(rounds * BATCH);
        best = run == 0 || each < best ? each : best;
    }
    printf("%-24s %7.1f ns\n", name, best);
}

static void fill(void)
{
    static const char body[100] = "x";
    to_node.seq = 1000;
    to_proxy.confirmed_seq = 1000;
    for (uint32_t i = 0; i < BATCH; i++) {
        *wire_to_node_add_request(&to_node) = (struct wire_request){
            .number = 1000000 + i,
            .conn = 1 + i,
            .op = WIRE_OP_PUT,
            .pri = 1024,
            .ttr = 60,
            .body = cb_span(body, sizeof(body)),
        };
        *wire_to_proxy_add_result(&to_proxy) = (struct wire_result){
            .number = 1000000 + i,
            .request = 1000000 + i,
            .conn = 1 + i,
            .outcome = WIRE_RESERVED,
            .id = 5000000 + i,
            .body = cb_span(body, sizeof(body)),
        };
    }
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
    if (rounds == 0) {
        (void)fprintf(stderr, "usage: bench_wire [ROUNDS]\n");
        return 2;
    }
    fill();
    measure("encode a request", encode_to_node, rounds);
    measure("decode a request", decode_to_node, rounds);
    measure("encode a result", encode_to_proxy, rounds);
    measure("decode a result", decode_to_proxy, rounds);
    wire_to_node_fini(&to_node);
    wire_to_node_fini(&to_node_back);
    wire_to_proxy_fini(&to_proxy);
    wire_to_proxy_fini(&to_proxy_back);
    cb_buf_fini(&bytes);
    return 0;
}
