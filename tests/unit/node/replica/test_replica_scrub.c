/* Closed segments of the log, as libraft itself writes them: each changed bit is found, each cut, a
 * name that is not theirs; nothing else in the directory is looked at.
 *
 * Open ones: what libraft loads is never refused, also what a crash leaves; where it ends with an
 * error or by a signal a sentence names the file before, tried with libraft itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <raft.h>
#include <raft/uv.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

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

static void remove_files(bool (*goes)(const char *name))
{
    char path[160];
    path_of("", path);
    DIR *d = opendir(path);
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        char file[512];
        (void)snprintf(file, sizeof(file), "%s%s", path, e->d_name);
        if (e->d_name[0] != '.' && goes(e->d_name)) {
            assert_int_equal(unlink(file), 0);
        }
    }
    (void)closedir(d);
}

static bool is_any(const char *name)
{
    (void)name;
    return true;
}

static int fini(void **state)
{
    (void)state;
    char path[160];
    remove_files(is_any);
    path_of("", path);
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
    char sentence[REPLICA_SCRUB_TEXT_MAX];
    assert_true(replica_scrub_segments("/nowhere", &env));
    assert_int_equal(f.damaged, 0);
    assert_true(replica_scrub_open_segments("/nowhere", sentence));
}

/* ---- open segments ---- */

#define OPEN "open-1"
#define OPEN_LEN 4096
#define BATCHES 2
#define LOADED 100 /* a status that nothing else has, not even a sanitizer */

static int transport_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    (void)t;
    (void)id;
    (void)address;
    return 0;
}

static _Noreturn void load_and_exit(void)
{
    struct raft_uv_transport transport = {.version = 1, .init = transport_init};
    struct rlimit no_core = {0, 0};
    struct raft_io io;
    uv_loop_t loop;
    char path[160];
    raft_term term;
    raft_id vote;
    struct raft_snapshot *snapshot;
    raft_index start;
    struct raft_entry *entries;
    size_t n;
    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    path_of("", path);
    path[strlen(path) - 1] = 0;
    memset(&io, 0, sizeof(io));
    bool is_loaded = uv_loop_init(&loop) == 0 && raft_uv_init(&io, &loop, path, &transport) == 0;
    raft_uv_set_auto_recovery(&io, false);
    is_loaded = is_loaded && io.init(&io, 1, "127.0.0.1:5000") == 0 &&
                io.load(&io, &term, &vote, &snapshot, &start, &entries, &n) == 0;
    _exit(is_loaded ? LOADED + (int)n : 0);
}

/* How many entries libraft loads; -1: an error, or a signal. */
static int loaded_by_libraft(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        load_and_exit();
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) >= LOADED ? WEXITSTATUS(status) - LOADED : -1;
}

static bool is_later_segment(const char *name)
{
    bool is_closed = strchr("0123456789", name[0]) != NULL;
    return (is_closed && strcmp(name, FIRST) != 0) || strncmp(name, "open-", 5) == 0;
}

/* Removes all but the first closed segment. */
static void only_first(void)
{
    remove_files(is_later_segment);
}

/* Whether it is sound; asserts that libraft thinks the same. `entries`: it has so many; -1: it need
 * not be said. */
static bool open_is_sound(const uint8_t *bytes, size_t len, int entries)
{
    char sentence[REPLICA_SCRUB_TEXT_MAX];
    only_first();
    write_file(OPEN, bytes, len);
    bool is_sound = replica_scrub_open_segments(dir, sentence);
    if (!is_sound && strstr(sentence, "/raft/" OPEN ", at byte ") == NULL) {
        fail_msg("%zu bytes: %s", len, sentence);
    }
    int loaded = loaded_by_libraft();
    if (is_sound != (loaded >= 0)) {
        fail_msg("%zu bytes: sound: %d (%s), libraft loads %d", len, is_sound, sentence, loaded);
    }
    if (is_sound && entries >= 0) {
        assert_int_equal(loaded, entries + 1);
    }
    only_first();
    return is_sound;
}

