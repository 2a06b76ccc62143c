#include "node/replica/replica_wire.h"

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "node/replica/replica_frame.h"

/* libraft counts on from these: none may be near the end. */
#define NUMBER_MAX ((uint64_t)INT64_MAX)
/* What libraft 0.22 sets; there are no fields of later ones here. */
#define VERSION_MAX 2
#define FLAG_0 1u
#define FLAG_1 2u

void *replica_wire_alloc(size_t size)
{
    void *p = raft_malloc(size > 0 ? size : 1);
    if (p == NULL) {
        cb_die("out of memory (%zu bytes of a raft message): give the machine or the unit more "
               "memory",
               size);
    }
    return p;
}

static void put_u16(struct cb_buf *b, uint16_t v)
{
    cb_put_u8(b, (uint8_t)v);
    cb_put_u8(b, (uint8_t)(v >> 8));
}

static uint16_t get_u16(struct cb_reader *r)
{
    uint16_t low = cb_get_u8(r);
    return (uint16_t)(low | cb_get_u8(r) << 8);
}

static uint64_t get_number(struct cb_reader *r)
{
    uint64_t v = cb_get_u64(r);
    r->failed |= v > NUMBER_MAX;
    return v;
}

static void put_flags(struct cb_buf *b, bool flag_0, bool flag_1)
{
    cb_put_u8(b, (uint8_t)((flag_0 ? FLAG_0 : 0) | (flag_1 ? FLAG_1 : 0)));
}

static void get_flags(struct cb_reader *r, bool *flag_0, bool *flag_1)
{
    unsigned v = cb_get_u8(r);
    r->failed |= (v & ~(FLAG_0 | FLAG_1)) != 0;
    *flag_0 = (v & FLAG_0) != 0;
    *flag_1 = (v & FLAG_1) != 0;
}

static void put_start(struct cb_buf *b, enum raft_message_type type, unsigned char version)
{
    cb_put_u8(b, (uint8_t)type);
    cb_put_u8(b, version < VERSION_MAX ? version : VERSION_MAX);
}

/* --- votes --- */

static void put_vote(struct cb_buf *b, const struct raft_request_vote *m)
{
    put_start(b, RAFT_REQUEST_VOTE, m->version);
    cb_put_u64(b, m->term);
    cb_put_u64(b, m->candidate_id);
    cb_put_u64(b, m->last_log_index);
    cb_put_u64(b, m->last_log_term);
    put_flags(b, m->disrupt_leader, m->pre_vote);
}

static void get_vote(struct cb_reader *r, struct raft_request_vote *m)
{
    m->term = get_number(r);
    m->candidate_id = cb_get_u64(r);
    m->last_log_index = get_number(r);
    m->last_log_term = get_number(r);
    get_flags(r, &m->disrupt_leader, &m->pre_vote);
}

static void put_vote_result(struct cb_buf *b, const struct raft_request_vote_result *m)
{
    put_start(b, RAFT_REQUEST_VOTE_RESULT, m->version);
    cb_put_u64(b, m->term);
    put_flags(b, m->vote_granted, m->pre_vote);
    put_u16(b, m->features);
    put_u16(b, m->capacity);
}

static void get_vote_result(struct cb_reader *r, struct raft_request_vote_result *m)
{
    m->term = get_number(r);
    get_flags(r, &m->vote_granted, &m->pre_vote);
    m->features = get_u16(r);
    m->capacity = get_u16(r);
}

static void put_timeout_now(struct cb_buf *b, const struct raft_timeout_now *m)
{
    put_start(b, RAFT_TIMEOUT_NOW, m->version);
    cb_put_u64(b, m->term);
    cb_put_u64(b, m->last_log_index);
    cb_put_u64(b, m->last_log_term);
}

static void get_timeout_now(struct cb_reader *r, struct raft_timeout_now *m)
{
    m->term = get_number(r);
    m->last_log_index = get_number(r);
    m->last_log_term = get_number(r);
}

/* --- entries --- */

void replica_wire_append_head(const struct raft_append_entries *m,
                              unsigned first,
                              unsigned count,
                              struct cb_buf *out)
{
    CB_ASSERT(first <= m->n_entries && count <= m->n_entries - first);
    put_start(out, RAFT_APPEND_ENTRIES, m->version);
    cb_put_u64(out, m->term);
    cb_put_u64(out, m->prev_log_index + first);
    cb_put_u64(out, first == 0 ? m->prev_log_term : m->entries[first - 1].term);
    cb_put_u64(out, m->leader_commit);
    cb_put_u32(out, count);
    for (unsigned i = first; i < first + count; i++) {
        const struct raft_entry *e = &m->entries[i];
        cb_put_u64(out, e->term);
        cb_put_u8(out, (uint8_t)e->type);
        cb_put_u32(out, (uint32_t)e->buf.len);
    }
}

static bool is_entry_type(unsigned type)
{
    return type == RAFT_COMMAND || type == RAFT_BARRIER || type == RAFT_CHANGE;
}

/* libraft writes no entry whose length is not a multiple of 8, and finds out when its log in memory
 * has it already. */
