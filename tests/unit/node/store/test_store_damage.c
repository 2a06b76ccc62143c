/* Rot and truncation: a database with a flipped bit, or cut short, is refused or loads as exactly
 * the state of its last commit or of the one before (LMDB's other root page); a wrong value is
 * never served, neither by a load nor by a read nor by a copy. Each round runs in a child, which
 * damage may end. */
#include "unit/node/store/store_rig.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#define ROUNDS_DEFAULT 600
#define RECORDS 400
#define ROOT_PAGES 8192
#define FIRST_STATUS 10 /* a child's status is this and its outcome; 1 is that of cb_die */

enum outcome {
    SAME_STATE,
    REFUSED,
    STATE_BEFORE,
    WRONG,
    CRASHED,
    N_OUTCOMES,
};

static const char *const outcome_names[N_OUTCOMES] = {
    "harmless", "refused", "commit before", "WRONG", "crashed",
};

struct image {
    char path[RIG_PATH_MAX + 16];
    uint8_t *bytes;
    size_t len;  /* of the file */
    size_t used; /* up to the last byte that is not 0 */
    struct cb_buf last;
    struct cb_buf before;
    struct cb_buf last_dump;
    struct cb_buf before_dump;
};

/* Reads all of the damaged database. */
typedef enum outcome (*attempt_fn)(struct rig *r, const struct image *img);

/* Small values and some that need pages of their own; each commit writes every third record anew,
 * so that there are free pages with earlier values. */
static void commit_round(struct rig *r, uint64_t index)
{
    static uint8_t value[12000];
    struct store_batch *b = store_batch_create();
    for (uint64_t i = index % 3; i < RECORDS; i += 3) {
        char key[16];
        size_t len = i % 40 == 0 ? sizeof(value) : 20 + (size_t)(i % 100);
        (void)snprintf(key, sizeof(key), "key%06llu", (unsigned long long)i);
        memset(value, (int)(i + index), len);
        store_batch_put(b, cb_span_str(key), cb_span(value, len));
    }
    store_commit(r->store, b, &(struct store_meta){.index = index});
    rig_wait(r, index);
}

static void read_image(struct image *img)
{
    int fd = open(img->path, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    img->len = (size_t)st.st_size;
    img->bytes = cb_malloc(img->len);
    assert_int_equal(read(fd, img->bytes, img->len), st.st_size);
    assert_int_equal(close(fd), 0);
    img->used = img->len;
    while (img->bytes[img->used - 1] == 0) {
        img->used--;
    }
}

static void make_image(struct rig *r, struct image *img)
{
    *img = (struct image){.last = CB_BUF_NULL, .before = CB_BUF_NULL};
    rig_init(r, false);
    r->options.map_size = 64 * CB_MIB;
    rig_open(r);
    for (uint64_t index = 1; index < 10; index++) {
        commit_round(r, index);
    }
    rig_contents(r, &img->before);
    assert_int_equal(rig_dump(r->store, &img->before_dump, NULL), STORE_OK);
    commit_round(r, 10);
    rig_contents(r, &img->last);
    assert_int_equal(rig_dump(r->store, &img->last_dump, NULL), STORE_OK);
    rig_close(r);
    (void)snprintf(img->path, sizeof(img->path), "%s/db/data.mdb", r->dir);
    read_image(img);
}

static void image_fini(struct image *img)
{
    cb_free(img->bytes);
    cb_buf_fini(&img->last);
    cb_buf_fini(&img->before);
    cb_buf_fini(&img->last_dump);
    cb_buf_fini(&img->before_dump);
}

static void write_image(const struct image *img, size_t len)
{
    int fd = open(img->path, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, img->bytes, len), len);
    assert_int_equal(close(fd), 0);
}