/* Batches, then zeros. */
static uint8_t *make_open(void)
{
    size_t batch = first_len - 8;
    uint8_t *bytes = cb_calloc(1, OPEN_LEN);
    assert_true(8 + BATCHES * batch + 16 <= OPEN_LEN);
    memcpy(bytes, first, 8);
    for (size_t i = 0; i < BATCHES; i++) {
        memcpy(bytes + 8 + i * batch, first + 8, batch);
    }
    return bytes;
}

static void what_a_crash_leaves_is_sound(void **state)
{
    (void)state;
    size_t batch = first_len - 8;
    uint8_t *bytes = make_open();
    static const uint8_t zeros[OPEN_LEN];
    assert_true(open_is_sound(bytes, OPEN_LEN, BATCHES));
    assert_true(open_is_sound(zeros, 0, 0)); /* while it was prepared */
    assert_true(open_is_sound(zeros, 8, 0));
    assert_true(open_is_sound(zeros, OPEN_LEN, 0));
    /* Filled up to the last byte, and to the last 8: libraft alone would end by a signal there. */
    assert_true(open_is_sound(bytes, 8 + BATCHES * batch, BATCHES));
    assert_true(open_is_sound(bytes, 8 + BATCHES * batch + 8, BATCHES));
    /* The last batch was being written, from its beginning or from its end. */
    for (size_t kept = 0; kept < batch; kept += 8) {
        uint8_t *torn = cb_memdup(bytes, OPEN_LEN);
        uint8_t *last = torn + 8 + (BATCHES - 1) * batch;
        memset(last + kept, 0, batch - kept);
        assert_true(open_is_sound(torn, OPEN_LEN, BATCHES - 1));
        memcpy(last, bytes + 8, batch);
        memset(last, 0, kept);
        assert_true(open_is_sound(torn, OPEN_LEN, kept == 0 ? BATCHES : BATCHES - 1));
        cb_free(torn);
    }
    cb_free(bytes);
}

static void an_open_one_that_is_cut_is_refused(void **state)
{
    (void)state;
    size_t batch = first_len - 8;
    uint8_t *bytes = make_open();
    for (size_t len = 1; len < 8 + BATCHES * batch + 17; len++) {
        bool is_at_end_of_batch =
            len > 8 && (len < 8 + BATCHES * batch ? (len - 8) % batch == 0 : true);
        if (open_is_sound(bytes, len, -1) != is_at_end_of_batch) {
            fail_msg("%zu bytes: sound: %d", len, !is_at_end_of_batch);
        }
    }
    cb_free(bytes);
}

static void open_ones_with_other_bits(void **state)
{
    (void)state;
    size_t batch = first_len - 8;
    uint8_t *bytes = make_open();
    unsigned refused = 0;
    /* The format, and the second batch: the first one's entries are what libraft frees twice. */
    for (size_t at = 0; at < 8 + 2 * batch; at += at == 7 ? 1 + batch : 1) {
        bytes[at] ^= (uint8_t)(1u << at % 8);
        refused += !open_is_sound(bytes, OPEN_LEN, -1);
        bytes[at] ^= (uint8_t)(1u << at % 8);
    }
    for (size_t bit = 0; bit < 64; bit++) { /* the number of entries in the second batch */
        size_t at = 8 + batch + 8 + bit / 8;
        bytes[at] ^= (uint8_t)(1u << bit % 8);
        refused += !open_is_sound(bytes, OPEN_LEN, -1);
        bytes[at] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(refused > 8); /* the format, and numbers that lead behind the end */
    cb_free(bytes);
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
        cmocka_unit_test(what_a_crash_leaves_is_sound),
        cmocka_unit_test(an_open_one_that_is_cut_is_refused),
        cmocka_unit_test(open_ones_with_other_bits),
    };
    return cmocka_run_group_tests(tests, init, fini);
}
