#include "common/wire/wire_queue.h"

#include "common/base/cb_mem.h"
#include "common/wire/wire_array.h"
#include "common/wire/wire_pack.h"

void wire_to_node_clear(struct wire_to_node *m)
{
    wire_decode_arena_reset(m->arena);
    m->seq = 0;
    m->has_attach = false;
    m->attach = (struct wire_attach){0};
    m->acked_result = 0;
    m->n_requests = 0;
    m->n_reads = 0;
    m->n_counts = 0;
    m->resent = false;
}

void wire_to_node_fini(struct wire_to_node *m)
{
    wire_decode_arena_destroy(m->arena);
    cb_free(m->requests);
    cb_free(m->reads);
    cb_free(m->counts);
    *m = (struct wire_to_node){0};
}

void wire_to_proxy_clear(struct wire_to_proxy *m)
{
    wire_decode_arena_reset(m->arena);
    m->confirmed_seq = 0;
    m->has_attached = false;
    m->attached = (struct wire_attached){0};
    m->applied_request = 0;
    m->expect = 0;
    m->n_results = 0;
    m->n_reads = 0;
    m->n_tubes = 0;
}

void wire_to_proxy_fini(struct wire_to_proxy *m)
{
    wire_decode_arena_destroy(m->arena);
    cb_free(m->results);
    cb_free(m->reads);
    cb_free(m->tubes);
    *m = (struct wire_to_proxy){0};
}

struct wire_request *wire_to_node_add_request(struct wire_to_node *m)
{
    return WIRE_ARRAY_ADD(m, requests);
}

struct wire_read *wire_to_node_add_read(struct wire_to_node *m)
{
    return WIRE_ARRAY_ADD(m, reads);
}

struct wire_count *wire_to_node_add_count(struct wire_to_node *m)
{
    return WIRE_ARRAY_ADD(m, counts);
}

struct wire_result *wire_to_proxy_add_result(struct wire_to_proxy *m)
{
    return WIRE_ARRAY_ADD(m, results);
}

struct wire_read_result *wire_to_proxy_add_read(struct wire_to_proxy *m)
{
    return WIRE_ARRAY_ADD(m, reads);
}
