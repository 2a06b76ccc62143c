#include "unit/node/store/store_rig.h"

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_limits.h"

#define RIG_DEADLINE_S 60

static void on_durable(void *data)
{
    struct rig *r = data;
    (void)sem_post(&r->notified);
}

const bool rig_on_disk = false;
const bool rig_in_memory = true;

void rig_init(struct rig *r, bool in_memory)
{
    *r = (struct rig){0};
    assert_int_equal(sem_init(&r->notified, 0, 0), 0);
    if (in_memory) {
        r->disk = store_mem_disk_create("c1");
        return;
    }
    const char *tmp = getenv("TMPDIR");
    (void)snprintf(r->base, sizeof(r->base), "%s/cb-store-XXXXXX", tmp != NULL ? tmp : "/tmp");
    assert_non_null(mkdtemp(r->base));
    assert_true(snprintf(r->dir, sizeof(r->dir), "%s/n1", r->base) < RIG_PATH_MAX);
    r->options = (struct store_lmdb_options){
        .dir = r->dir,
        .node = "n1",
        .cluster = "c1",
        .map_size = 256 * CB_MIB,
        .notify = on_durable,
        .notify_data = r,
    };
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rig_fini(struct rig *r)
{
    if (r->store != NULL) {
        rig_close(r);
    }
    if (r->disk != NULL) {
        store_mem_disk_destroy(r->disk);
    } else {
        (void)nftw(r->base, remove_entry, 16, FTW_DEPTH | FTW_PHYS); /* a leftover harms nobody */
    }
    (void)sem_destroy(&r->notified);
}

enum store_result rig_try_open(struct rig *r)
{
    assert_null(r->store);
    if (r->disk != NULL) {
        r->store = store_mem_open(&(struct store_mem_options){
            .disk = r->disk, .is_immediate = true, .notify = on_durable, .notify_data = r});
        return STORE_OK;
    }
    return store_lmdb_open(&r->options, &r->store, &r->err);
}

void rig_open(struct rig *r)
{
    if (rig_try_open(r) != STORE_OK) {
        fail_msg("open: %s", r->err.text);
    }
}

void rig_close(struct rig *r)
{
    store_close(r->store);
    r->store = NULL;
}

void rig_reopen(struct rig *r)
{
    rig_close(r);
    rig_open(r);
}

void rig_put(struct rig *r, uint64_t index, const char *key, const char *value)
{
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span_str(key), cb_span_str(value));
    store_commit(r->store, b, &(struct store_meta){.index = index, .term = 1});
}

void rig_del(struct rig *r, uint64_t index, const char *key)
{
    struct store_batch *b = store_batch_create();
    store_batch_del(b, cb_span_str(key));
    store_commit(r->store, b, &(struct store_meta){.index = index, .term = 1});
}

void rig_wait(struct rig *r, uint64_t index)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RIG_DEADLINE_S;
    for (;;) {
        struct store_meta meta;
        store_durable(r->store, &meta);
        if (meta.index >= index) {
            return;
        }
        while (sem_timedwait(&r->notified, &until) != 0) {
            assert_int_equal(errno, EINTR); /* else the deadline has passed */
        }
    }
}

bool rig_append_record(void *data, struct cb_span key, struct cb_span value)
{
    struct cb_buf *out = data;
    cb_buf_append(out, key.ptr, key.len);
    cb_buf_append_str(out, "=");
    cb_buf_append(out, value.ptr, value.len);
    cb_buf_append_str(out, ";");
    return true;
}

void rig_contents(struct rig *r, struct cb_buf *out)
{
    if (store_load(r->store, rig_append_record, out, NULL, &r->err) != STORE_OK) {
        fail_msg("load: %s", r->err.text);
    }
}

void rig_assert_contents(struct rig *r, const char *expected)
{
    struct cb_buf found = CB_BUF_NULL;
    rig_contents(r, &found);
    cb_buf_append(&found, "", 1);
    assert_string_equal((const char *)cb_buf_span(&found).ptr, expected);
    cb_buf_fini(&found);
}

enum store_result rig_dump(struct store *s, struct cb_buf *out, struct store_error *err)
{
    struct store_copy *c;
    bool is_last = false;
    enum store_result result = store_copy_open(s, &c, err);
    if (result != STORE_OK) {
        return result;
    }
    while (result == STORE_OK && !is_last) {
        result = store_copy_next(c, 256 * CB_KIB, out, &is_last, err);
    }
    store_copy_close(c);
    return result;
}

enum store_result
rig_load_dump(struct store *s, struct cb_span dump, size_t size, struct store_error *err)
{
    bool is_whole = false;
    enum store_result result = store_incoming_begin(s, err);
    while (result == STORE_OK && dump.len > 0) {
        size_t len = size == 0 || dump.len < size ? dump.len : size;
        result = store_incoming_feed(s, cb_span(dump.ptr, len), &is_whole, err);
        dump = cb_span(dump.ptr + len, dump.len - len);
    }
    if (result == STORE_OK && !is_whole) {
        store_discard_incoming(s);
        return STORE_BAD_DUMP;
    }
    return result;
}

uint64_t rig_seed(const char *test)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    printf("%s: SEED=%" PRIu64 "\n", test, seed);
    return seed;
}
