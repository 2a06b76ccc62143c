/* Every page of a database is accounted for: after each of many random commits, with deletes,
 * values in pages of their own, copies that hold old pages, local values and new starts, a check
 * of the file finds nothing; and a flipped bit in the list of free pages or in a used field of the
 * root page is found at a start, with a sentence that names the file. A commit that meets damage
 * of the running database ends the process, and says to rebuild it. */
#include "unit/node/store/store_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "node/store/store_free.h"

#define PAGE ((size_t)4096)
#define MAP_SIZE (512 * CB_MIB)
#define COMMITS_DEFAULT 400
#define KEYS 300

/* Before libc's, for liblmdb too: no power fails here, and commits are many. */
int fdatasync(int fd);
int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

static uint64_t number(const uint8_t *p, size_t len)
{
    return cb_load_le(p, len);
}

static void open_rig(struct rig *r, char path[RIG_PATH_MAX + 16])
{
    rig_init(r, false);
    r->options.map_size = MAP_SIZE;
    rig_open(r);
    (void)snprintf(path, RIG_PATH_MAX + 16, "%s/db/data.mdb", r->dir);
}

/* ---- honest files ---- */

/* Of a store without commits under way; its process may as well have been killed. */
static void assert_honest(const char *path)
{
    struct store_error err;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    if (store_free_check(fd, PAGE, MAP_SIZE, path, &err) != STORE_OK) {
        fail_msg("%s", err.text);
    }
    assert_int_equal(close(fd), 0);
}

static void put_or_del(struct store_batch *b, struct cb_rng *rng, bool deletes)
{
    static uint8_t value[200000];
    char key[300];
    size_t key_len = 9 + (size_t)200 * cb_rng_below(rng, 2);
    memset(key, 'k', sizeof(key));
    (void)snprintf(key, sizeof(key), "key%06llu", (unsigned long long)cb_rng_below(rng, KEYS));
    key[9] = 'k';
    if (cb_rng_below(rng, 10) < (deletes ? 8 : 2)) {
        store_batch_del(b, cb_span(key, key_len));
        return;
    }
    size_t max = cb_rng_below(rng, 40) == 0  ? sizeof(value)
                 : cb_rng_below(rng, 4) == 0 ? 12000
                                             : 300;
    memset(value, (int)cb_rng_below(rng, 256), 1);
    store_batch_put(b, cb_span(key, key_len), cb_span(value, (size_t)cb_rng_below(rng, max)));
}

static void commit_random(struct rig *r, struct cb_rng *rng, uint64_t index)
{
    struct store_batch *b = store_batch_create();
    uint64_t ops = cb_rng_below(rng, 10) == 0 ? 400 : cb_rng_below(rng, 40);
    bool deletes = index % 50 >= 35;
    for (uint64_t i = 0; i < ops; i++) {
        put_or_del(b, rng, deletes);
    }
    store_commit(r->store, b, &(struct store_meta){.index = index});
    rig_wait(r, index);
}

static void test_honest_files_are_accepted(void **state)
{
    (void)state;
    struct rig r;
    struct cb_rng rng;
    char path[RIG_PATH_MAX + 16];
    struct store_copy *copy = NULL;
    const char *given = getenv("COMMITS");
    uint64_t commits = given != NULL ? strtoull(given, NULL, 10) : COMMITS_DEFAULT;
    cb_rng_init(&rng, rig_seed("honest_files"));
    open_rig(&r, path);
    assert_honest(path);
    for (uint64_t index = 1; index <= commits; index++) {
        commit_random(&r, &rng, index);
        assert_honest(path);
        uint64_t what = cb_rng_below(&rng, 20);
        if (what == 0 && copy == NULL) {
            assert_int_equal(store_copy_open(r.store, &copy, &r.err), STORE_OK);
        } else if (what == 1 && copy != NULL) {
            store_copy_close(copy);
            copy = NULL;
        } else if (what == 2) {
            assert_int_equal(store_set_local(r.store, "x", cb_span_str("y"), &r.err), STORE_OK);
            assert_honest(path);
        } else if (what == 3 && copy == NULL) {
            rig_reopen(&r);
        }
    }
    if (copy != NULL) {
        store_copy_close(copy);
    }
    rig_reopen(&r);
    rig_fini(&r);
}

/* ---- the list of free pages ---- */

/* What a flip may have changed. */
struct map {
    uint8_t *bytes;
    size_t len;
    uint8_t *is_live; /* of the list: a flip has to be found */
    /* A key: found where it is out of order. Else it changes nothing: to whoever starts, all
     * transactions up to the root page's are over, and the next ones are above. */
    uint8_t *is_between;
    unsigned branches;
    unsigned lists; /* in pages of their own */
};

static void live(struct map *m, size_t at, size_t len)
{
    memset(m->is_live + at, 1, len);
}

