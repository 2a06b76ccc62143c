/* The scrub finds what has changed on the disk behind LMDB's back, says where, and finds nothing
 * wrong in what is right, whatever happens to the store meanwhile. */
#include "unit/node/store/store_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_scrub.h"

#define RECORDS 1000
#define BIG_EVERY 50
#define STEP 20000
#define PAGE 4096
#define USED_PAGES (RECORDS / BIG_EVERY * 5) /* those of the large values alone */
#define ROUNDS 150u

static uint8_t value[20000];

/* Every `every`-th record from `first` on is written anew; some need pages of their own. */
static void write_some(struct rig *r, uint64_t index, uint64_t first, uint64_t every)
{
    struct store_batch *b = store_batch_create();
    for (uint64_t i = first; i < RECORDS; i += every) {
        char key[24];
        size_t len = i % BIG_EVERY == 0 ? sizeof(value) - (size_t)(i % 7) : (size_t)(i % 100);
        (void)snprintf(key, sizeof(key), "key%06llu", (unsigned long long)i);
        memset(value, (int)(i + index), len);
        store_batch_put(b, cb_span_str(key), cb_span(value, len));
    }
    store_commit(r->store, b, &(struct store_meta){.index = index});
    rig_wait(r, index);
}

static void delete_some(struct rig *r, uint64_t index, uint64_t first, uint64_t every)
{
    struct store_batch *b = store_batch_create();
    for (uint64_t i = first; i < RECORDS; i += every) {
        char key[24];
        (void)snprintf(key, sizeof(key), "key%06llu", (unsigned long long)i);
        store_batch_del(b, cb_span_str(key));
    }
    store_commit(r->store, b, &(struct store_meta){.index = index});
    rig_wait(r, index);
}

/* One pass; `between` NULL or called after each step. STORE_OK: nothing was found. */
static enum store_result pass(struct store_scrub *c,
                              void (*between)(struct rig *r),
                              struct rig *r,
                              size_t *steps,
                              size_t *bytes)
{
    bool is_pass = false;
    *steps = *bytes = 0;
    while (!is_pass) {
        size_t n;
        enum store_result result = store_scrub_step(c, STEP, &n, &is_pass, &r->err);
        if (result != STORE_OK) {
            return result;
        }
        ++*steps;
        *bytes += n;
        assert_true(n <= STEP + sizeof(value) + 16 * PAGE);
        if (between != NULL) {
            between(r);
        }
    }
    return STORE_OK;
}

static enum store_result scrub(struct rig *r)
{
    size_t steps;
    size_t bytes;
    struct store_scrub *c = store_scrub_create(r->store);
    enum store_result result = pass(c, NULL, r, &steps, &bytes);
    store_scrub_destroy(c);
    return result;
}

static int init(void **state)
{
    static struct rig rig;
    rig_init(&rig, false);
    rig.options.map_size = 256 * CB_MIB;
    rig_open(&rig);
    *state = &rig;
    return 0;
}

static int fini(void **state)
{
    rig_fini(*state);
    return 0;
}

static void an_empty_store_is_sound(void **state)
{
    struct rig *r = *state;
    assert_int_equal(scrub(r), STORE_OK);
    rig_put(r, 1, "a", "b");
    rig_wait(r, 1);
    assert_int_equal(scrub(r), STORE_OK);
    rig_del(r, 2, "a");
    rig_wait(r, 2);
    assert_int_equal(scrub(r), STORE_OK);
}

static void all_of_it_is_read(void **state)
{
    struct rig *r = *state;
    size_t steps;
    size_t bytes;
    write_some(r, 1, 0, 1);
    struct store_scrub *c = store_scrub_create(r->store);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pass(c, NULL, r, &steps, &bytes), STORE_OK);
        assert_true(bytes > RECORDS / BIG_EVERY * sizeof(value) + (size_t)RECORDS * 50);
        assert_true(steps > bytes / (2 * STEP + sizeof(value)));
    }
    store_scrub_destroy(c);
}

static uint64_t now;

static void change(struct rig *r)
{
    now++;
    if (now % 3 == 0) {
        delete_some(r, now, now % 17, 17);
    } else {
        write_some(r, now, now % 13, 13);
    }
}

static void what_changes_meanwhile_is_sound(void **state)
{
    struct rig *r = *state;
    size_t steps;
    size_t bytes;
    now = 1;
    write_some(r, now, 0, 1);
    struct store_scrub *c = store_scrub_create(r->store);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pass(c, change, r, &steps, &bytes), STORE_OK);
    }
    store_scrub_destroy(c);
}

/* The other database is read from its beginning. */
static void a_swap_is_sound(void **state)
{
    struct rig *r = *state;
    struct cb_buf dump = CB_BUF_NULL;
    bool is_pass;
    size_t n;
    write_some(r, 1, 0, 1);
    assert_int_equal(rig_dump(r->store, &dump, &r->err), STORE_OK);
    struct store_scrub *c = store_scrub_create(r->store);
    assert_int_equal(store_scrub_step(c, STEP, &n, &is_pass, &r->err), STORE_OK);
    assert_int_equal(rig_load_dump(r->store, cb_buf_span(&dump), 0, &r->err), STORE_OK);
    assert_int_equal(store_swap(r->store, &r->err), STORE_OK);
    size_t steps;
    size_t bytes;
    assert_int_equal(pass(c, NULL, r, &steps, &bytes), STORE_OK);
    assert_true(bytes > RECORDS / BIG_EVERY * sizeof(value));
    store_scrub_destroy(c);
    cb_buf_fini(&dump);
}

