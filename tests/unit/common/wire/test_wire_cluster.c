/* Proves that our codec of the cluster messages and protobuf-c's are the same, and that what is
 * wrong in one is refused. */
#include "common/wire/wire_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cluster.pb-c.h"
#include "common/base/cb_limits.h"

static void fill(struct wire_status *m)
{
    m->name = cb_span_str("n1");
    m->id = 1;
    m->role = cb_span_str("leader");
    m->term = 2;
    m->leader = 3;
    m->commit = 4;
    m->applied = 5;
    m->version = cb_span_str("0.1");
    m->protocol = 6;
    m->entry_format = 7;
    m->record_format = 8;
    *wire_status_add_member(m) = (struct wire_member){9, cb_span_str("n2"), cb_span_str("h:1"),
                                                      cb_span_str("h:2"), cb_span_str("voter")};
    *wire_status_add_member(m) = (struct wire_member){.id = 10};
    m->serving = true;
    m->durable = 11;
    *wire_status_add_counter(m) = (struct wire_status_counter){cb_span_str("elections"), 12};
}

static void status_is_the_protos(void **state)
{
    (void)state;
    struct wire_status m = {0};
    struct cb_buf b = CB_BUF_NULL;
    fill(&m);
    wire_status_encode(&m, &b);
    Coolbeans__V1__StatusReply *p =
        coolbeans__v1__status_reply__unpack(NULL, cb_buf_len(&b), cb_buf_span(&b).ptr);
    assert_non_null(p);
    assert_string_equal(p->name, "n1");
    assert_int_equal(p->id, 1);
    assert_string_equal(p->role, "leader");
    assert_int_equal(p->term, 2);
    assert_int_equal(p->leader, 3);
    assert_int_equal(p->commit, 4);
    assert_int_equal(p->applied, 5);
    assert_string_equal(p->version, "0.1");
    assert_int_equal(p->protocol, 6);
    assert_int_equal(p->entry_format, 7);
    assert_int_equal(p->record_format, 8);
    assert_int_equal(p->n_members, 2);
    assert_int_equal(p->members[0]->id, 9);
    assert_string_equal(p->members[0]->name, "n2");
    assert_string_equal(p->members[0]->grpc, "h:1");
    assert_string_equal(p->members[0]->raft, "h:2");
    assert_string_equal(p->members[0]->role, "voter");
    assert_true(p->serving);
    assert_int_equal(p->durable, 11);
    assert_string_equal(p->counters[0]->name, "elections");
    assert_int_equal(p->counters[0]->value, 12);
    uint8_t packed[512];
    assert_true(coolbeans__v1__status_reply__get_packed_size(p) <= sizeof packed);
    assert_int_equal(coolbeans__v1__status_reply__pack(p, packed), cb_buf_len(&b));
    assert_memory_equal(packed, cb_buf_span(&b).ptr, cb_buf_len(&b));
    coolbeans__v1__status_reply__free_unpacked(p, NULL);
    cb_buf_fini(&b);
    wire_status_fini(&m);
}

static void status_comes_back(void **state)
{
    (void)state;
    struct wire_status m = {0};
    struct wire_status decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    struct cb_buf again = CB_BUF_NULL;
    fill(&m);
    wire_status_encode(&m, &b);
    for (int i = 0; i < 2; i++) { /* the second time into used arrays */
        cb_buf_clear(&again);
        assert_int_equal(wire_status_decode(&decoded, cb_buf_span(&b)), WIRE_OK);
        wire_status_encode(&decoded, &again);
        assert_true(cb_span_eq(cb_buf_span(&b), cb_buf_span(&again)));
    }
    for (size_t cut = 0; cut < cb_buf_len(&b); cut++) {
        enum wire_error e = wire_status_decode(&decoded, cb_span(cb_buf_span(&b).ptr, cut));
        assert_non_null(wire_error_text(e));
    }
    cb_buf_fini(&b);
    cb_buf_fini(&again);
    wire_status_fini(&m);
    wire_status_fini(&decoded);
}

static void status_is_checked(void **state)
{
    (void)state;
    struct wire_status m = {0};
    struct wire_status decoded = {0};
    struct cb_buf b = CB_BUF_NULL;
    m.name = cb_span_str("n\033[2J");
    wire_status_encode(&m, &b);
    assert_int_equal(wire_status_decode(&decoded, cb_buf_span(&b)), WIRE_BAD_RANGE);
    cb_buf_clear(&b);
    m.name = cb_span_str("n1");
    for (int i = 0; i <= CB_CLUSTER_NODES_MAX; i++) {
        (void)wire_status_add_member(&m);
    }
    wire_status_encode(&m, &b);
    assert_int_equal(wire_status_decode(&decoded, cb_buf_span(&b)), WIRE_BAD_LENGTH);
    cb_buf_fini(&b);
    wire_status_fini(&m);
    wire_status_fini(&decoded);
}

static void identify_is_the_protos(void **state)
{
    (void)state;
    struct cb_buf b = CB_BUF_NULL;
    struct wire_identify_request request = {UINT64_MAX, 2};
    wire_identify_request_encode(&request, &b);
    Coolbeans__V1__IdentifyRequest *q =
        coolbeans__v1__identify_request__unpack(NULL, cb_buf_len(&b), cb_buf_span(&b).ptr);
    assert_true(q->cluster == UINT64_MAX && q->id == 2);
    coolbeans__v1__identify_request__free_unpacked(q, NULL);
    struct wire_identify_request request_back;
    assert_int_equal(wire_identify_request_decode(&request_back, cb_buf_span(&b)), WIRE_OK);
    assert_true(request_back.cluster == UINT64_MAX && request_back.id == 2);

    cb_buf_clear(&b);
    struct wire_identify_reply reply = {WIRE_IDENTIFY_PREPARED, 3, 4, cb_span_str("n4")};
    wire_identify_reply_encode(&reply, &b);
    Coolbeans__V1__IdentifyReply *p =
        coolbeans__v1__identify_reply__unpack(NULL, cb_buf_len(&b), cb_buf_span(&b).ptr);
    assert_int_equal(p->state, COOLBEANS__V1__IDENTIFY_REPLY__STATE__STATE_PREPARED);
    assert_true(p->cluster == 3 && p->id == 4);
    assert_string_equal(p->name, "n4");
    coolbeans__v1__identify_reply__free_unpacked(p, NULL);
    struct wire_identify_reply reply_back;
    assert_int_equal(wire_identify_reply_decode(&reply_back, cb_buf_span(&b)), WIRE_OK);
    assert_true(reply_back.state == WIRE_IDENTIFY_PREPARED && reply_back.id == 4);
    assert_int_equal(wire_identify_reply_decode(&reply_back, CB_SPAN_NULL), WIRE_BAD_OP);
    cb_buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_the_protos),
        cmocka_unit_test(status_comes_back),
        cmocka_unit_test(status_is_checked),
        cmocka_unit_test(identify_is_the_protos),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