/* Behind the count and the numbers there may be room that was not used. */
static void map_list(struct map *m, size_t at)
{
    live(m, at, (size_t)(number(m->bytes + at, 8) + 1) * 8);
}

static void map_tree(struct map *m, uint64_t page)
{
    size_t base = (size_t)page * PAGE;
    const uint8_t *b = m->bytes + base;
    bool is_branch = number(b + 10, 2) == 1;
    size_t count = (size_t)(number(b + 12, 2) - 16) / 2;
    m->branches += is_branch ? 1 : 0;
    live(m, base, 8);
    live(m, base + 10, 6 + 2 * count);
    for (size_t i = 0; i < count; i++) {
        size_t at = base + (size_t)number(b + 16 + 2 * i, 2);
        size_t key = (size_t)number(m->bytes + at + 6, 2);
        size_t data = at + 8 + key;
        live(m, at, 8);
        if (is_branch) {
            memset(m->is_between + at + 8, 1, key);
            map_tree(m, number(m->bytes + at, 6));
        } else if (number(m->bytes + at + 4, 2) == 1) {
            size_t list = (size_t)number(m->bytes + data, 8) * PAGE;
            m->lists++;
            memset(m->is_live + at, 0, 4); /* its size: LMDB goes by the count */
            memset(m->is_between + at + 8, 1, key);
            live(m, data, 8);
            live(m, list, 8);
            live(m, list + 10, 6);
            map_list(m, list + 16);
        } else {
            memset(m->is_between + at + 8, 1, key);
            map_list(m, data);
        }
    }
}

static size_t newest_root(const uint8_t *bytes)
{
    return number(bytes + PAGE + 144, 8) > number(bytes + 144, 8) ? PAGE : 0;
}

static void read_map(struct map *m, const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *m = (struct map){.len = (size_t)st.st_size};
    m->bytes = cb_malloc(m->len);
    m->is_live = cb_calloc(1, m->len);
    m->is_between = cb_calloc(1, m->len);
    assert_int_equal(read(fd, m->bytes, m->len), m->len);
    assert_int_equal(close(fd), 0);
    map_tree(m, number(m->bytes + newest_root(m->bytes) + 80, 8));
}

static void map_fini(struct map *m)
{
    cb_free(m->bytes);
    cb_free(m->is_live);
    cb_free(m->is_between);
}

static void put_big(struct rig *r, uint64_t index, unsigned from, unsigned to, bool deletes)
{
    static uint8_t value[9000];
    struct store_batch *b = store_batch_create();
    for (unsigned i = from; i < to; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "big%06u", i);
        if (deletes) {
            store_batch_del(b, cb_span_str(key));
        } else {
            store_batch_put(b, cb_span_str(key), cb_span(value, sizeof(value)));
        }
    }
    store_commit(r->store, b, &(struct store_meta){.index = index});
    rig_wait(r, index);
}

/* A copy holds what commits free, so that the list has a branch, and one list of many pages. */
static void make_free_list(struct rig *r)
{
    struct store_copy *copy;
    put_big(r, 1, 0, 300, false);
    assert_int_equal(store_copy_open(r->store, &copy, &r->err), STORE_OK);
    uint64_t index = 2;
    for (; index < 90; index++) {
        put_big(r, index, (unsigned)index, (unsigned)index + 1, true);
    }
    put_big(r, index, 100, 300, true);
    store_copy_close(copy);
    put_big(r, index + 1, 0, 1, true);
}

static bool is_found(int fd, const struct map *m, size_t at, unsigned bit, const char *path)
{
    struct store_error err = {""};
    uint8_t changed = (uint8_t)(m->bytes[at] ^ 1u << bit);
    assert_int_equal(pwrite(fd, &changed, 1, (off_t)at), 1);
    enum store_result result = store_free_check(fd, PAGE, MAP_SIZE, path, &err);
    assert_int_equal(pwrite(fd, m->bytes + at, 1, (off_t)at), 1);
    assert_true(result == STORE_OK || (result == STORE_CORRUPT && strstr(err.text, path) != NULL));
    return result != STORE_OK;
}