/* ---- damage ---- */

static int open_file(const struct rig *r, size_t *len)
{
    char path[RIG_PATH_MAX + 16];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/db/data.mdb", r->dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *len = (size_t)st.st_size;
    return fd;
}

static void flip(int fd, size_t at, uint8_t mask)
{
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
}

/* In each value there is its number; that of one record stands nowhere else. */
static void a_flipped_bit_is_found_and_named(void **state)
{
    struct rig *r = *state;
    size_t len;
    struct store_batch *b = store_batch_create();
    store_batch_put(b, cb_span_str("the-key"), cb_span_str("what-is-looked-for"));
    store_commit(r->store, b, &(struct store_meta){.index = 1});
    rig_wait(r, 1);
    write_some(r, 2, 0, 1);
    assert_int_equal(scrub(r), STORE_OK);
    int fd = open_file(r, &len);
    uint8_t *all = cb_malloc(len);
    assert_int_equal(pread(fd, all, len, 0), len);
    unsigned found = 0;
    for (size_t at = 0; at + 18 < len; at++) {
        if (memcmp(all + at, "what-is-looked-for", 18) == 0) {
            flip(fd, at + 3, 4);
            found++;
        }
    }
    cb_free(all);
    assert_true(found > 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(scrub(r), STORE_CORRUPT);
    assert_non_null(
        strstr(r->err.text, "/db: the record with key 0x7468652d6b6579 does not match"));
}

/* A page that is zeroes, or another one's content: live ones are missed, free ones are not. */
static void a_lost_sector_is_found(void **state)
{
    struct rig *r = *state;
    size_t len;
    uint8_t zero[PAGE] = {0};
    uint8_t before[PAGE];
    unsigned found = 0;
    write_some(r, 1, 0, 1);
    int fd = open_file(r, &len);
    unsigned tried = 0;
    for (size_t at = 2 * PAGE; at < USED_PAGES * PAGE; at += 3 * PAGE) {
        tried++;
        assert_int_equal(pread(fd, before, PAGE, (off_t)at), PAGE);
        assert_int_equal(pwrite(fd, zero, PAGE, (off_t)at), PAGE);
        enum store_result result = scrub(r);
        assert_true(result == STORE_OK || result == STORE_CORRUPT);
        found += result == STORE_CORRUPT;
        assert_int_equal(pwrite(fd, before, PAGE, (off_t)at), PAGE);
    }
    print_message("%u of %u pages are live\n", found, tried);
    assert_true(found > tried * 9 / 10);
    assert_int_equal(scrub(r), STORE_OK);
    assert_int_equal(close(fd), 0);
}

/* Whatever is flipped: found, or nothing that was stored; never a fault. */
static void random_damage_is_found_or_harmless(void **state)
{
    struct rig *r = *state;
    struct cb_rng rng;
    size_t len;
    unsigned found = 0;
    cb_rng_init(&rng, rig_seed("store_scrub"));
    write_some(r, 1, 0, 1);
    assert_int_equal(scrub(r), STORE_OK);
    int fd = open_file(r, &len);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t at = (size_t)cb_rng_below(&rng, USED_PAGES * (uint64_t)PAGE);
        uint8_t mask = (uint8_t)(1u << cb_rng_below(&rng, 8));
        if (round % 2 == 0) { /* in the head of a page, where numbers are followed */
            at = at / PAGE * PAGE + (size_t)cb_rng_below(&rng, 64);
        }
        flip(fd, at, mask);
        enum store_result result = scrub(r);
        assert_true(result == STORE_OK || result == STORE_CORRUPT);
        found += result == STORE_CORRUPT;
        flip(fd, at, mask);
    }
    print_message("%u of %u flips were found\n", found, ROUNDS);
    assert_true(found > ROUNDS / 2);
    assert_int_equal(scrub(r), STORE_OK);
    assert_int_equal(close(fd), 0);
}

static void a_file_cut_short_is_found(void **state)
{
    struct rig *r = *state;
    size_t len;
    write_some(r, 1, 0, 1);
    int fd = open_file(r, &len);
    assert_int_equal(ftruncate(fd, 50 * (off_t)PAGE), 0);
    assert_int_equal(scrub(r), STORE_CORRUPT);
    assert_non_null(strstr(r->err.text, "behind the end of the file"));
    assert_int_equal(close(fd), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, init, fini)
    const struct CMUnitTest tests[] = {
        T(an_empty_store_is_sound),
        T(all_of_it_is_read),
        T(what_changes_meanwhile_is_sound),
        T(a_swap_is_sound),
        T(a_flipped_bit_is_found_and_named),
        T(a_lost_sector_is_found),
        T(random_damage_is_found_or_harmless),
        T(a_file_cut_short_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
