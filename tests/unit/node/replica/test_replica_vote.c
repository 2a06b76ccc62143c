/* Term and vote on real files, with libraft's own beside them: each changed bit and each cut of our
 * file refuses the start by name; libraft's files may be damaged, cut or missing, and a crash may
 * have come between the two writes: what ours says counts. A directory of an earlier version gets
 * such a file. It is overwritten where it lies, and what cannot be written is an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <raft/uv.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/cb_mem.h"
#include "node/replica/replica_uv.h"
#include "node/replica/replica_vote.h"

#define PATH_LEN 400
#define FILES_MAX 8
#define FILE_LEN_MAX 4096
#define SAID_MAX 4096
#define METADATA_LEN 32
#define VOTE_LEN 40
#define SEGMENT_SIZE (64 * 1024)

struct file {
    char name[64];
    size_t len;
    uint8_t bytes[FILE_LEN_MAX];
};

static char dir[64];
static struct file files[FILES_MAX]; /* what the folder is to have before each case */
static size_t n_files;
static char said[SAID_MAX]; /* by the last child */
static struct replica_member members[3];

/* --- files --- */

static void path_of(const char *name, char out[static PATH_LEN])
{
    (void)snprintf(out, PATH_LEN, "%s/raft/%s", dir, name);
}

static void write_file(const char *name, const uint8_t *bytes, size_t len)
{
    char path[PATH_LEN];
    path_of(name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(close(fd), 0);
}

static void empty_folder(void)
{
    char path[PATH_LEN];
    path_of("", path);
    DIR *d = opendir(path);
    assert_non_null(d);
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        path_of(e->d_name, path);
        if (e->d_name[0] != '.' && unlink(path) != 0) {
            assert_int_equal(rmdir(path), 0);
        }
    }
    (void)closedir(d);
}

static void put_back(void)
{
    empty_folder();
    for (size_t i = 0; i < n_files; i++) {
        write_file(files[i].name, files[i].bytes, files[i].len);
    }
}

static void remember(void)
{
    char path[PATH_LEN];
    path_of("", path);
    DIR *d = opendir(path);
    assert_non_null(d);
    n_files = 0;
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.' && strncmp(e->d_name, "open-", 5) != 0) {
            assert_true(n_files < FILES_MAX);
            struct file *f = &files[n_files++];
            (void)snprintf(f->name, sizeof(f->name), "%.63s", e->d_name);
            path_of(e->d_name, path);
            int fd = open(path, O_RDONLY);
            ssize_t n = read(fd, f->bytes, sizeof(f->bytes));
            assert_true(fd >= 0 && n >= 0 && (size_t)n < sizeof(f->bytes));
            f->len = (size_t)n;
            assert_int_equal(close(fd), 0);
        }
    }
    (void)closedir(d);
}

static struct file *file_of(const char *name)
{
    for (size_t i = 0; i < n_files; i++) {
        if (strcmp(files[i].name, name) == 0) {
            return &files[i];
        }
    }
    fail_msg("there is no %s", name);
    return NULL;
}

static bool is_there(const char *name)
{
    char path[PATH_LEN];
    path_of(name, path);
    return access(path, F_OK) == 0;
}

/* --- processes --- */