static void test_each_byte_of_the_list_counts(void **state)
{
    (void)state;
    struct rig r;
    struct map m;
    struct cb_rng rng;
    char path[RIG_PATH_MAX + 16];
    unsigned found = 0;
    unsigned missed = 0;
    unsigned between = 0;
    cb_rng_init(&rng, rig_seed("list"));
    open_rig(&r, path);
    make_free_list(&r);
    rig_close(&r);
    read_map(&m, path);
    assert_true(m.branches > 0 && m.lists > 0);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    for (size_t at = 2 * PAGE; at < m.len; at++) {
        if (!m.is_live[at] && !m.is_between[at]) {
            continue;
        }
        bool is_all = at % PAGE < 64;
        unsigned only = (unsigned)cb_rng_below(&rng, 8);
        for (unsigned bit = is_all ? 0 : only; bit < (is_all ? 8 : only + 1); bit++) {
            if (is_found(fd, &m, at, bit, path)) {
                found++;
            } else if (m.is_between[at]) {
                between++;
            } else {
                missed++;
                printf("missed: byte %zu bit %u\n", at, bit);
            }
        }
    }
    assert_int_equal(close(fd), 0);
    printf("list: found %u, missed %u, keys that stay in order %u\n", found, missed, between);
    assert_int_equal(missed, 0);
    assert_true(found > 1000);
    map_fini(&m);
    rig_open(&r); /* all is as it was */
    rig_fini(&r);
}

/* ---- the root page ---- */

/* Of the MDB_meta and its page head, what LMDB goes by. */
static const struct {
    size_t at;
    size_t len;
} root_fields[] = {{10, 2}, {16, 8},  {40, 4},  {44, 2}, {80, 8},
                   {92, 2}, {128, 8}, {136, 8}, {144, 8}};

static void flip(const char *path, size_t at, unsigned bit)
{
    uint8_t byte;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte = (uint8_t)(byte ^ 1u << bit);
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    assert_int_equal(close(fd), 0);
}

/* True: refused. False: it is the state before, of LMDB's other root page. */
static bool is_refused(struct rig *r, uint64_t index, size_t at, unsigned bit)
{
    if (rig_try_open(r) != STORE_OK) {
        assert_non_null(strstr(r->err.text, "/db"));
        return true;
    }
    struct store_meta meta;
    store_durable(r->store, &meta);
    if (meta.index != index - 1) {
        fail_msg("byte %zu bit %u is believed", at, bit);
    }
    rig_close(r);
    return false;
}

static void test_each_used_bit_of_the_root_page_counts(void **state)
{
    (void)state;
    struct rig r;
    struct map m;
    char path[RIG_PATH_MAX + 16];
    unsigned refused = 0;
    unsigned older = 0;
    open_rig(&r, path);
    for (uint64_t index = 1; index <= 20; index++) {
        rig_put(&r, index, index % 2 == 0 ? "even" : "odd", "value");
        rig_wait(&r, index);
    }
    rig_close(&r);
    read_map(&m, path);
    size_t root = newest_root(m.bytes);
    for (size_t i = 0; i < sizeof(root_fields) / sizeof(root_fields[0]); i++) {
        for (size_t at = root_fields[i].at; at < root_fields[i].at + root_fields[i].len; at++) {
            for (unsigned bit = 0; bit < 8; bit++) {
                flip(path, root + at, bit);
                bool is = is_refused(&r, 20, at, bit);
                flip(path, root + at, bit);
                refused += is ? 1 : 0;
                older += is ? 0 : 1;
            }
        }
    }
    printf("root page: refused %u, commit before %u\n", refused, older);
    assert_true(older <= 8); /* bits of the transaction that were set */
    map_fini(&m);
    rig_open(&r);
    rig_fini(&r);
}

/* ---- a commit ---- */

static _Noreturn void commit_to_damaged(struct rig *r, int pipe_fd)
{
    char path[RIG_PATH_MAX + 16];
    (void)dup2(pipe_fd, STDERR_FILENO);
    (void)snprintf(path, sizeof(path), "%s/db/data.mdb", r->dir);
    rig_open(r);
    flip(path, 128 + 5, 0); /* the roots of the names' trees lead far away */
    flip(path, PAGE + 128 + 5, 0);
    rig_put(r, 2, "b", "2");
    rig_wait(r, 2);
    _exit(0);
}

static void test_a_commit_that_meets_damage_says_to_rebuild(void **state)
{
    (void)state;
    struct rig r;
    char path[RIG_PATH_MAX + 16];
    char said[1000] = "";
    int ends[2];
    int status;
    open_rig(&r, path);
    rig_put(&r, 1, "a", "1");
    rig_wait(&r, 1);
    rig_close(&r);
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        commit_to_damaged(&r, ends[1]);
    }
    assert_int_equal(close(ends[1]), 0);
    size_t len = 0;
    for (ssize_t n = 1; n > 0 && len < sizeof(said) - 1; len += (size_t)n) {
        n = read(ends[0], said + len, sizeof(said) - 1 - len);
        assert_true(n >= 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(close(ends[0]), 0);
    printf("%s", said);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(said, "rebuild this node under a new id"));
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honest_files_are_accepted),
        cmocka_unit_test(test_each_byte_of_the_list_counts),
        cmocka_unit_test(test_each_used_bit_of_the_root_page_counts),
        cmocka_unit_test(test_a_commit_that_meets_damage_says_to_rebuild),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