static void
get_entry(struct cb_reader *r, struct raft_entry *e, uint64_t term_min, uint64_t term_max)
{
    e->term = cb_get_u64(r);
    unsigned type = cb_get_u8(r);
    e->buf.len = cb_get_u32(r);
    r->failed |= e->term == 0 || e->term < term_min || e->term > term_max || !is_entry_type(type) ||
                 e->buf.len == 0 || e->buf.len % 8 != 0;
    e->type = (enum raft_entry_type)type;
}

/* The bytes of a change are libraft's own form of a configuration, which it reads without looking
 * at where they end. */
static bool is_sound_change(struct cb_span s)
{
    struct cb_reader r;
    cb_reader_init(&r, s);
    (void)cb_get_u8(&r);
    uint64_t n = cb_get_u64(&r);
    r.failed |= n == 0 || n > CB_RAFT_CONF_MAX;
    for (uint64_t i = 0; i < n && !r.failed; i++) {
        (void)cb_get_u64(&r);
        const uint8_t *end = memchr(r.p, 0, (size_t)(r.end - r.p));
        r.failed |= end == NULL;
        r.p = end == NULL ? r.p : end + 1;
        (void)cb_get_u8(&r);
    }
    struct raft_configuration conf;
    /* It only reads. */
    const struct raft_buffer buf = {.base = (void *)(uintptr_t)s.ptr, .len = s.len};
    if (r.failed || raft_configuration_decode(&buf, &conf) != 0) {
        return false;
    }
    raft_configuration_close(&conf);
    return true;
}

/* Reads the heads twice: first whether they are right, then into memory of their own. */
static uint64_t check_entries(struct cb_reader r, const struct raft_append_entries *m, unsigned n)
{
    uint64_t sum = 0;
    struct raft_entry e = {.term = m->prev_log_term};
    if (n > (size_t)(r.end - r.p) / REPLICA_WIRE_ENTRY_SIZE) {
        return UINT64_MAX;
    }
    for (unsigned i = 0; i < n && !r.failed; i++) {
        get_entry(&r, &e, e.term, m->term);
        sum += e.buf.len;
    }
    return r.failed || sum != (uint64_t)(r.end - r.p) ? UINT64_MAX : sum;
}

static bool fill_entries(struct cb_reader *r, struct raft_append_entries *m, size_t sum)
{
    uint8_t *batch = replica_wire_alloc(sum);
    uint8_t *at = batch;
    bool is_sound = true;
    m->entries = replica_wire_alloc(m->n_entries * sizeof m->entries[0]);
    memset(m->entries, 0, m->n_entries * sizeof m->entries[0]);
    for (unsigned i = 0; i < m->n_entries; i++) {
        struct raft_entry *e = &m->entries[i];
        get_entry(r, e, 0, m->term);
        e->buf.base = at;
        e->batch = batch;
        at += e->buf.len;
    }
    memcpy(batch, r->p, sum);
    r->p += sum;
    for (unsigned i = 0; i < m->n_entries; i++) {
        const struct raft_entry *e = &m->entries[i];
        is_sound &= e->type != RAFT_CHANGE || is_sound_change(cb_span(e->buf.base, e->buf.len));
    }
    return is_sound;
}

static bool get_append(struct cb_reader *r, struct raft_append_entries *m)
{
    m->term = get_number(r);
    m->prev_log_index = get_number(r);
    m->prev_log_term = get_number(r);
    m->leader_commit = get_number(r);
    uint32_t n = cb_get_u32(r);
    if (r->failed || n > NUMBER_MAX - m->prev_log_index) {
        return false;
    }
    if (n == 0) {
        return true;
    }
    uint64_t sum = check_entries(*r, m, n);
    if (sum == UINT64_MAX) {
        return false;
    }
    m->n_entries = n;
    return fill_entries(r, m, (size_t)sum);
}

static void put_append_result(struct cb_buf *b, const struct raft_append_entries_result *m)
{
    put_start(b, RAFT_APPEND_ENTRIES_RESULT, m->version);
    cb_put_u64(b, m->term);
    cb_put_u64(b, m->rejected);
    /* libraft leaves it unset when it refuses a leader of an older term, who does not read it. */
    cb_put_u64(b, m->last_log_index < NUMBER_MAX ? m->last_log_index : NUMBER_MAX);
    put_u16(b, m->features);
    put_u16(b, m->capacity);
}

static void get_append_result(struct cb_reader *r, struct raft_append_entries_result *m)
{
    m->term = get_number(r);
    m->rejected = get_number(r);
    m->last_log_index = get_number(r);
    m->features = get_u16(r);
    m->capacity = get_u16(r);
}

/* --- the state --- */