/* The exit status of a child that runs `fn`; what it wrote to stderr is in `said`. */
static int run(void (*fn)(void))
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(fds[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    (void)close(fds[1]);
    size_t len = 0;
    ssize_t n;
    while (len + 1 < sizeof(said) && (n = read(fds[0], said + len, sizeof(said) - 1 - len)) > 0) {
        len += (size_t)n;
    }
    said[len] = 0;
    (void)close(fds[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (!WIFEXITED(status)) {
        fail_msg("a signal %d: %s", WTERMSIG(status), said);
    }
    return WEXITSTATUS(status);
}

static struct replica_config config_of_first(void)
{
    struct replica_config c;
    replica_config_default(&c);
    c.members = members;
    c.member_count = 3;
    return c;
}

static void on_role(void *data, const struct replica_view *view)
{
    (void)data;
    (void)view;
}

static void start(void)
{
    static uv_loop_t loop;
    (void)uv_loop_init(&loop);
    struct replica_config config = config_of_first();
    const struct replica_events events = {.role = on_role};
    const struct replica_uv_config uv = {
        .dir = dir, .listen = "127.0.0.1:0", .segment_size = SEGMENT_SIZE};
    struct replica_uv *u = replica_uv_open(&loop, &uv, &config, &events);
    if (replica_uv_start(u) != REPLICA_STARTED) {
        cb_die("%s", replica_message(replica_uv_replica(u)));
    }
}

static bool starts_with(unsigned term, unsigned vote)
{
    char line[64];
    (void)snprintf(line, sizeof(line), " term=%u vote=%u\n", term, vote);
    if (run(start) != 0) {
        return false;
    }
    const char *at = strstr(said, "raft.vote ");
    return at != NULL && strstr(at, line) != NULL;
}

/* A raft_io as replica_uv has it, without a replica. */
static struct {
    uv_loop_t loop;
    struct raft_io io;
    struct raft_uv_transport transport;
    struct replica_vote vote;
} lone;

static int lone_init(struct raft_uv_transport *t, raft_id id, const char *address)
{
    (void)t;
    (void)id;
    (void)address;
    return 0;
}

static void lone_open(void)
{
    char path[PATH_LEN];
    (void)snprintf(path, sizeof(path), "%s/raft", dir);
    memset(&lone, 0, sizeof(lone));
    lone.transport.version = 1;
    lone.transport.init = lone_init;
    CB_ASSERT(uv_loop_init(&lone.loop) == 0);
    CB_ASSERT(raft_uv_init(&lone.io, &lone.loop, path, &lone.transport) == 0);
    replica_vote_open(&lone.vote, &lone.io, path);
    CB_ASSERT(replica_vote_init(&lone.vote, &lone.io, 1, members[0].address) == 0);
}

static void votes_for_2_in_5(void)
{
    lone_open();
    CB_ASSERT(replica_vote_set_term(&lone.vote, &lone.io, 5) == 0);
    CB_ASSERT(replica_vote_set_vote(&lone.vote, &lone.io, 2) == 0);
}

static int crash_in_term(struct raft_io *io, raft_term term)
{
    (void)io;
    (void)term;
    _exit(0);
}

static int crash_in_vote(struct raft_io *io, raft_id id)
{
    (void)io;
    (void)id;
    _exit(0);
}

static void crashes_in_set_term(void)
{
    lone_open();
    lone.vote.io.set_term = crash_in_term;
    (void)replica_vote_set_term(&lone.vote, &lone.io, 6);
    _exit(1);
}

static void crashes_in_set_vote(void)
{
    lone_open();
    CB_ASSERT(replica_vote_set_term(&lone.vote, &lone.io, 6) == 0);
    lone.vote.io.set_vote = crash_in_vote;
    (void)replica_vote_set_vote(&lone.vote, &lone.io, 3);
    _exit(1);
}

/* --- the directory --- */

static int init(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/replica-vote-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 3; i++) {
        members[i].id = i + 1;
        (void)snprintf(members[i].name, sizeof(members[i].name), "n%zu", i + 1);
        (void)snprintf(members[i].address, sizeof(members[i].address), "127.0.0.1:%zu", 5000 + i);
    }
    struct replica_config config = config_of_first();
    replica_uv_bootstrap(dir, &config);
    assert_true(is_there(REPLICA_VOTE_FILE));
    if (!starts_with(1, 0)) {
        fail_msg("%s", said);
    }
    assert_int_equal(run(votes_for_2_in_5), 0);
    remember();
    assert_int_equal(file_of(REPLICA_VOTE_FILE)->len, VOTE_LEN);
    return 0;
}

static int fini(void **state)
{
    (void)state;
    char path[PATH_LEN];
    empty_folder();
    path_of("", path);
    (void)rmdir(path);
    (void)snprintf(path, sizeof(path), "%s/raft.lock", dir);
    (void)unlink(path);
    return rmdir(dir);
}

static int set_up(void **state)
{
    (void)state;
    put_back();
    return 0;
}

/* --- our file --- */

static void what_was_stored_is_loaded(void **state)
{
    (void)state;
    assert_true(starts_with(5, 2));
    assert_null(strstr(said, "raft.vote-mended"));
}

static void assert_refused_by_name(const char *what, size_t at)
{
    int status = run(start);
    char name[PATH_LEN];
    path_of(REPLICA_VOTE_FILE, name);
    if (status != 1 || strstr(said, name) == NULL || strstr(said, "under a new id") == NULL) {
        fail_msg("%s %zu: status %d, %s", what, at, status, said);
    }
}

static void each_bit_of_it_counts(void **state)
{
    (void)state;
    uint8_t *bytes = file_of(REPLICA_VOTE_FILE)->bytes;
    for (size_t bit = 0; bit < 8UL * VOTE_LEN; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        write_file(REPLICA_VOTE_FILE, bytes, VOTE_LEN);
        assert_refused_by_name("bit", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void each_length_of_it_counts(void **state)
{
    (void)state;
    uint8_t bytes[VOTE_LEN + 1] = {0};
    memcpy(bytes, file_of(REPLICA_VOTE_FILE)->bytes, VOTE_LEN);
    for (size_t len = 0; len <= VOTE_LEN + 1; len++) {
        if (len != VOTE_LEN) {
            write_file(REPLICA_VOTE_FILE, bytes, len);
            assert_refused_by_name("length", len);
        }
    }
}

static void an_older_one_than_the_log_is_refused(void **state)
{
    (void)state;
    char path[PATH_LEN];
    path_of(REPLICA_VOTE_FILE, path);
    assert_int_equal(unlink(path), 0);
    path_of("", path);
    path[strlen(path) - 1] = 0;
    replica_vote_create(path, 0); /* the log has an entry of term 1 */
    assert_refused_by_name("term", 0);
}

static void it_is_overwritten_where_it_lies(void **state)
{
    (void)state;
    char path[PATH_LEN];
    struct stat before;
    struct stat after;
    path_of(REPLICA_VOTE_FILE, path);
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(run(crashes_in_set_vote), 0);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino); /* a full disk does not matter */
    assert_int_equal(after.st_size, VOTE_LEN);
}

static void cannot_write(void)
{
    lone_open();
    char path[PATH_LEN];
    path_of(REPLICA_VOTE_FILE, path);
    CB_ASSERT(unlink(path) == 0 && mkdir(path, 0700) == 0);
    lone.vote.io.set_term = crash_in_term;
    lone.vote.io.set_vote = crash_in_vote;
    int rv = replica_vote_set_term(&lone.vote, &lone.io, 6);
    CB_ASSERT(rv == RAFT_IOERR && strstr(lone.io.errmsg, "cannot write term-vote: ") != NULL);
    rv = replica_vote_set_vote(&lone.vote, &lone.io, 3);
    CB_ASSERT(rv == RAFT_IOERR);
    fprintf(stderr, "both failed");
}

static void libraft_is_told_nothing_that_was_not_stored(void **state)
{
    (void)state;
    assert_int_equal(run(cannot_write), 0);
    assert_string_equal(said, "both failed");
}

/* --- libraft's files --- */

static void assert_mended(const char *name, const char *what, size_t at)
{
    if (!starts_with(5, 2)) {
        fail_msg("%s %zu of %s: %s", what, at, name, said);
    }
    /* It said so, and libraft has been told. */
    bool is_mended = strstr(said, "raft.vote-mended") != NULL;
    if (!starts_with(5, 2) || strstr(said, "raft.vote-mended") != NULL) {
        fail_msg("%s %zu of %s, once more (mended: %d): %s", what, at, name, is_mended, said);
    }
}

static void each_byte_of_libraft_s_is_overruled(void **state)
{
    (void)state;
    static const char *const names[] = {"metadata1", "metadata2"};
    for (size_t i = 0; i < 2; i++) {
        uint8_t *bytes = file_of(names[i])->bytes;
        for (size_t at = 0; at < METADATA_LEN; at++) {
            uint8_t bit = (uint8_t)(1u << at % 8);
            put_back();
            bytes[at] ^= bit;
            write_file(names[i], bytes, METADATA_LEN);
            bytes[at] ^= bit;
            assert_mended(names[i], "byte", at);
        }
    }
}

static void lengths_of_libraft_s_are_overruled(void **state)
{
    (void)state;
    static const char *const names[] = {"metadata1", "metadata2"};
    for (size_t i = 0; i < 2; i++) {
        for (size_t len = 0; len <= METADATA_LEN + 3; len += 5) {
            put_back();
            write_file(names[i], file_of(names[i])->bytes, len); /* zeros behind its end */
            assert_mended(names[i], "length", len);
        }
    }
}

static void libraft_s_may_be_missing(void **state)
{
    (void)state;
    char path[PATH_LEN];
    path_of("metadata1", path);
    assert_int_equal(unlink(path), 0);
    path_of("metadata2", path);
    assert_int_equal(unlink(path), 0);
    assert_true(starts_with(5, 2));
    assert_non_null(strstr(said, "raft.vote-mended"));
    assert_true(starts_with(5, 2));
    assert_null(strstr(said, "raft.vote-mended"));
}

static void a_crash_between_the_two_writes(void **state)
{
    (void)state;
    assert_int_equal(run(crashes_in_set_term), 0);
    assert_true(starts_with(6, 0));
    assert_non_null(strstr(said, "raft.vote-mended"));
    put_back();
    assert_int_equal(run(crashes_in_set_vote), 0);
    assert_true(starts_with(6, 3));
    assert_non_null(strstr(said, "raft.vote-mended"));
}

static void a_directory_of_an_earlier_version(void **state)
{
    (void)state;
    char path[PATH_LEN];
    path_of(REPLICA_VOTE_FILE, path);
    assert_int_equal(unlink(path), 0);
    write_file("tmp-" REPLICA_VOTE_FILE, (const uint8_t *)"cut off", 7);
    assert_true(starts_with(5, 2));
    assert_true(is_there(REPLICA_VOTE_FILE));
    assert_false(is_there("tmp-" REPLICA_VOTE_FILE));
    path_of("metadata1", path);
    assert_int_equal(unlink(path), 0);
    path_of("metadata2", path);
    assert_int_equal(unlink(path), 0);
    assert_true(starts_with(5, 2));
}

static void one_that_waits_to_be_added_has_none(void **state)
{
    (void)state;
    empty_folder();
    assert_true(starts_with(0, 0));
    assert_false(is_there(REPLICA_VOTE_FILE));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(what_was_stored_is_loaded),
        TEST(each_bit_of_it_counts),
        TEST(each_length_of_it_counts),
        TEST(an_older_one_than_the_log_is_refused),
        TEST(it_is_overwritten_where_it_lies),
        TEST(libraft_is_told_nothing_that_was_not_stored),
        TEST(each_byte_of_libraft_s_is_overruled),
        TEST(lengths_of_libraft_s_are_overruled),
        TEST(libraft_s_may_be_missing),
        TEST(a_crash_between_the_two_writes),
        TEST(a_directory_of_an_earlier_version),
        TEST(one_that_waits_to_be_added_has_none),
    };
    return cmocka_run_group_tests(tests, init, fini);
}