/* Every record that the state before the damage had, read one by one. */
static enum outcome read_each(struct rig *r, struct cb_span expected)
{
    struct cb_buf one = CB_BUF_NULL;
    const uint8_t *end = expected.ptr + expected.len;
    for (const uint8_t *p = expected.ptr; p < end;) {
        struct cb_span key = cb_span(p, 9);
        cb_buf_clear(&one);
        enum store_result result = store_read(r->store, key, &one, &r->err);
        struct cb_span value = cb_buf_span(&one);
        if (result == STORE_CORRUPT) {
            return REFUSED;
        }
        if (result != STORE_OK || value.len + 11 > (size_t)(end - p) ||
            memcmp(value.ptr, p + 10, value.len) != 0 || p[10 + value.len] != ';') {
            return WRONG;
        }
        p += 11 + value.len;
    }
    cb_buf_fini(&one);
    return SAME_STATE;
}

static enum outcome load_damaged(struct rig *r, const struct image *img)
{
    struct cb_buf found = CB_BUF_NULL;
    if (rig_try_open(r) != STORE_OK ||
        store_load(r->store, rig_append_record, &found, NULL, &r->err) != STORE_OK) {
        return r->err.text[0] != '\0' && r->err.text[strlen(r->err.text) - 1] != '\n' ? REFUSED
                                                                                      : WRONG;
    }
    bool is_last = cb_span_eq(cb_buf_span(&found), cb_buf_span(&img->last));
    bool is_before = cb_span_eq(cb_buf_span(&found), cb_buf_span(&img->before));
    cb_buf_fini(&found);
    if (!is_last) {
        return is_before ? STATE_BEFORE : WRONG;
    }
    return read_each(r, cb_buf_span(&img->last));
}

static enum outcome copy_damaged(struct rig *r, const struct image *img)
{
    struct cb_buf found = CB_BUF_NULL;
    if (rig_try_open(r) != STORE_OK) {
        return REFUSED;
    }
    enum store_result result = rig_dump(r->store, &found, &r->err);
    if (result != STORE_OK) {
        return result == STORE_CORRUPT ? REFUSED : WRONG;
    }
    bool is_last = cb_span_eq(cb_buf_span(&found), cb_buf_span(&img->last_dump));
    bool is_before = cb_span_eq(cb_buf_span(&found), cb_buf_span(&img->before_dump));
    cb_buf_fini(&found);
    return is_last ? SAME_STATE : is_before ? STATE_BEFORE : WRONG;
}

static enum outcome run_attempt(struct rig *r, const struct image *img, attempt_fn attempt)
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static const int deadly[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
        for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
            (void)signal(deadly[i], SIG_DFL); /* cmocka would catch them and go on */
        }
        int null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDERR_FILENO); /* sentences are for people, not for a test's log */
        _exit(FIRST_STATUS + (int)attempt(r, img));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 1) {
        return REFUSED; /* by cb_die */
    }
    int outcome = WIFEXITED(status) ? WEXITSTATUS(status) - FIRST_STATUS : CRASHED;
    return outcome >= 0 && outcome < N_OUTCOMES ? (enum outcome)outcome : CRASHED;
}

/* By a load and by a copy in turns. */
static enum outcome run_damaged(struct rig *r, const struct image *img)
{
    static unsigned turns;
    return run_attempt(r, img, turns++ % 2 == 0 ? load_damaged : copy_damaged);
}

static void print_counts(const char *what, const int counts[N_OUTCOMES])
{
    printf("%s:", what);
    for (int i = 0; i < N_OUTCOMES; i++) {
        printf(" %s %d", outcome_names[i], counts[i]);
    }
    printf("\n");
}

static int rounds(void)
{
    const char *given = getenv("ROUNDS");
    return given != NULL ? atoi(given) : ROUNDS_DEFAULT;
}

static void flip_bits(struct rig *r,
                      struct image *img,
                      struct cb_rng *rng,
                      size_t from,
                      size_t to,
                      int counts[N_OUTCOMES])
{
    for (int i = rounds() / 2; i > 0; i--) {
        size_t at = from + (size_t)cb_rng_below(rng, to - from);
        uint8_t mask = (uint8_t)(1u << cb_rng_below(rng, 8));
        img->bytes[at] ^= mask;
        write_image(img, img->len);
        enum outcome o = run_damaged(r, img);
        counts[o]++;
        if (o == WRONG || o == CRASHED) {
            printf("%s at byte %zu mask 0x%02x\n", outcome_names[o], at, mask);
        }
        img->bytes[at] ^= mask;
    }
}