static void put_install(struct cb_buf *b, const struct raft_install_snapshot *m)
{
    CB_ASSERT(m->conf.n <= CB_RAFT_CONF_MAX);
    put_start(b, RAFT_INSTALL_SNAPSHOT, m->version);
    cb_put_u64(b, m->term);
    cb_put_u64(b, m->last_index);
    cb_put_u64(b, m->last_term);
    cb_put_u64(b, m->conf_index);
    cb_put_u8(b, (uint8_t)m->conf.n);
    for (unsigned i = 0; i < m->conf.n; i++) {
        const struct raft_server *s = &m->conf.servers[i];
        cb_put_u64(b, s->id);
        cb_put_u8(b, (uint8_t)s->role);
        cb_put_bytes(b, cb_span_str(s->address));
    }
    cb_put_u64(b, m->data.len);
}

static bool get_server(struct cb_reader *r, struct raft_configuration *conf)
{
    uint64_t id = cb_get_u64(r);
    uint8_t role = cb_get_u8(r);
    struct cb_span s = cb_get_bytes(r, CB_RAFT_SERVER_MAX - 1);
    char address[CB_RAFT_SERVER_MAX] = {0};
    if (r->failed || id == 0 || s.len == 0 || memchr(s.ptr, 0, s.len) != NULL) {
        return false;
    }
    memcpy(address, s.ptr, s.len);
    /* It finds out about the role, and about what is there twice. */
    return raft_configuration_add(conf, id, address, role) == 0;
}

static bool get_install(struct cb_reader *r, struct raft_install_snapshot *m)
{
    m->term = get_number(r);
    m->last_index = get_number(r);
    m->last_term = get_number(r);
    m->conf_index = get_number(r);
    unsigned n = cb_get_u8(r);
    raft_configuration_init(&m->conf);
    r->failed |= n == 0 || n > CB_RAFT_CONF_MAX;
    for (unsigned i = 0; i < n && !r->failed; i++) {
        r->failed |= !get_server(r, &m->conf);
    }
    uint64_t len = cb_get_u64(r);
    r->failed |= len != REPLICA_MARKER_SIZE || len != (size_t)(r->end - r->p);
    if (r->failed) {
        return false;
    }
    m->data.len = (size_t)len;
    m->data.base = replica_wire_alloc(m->data.len);
    memcpy(m->data.base, r->p, m->data.len);
    r->p += m->data.len;
    return true;
}

/* --- all of them --- */

void replica_wire_head(const struct raft_message *m, struct cb_buf *out)
{
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        replica_wire_append_head(&m->append_entries, 0, m->append_entries.n_entries, out);
        return;
    case RAFT_APPEND_ENTRIES_RESULT:
        put_append_result(out, &m->append_entries_result);
        return;
    case RAFT_REQUEST_VOTE:
        put_vote(out, &m->request_vote);
        return;
    case RAFT_REQUEST_VOTE_RESULT:
        put_vote_result(out, &m->request_vote_result);
        return;
    case RAFT_INSTALL_SNAPSHOT:
        put_install(out, &m->install_snapshot);
        return;
    case RAFT_TIMEOUT_NOW:
        put_timeout_now(out, &m->timeout_now);
        return;
    }
    CB_UNREACHABLE("the type of a raft message");
}

void replica_wire_free(struct raft_message *m)
{
    if (m->type == RAFT_APPEND_ENTRIES && m->append_entries.n_entries > 0) {
        raft_free(m->append_entries.entries[0].batch);
        raft_free(m->append_entries.entries);
    } else if (m->type == RAFT_INSTALL_SNAPSHOT) {
        raft_configuration_close(&m->install_snapshot.conf);
        raft_free(m->install_snapshot.data.base);
    }
}

/* The version stands at the front of each of libraft's structs. */
static bool get_body(struct cb_reader *r, struct raft_message *m, unsigned char version)
{
    switch (m->type) {
    case RAFT_APPEND_ENTRIES:
        m->append_entries.version = version;
        return get_append(r, &m->append_entries);
    case RAFT_APPEND_ENTRIES_RESULT:
        m->append_entries_result.version = version;
        get_append_result(r, &m->append_entries_result);
        return true;
    case RAFT_REQUEST_VOTE:
        m->request_vote.version = version;
        get_vote(r, &m->request_vote);
        return true;
    case RAFT_REQUEST_VOTE_RESULT:
        m->request_vote_result.version = version;
        get_vote_result(r, &m->request_vote_result);
        return true;
    case RAFT_INSTALL_SNAPSHOT:
        m->install_snapshot.version = version;
        return get_install(r, &m->install_snapshot);
    case RAFT_TIMEOUT_NOW:
        m->timeout_now.version = version;
        get_timeout_now(r, &m->timeout_now);
        return true;
    }
    return false;
}

static unsigned char get_start(struct cb_reader *r, struct raft_message *m)
{
    memset(m, 0, sizeof *m);
    m->type = (enum raft_message_type)cb_get_u8(r);
    unsigned char version = cb_get_u8(r);
    r->failed |= version > VERSION_MAX;
    return version;
}

bool replica_wire_decode(struct cb_span bytes, struct raft_message *out)
{
    struct cb_reader r;
    cb_reader_init(&r, bytes);
    unsigned char version = get_start(&r, out);
    if (!r.failed && get_body(&r, out, version) && cb_reader_done(&r)) {
        return true;
    }
    replica_wire_free(out);
    return false;
}
