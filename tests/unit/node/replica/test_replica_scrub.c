/* Closed segments of the log, as libraft itself writes them: each changed bit is found, each cut, a
 * name that is not theirs; nothing else in the directory is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cb_mem.h"
#include "node/replica/replica_scrub.h"
#include "node/replica/replica_uv.h"

#define FIRST "0000000000000001-0000000000000001"

static char dir[64];
static uint8_t *first; /* the segment that libraft has made at the bootstrap */
static size_t first_len;

struct found {
    unsigned damaged;
    size_t bytes;
    size_t bytes_max; /* then it is enough */
    char sentence[REPLICA_SCRUB_TEXT_MAX];
};

static bool pace(void *data, size_t bytes)
{
    struct found *f = data;
    f->bytes += bytes;
    return f->bytes < f->bytes_max;
}

static void damaged(void *data, const char *sentence)
{
    struct found *f = data;
    f->damaged++;
    (void)snprintf(f->sentence, sizeof(f->sentence), "%s", sentence);
}

static struct found scrub(void)
{
    struct found f = {.bytes_max = SIZE_MAX};
    const struct replica_scrub_env env = {&f, pace, damaged};
    assert_true(replica_scrub_segments(dir, &env));
    return f;
}

static void path_of(const char *name, char out[static 160])
{
    (void)snprintf(out, 160, "%s/raft/%s", dir, name);
}

static void write_file(const char *name, const uint8_t *bytes, size_t len)
{
    char path[160];
    path_of(name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(close(fd), 0);
}

static void remove_file(const char *name)
{
    char path[160];
    path_of(name, path);
    assert_int_equal(unlink(path), 0);
}

static int init(void **state)
{
    (void)state;
    struct replica_member self = {.id = 1, .name = "n1", .address = "127.0.0.1:5000"};
    struct replica_config config;
    struct stat st;
    char path[160];
    (void)snprintf(dir, sizeof(dir), "/tmp/replica-scrub-XXXXXX");
    assert_non_null(mkdtemp(dir));
    replica_config_default(&config);
    config.members = &self;
    config.member_count = 1;
    replica_uv_bootstrap(dir, &config);
    path_of(FIRST, path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    first_len = (size_t)st.st_size;
    first = cb_malloc(first_len);
    assert_int_equal(read(fd, first, first_len), first_len);
    assert_int_equal(close(fd), 0);
    return 0;
}

static int fini(void **state)
{
    (void)state;
    char path[160];
    path_of("", path);
    DIR *d = opendir(path);
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        char file[512];
        (void)snprintf(file, sizeof(file), "%s%s", path, e->d_name);
        (void)unlink(file);
    }
    (void)closedir(d);
    (void)rmdir(path);
    (void)snprintf(path, sizeof(path), "%s/raft.lock", dir);
    (void)unlink(path);
    (void)rmdir(dir);
    cb_free(first);
    return 0;
}

static void what_libraft_wrote_is_sound(void **state)
{
    (void)state;
    struct found f = scrub();
    assert_int_equal(f.damaged, 0);
    assert_int_equal(f.bytes, first_len);
}

static void each_bit_counts(void **state)
{
    (void)state;
    uint8_t *bytes = cb_memdup(first, first_len);
    for (size_t bit = 0; bit < 8 * first_len; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        write_file(FIRST, bytes, first_len);
        struct found f = scrub();
        if (f.damaged != 1 || strstr(f.sentence, "/raft/" FIRST ", at byte ") == NULL) {
            fail_msg("bit %zu: %u found, %s", bit, f.damaged, f.sentence);
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    write_file(FIRST, first, first_len);
    cb_free(bytes);
    assert_int_equal(scrub().damaged, 0);
}

static void each_cut_counts(void **state)
{
    (void)state;
    for (size_t len = 0; len < first_len; len++) {
        write_file(FIRST, first, len);
        assert_int_equal(scrub().damaged, 1);
    }
    write_file(FIRST, first, first_len);
}

/* Its batch so many times, one behind the other. */
static void write_batches(const char *name, size_t n)
{
    size_t batch = first_len - 8;
    uint8_t *bytes = cb_malloc(8 + n * batch);
    memcpy(bytes, first, 8);
    for (size_t i = 0; i < n; i++) {
        memcpy(bytes + 8 + i * batch, first + 8, batch);
    }
    write_file(name, bytes, 8 + n * batch);
    cb_free(bytes);
}

static void a_segment_has_the_entries_of_its_name(void **state)
{
    (void)state;
    write_batches("0000000000000002-0000000000000021", 20);
    assert_int_equal(scrub().damaged, 0);
    write_batches("0000000000000002-0000000000000021", 19);
    assert_int_equal(scrub().damaged, 1);
    write_batches("0000000000000002-0000000000000021", 21);
    assert_int_equal(scrub().damaged, 1);
    remove_file("0000000000000002-0000000000000021");
}

/* More than is read at a time. */
static void a_large_one_is_read_in_pieces(void **state)
{
    (void)state;
    static const char name[] = "0000000000000002-0000000000020001";
    write_batches(name, 20000);
    struct found f = scrub();
    assert_int_equal(f.damaged, 0);
    assert_int_equal(f.bytes, first_len + 8 + 20000 * (first_len - 8));
    char path[160];
    path_of(name, path);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    uint8_t other = (uint8_t)~first[first_len - 1];
    assert_int_equal(pwrite(fd, &other, 1, (off_t)(8 + 15000 * (first_len - 8) - 1)), 1);
    assert_int_equal(close(fd), 0);
    f = scrub();
    assert_int_equal(f.damaged, 1);
    f = (struct found){.bytes_max = 300000};
    const struct replica_scrub_env env = {&f, pace, damaged};
    assert_false(replica_scrub_segments(dir, &env));
    remove_file(name);
}

static void other_files_are_left_alone(void **state)
{
    (void)state;
    static const uint8_t text[] = "something else";
    write_file("open-7", text, sizeof(text));
    write_file("0000000000000005-000000000000000x", text, sizeof(text));
    write_file("0000000000000005-0000000000000004", text, sizeof(text));
    write_file("tmp-0000000000000005-0000000000000004", text, sizeof(text));
    assert_int_equal(scrub().damaged, 0);
}

static void there_may_be_no_log(void **state)
{
    (void)state;
    struct found f = {.bytes_max = SIZE_MAX};
    const struct replica_scrub_env env = {&f, pace, damaged};
    assert_true(replica_scrub_segments("/nowhere", &env));
    assert_int_equal(f.damaged, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_libraft_wrote_is_sound),
        cmocka_unit_test(each_bit_counts),
        cmocka_unit_test(each_cut_counts),
        cmocka_unit_test(a_segment_has_the_entries_of_its_name),
        cmocka_unit_test(a_large_one_is_read_in_pieces),
        cmocka_unit_test(other_files_are_left_alone),
        cmocka_unit_test(there_may_be_no_log),
    };
    return cmocka_run_group_tests(tests, init, fini);
}