static void test_flipped_bits(void **state)
{
    (void)state;
    struct rig r;
    struct image img;
    struct cb_rng rng;
    int in_roots[N_OUTCOMES] = {0};
    int anywhere[N_OUTCOMES] = {0};
    cb_rng_init(&rng, rig_seed("flipped_bits"));
    make_image(&r, &img);
    flip_bits(&r, &img, &rng, 0, ROOT_PAGES, in_roots);
    flip_bits(&r, &img, &rng, 0, img.used, anywhere);
    print_counts("root pages", in_roots);
    print_counts("anywhere", anywhere);
    assert_int_equal(in_roots[WRONG] + anywhere[WRONG], 0);
    assert_int_equal(in_roots[CRASHED], 0);
    assert_true(anywhere[CRASHED] * 50 <= rounds()); /* in LMDB: see store_env.h */
    assert_true(anywhere[REFUSED] > 0);
    image_fini(&img);
    rig_fini(&r);
}

/* The keys of LMDB's branch pages are made to resemble the keys of records: one that has come to
 * equal a record's key hides that record alone (found by SEED=1795407703 of the test above). */
static void test_flipped_branch_keys(void **state)
{
    (void)state;
    enum { PAGE = 4096, IS_BRANCH = 1, FLAGS_AT = 10 };
    static const uint8_t key[] = {'k', 'e', 'y', '0', '0', '0'};
    struct rig r;
    struct image img;
    int counts[N_OUTCOMES] = {0};
    make_image(&r, &img);
    for (size_t page = 2 * PAGE; page + PAGE <= img.used; page += PAGE) {
        uint64_t number;
        memcpy(&number, &img.bytes[page], sizeof(number));
        if (number != page / PAGE || img.bytes[page + FLAGS_AT] != IS_BRANCH) {
            continue;
        }
        for (size_t at = page; at + sizeof(key) + 3 <= page + PAGE; at++) {
            if (memcmp(&img.bytes[at], key, sizeof(key)) != 0) {
                continue;
            }
            for (unsigned bit = 0; bit < 8; bit++) {
                uint8_t *digit = &img.bytes[at + sizeof(key) + 1 + bit / 4];
                *digit ^= (uint8_t)(1u << bit % 4);
                write_image(&img, img.len);
                counts[run_attempt(&r, &img, load_damaged)]++;
                counts[run_attempt(&r, &img, copy_damaged)]++;
                *digit ^= (uint8_t)(1u << bit % 4);
            }
        }
    }
    print_counts("branch keys", counts);
    assert_int_equal(counts[WRONG] + counts[CRASHED], 0);
    assert_true(counts[REFUSED] > 0);
    image_fini(&img);
    rig_fini(&r);
}

static void test_truncated_file(void **state)
{
    (void)state;
    struct rig r;
    struct image img;
    struct cb_rng rng;
    int counts[N_OUTCOMES] = {0};
    cb_rng_init(&rng, rig_seed("truncated_file"));
    make_image(&r, &img);
    for (int i = rounds() / 4; i > 0; i--) {
        size_t len = (size_t)cb_rng_below(&rng, img.used);
        write_image(&img, len);
        enum outcome o = run_damaged(&r, &img);
        counts[o]++;
        if (o == WRONG || o == CRASHED) {
            printf("%s at length %zu\n", outcome_names[o], len);
        }
    }
    write_image(&img, 0);
    counts[run_damaged(&r, &img)]++;
    print_counts("truncated", counts);
    assert_int_equal(counts[WRONG] + counts[CRASHED], 0);
    assert_true(counts[REFUSED] > 0);
    image_fini(&img);
    rig_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_flipped_branch_keys),
        cmocka_unit_test(test_truncated_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
