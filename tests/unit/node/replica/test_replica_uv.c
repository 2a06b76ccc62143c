/* Proves on real disks, sockets and processes: three members elect a leader and agree on every
 * entry, also when the leader is killed with SIGKILL and comes back, and whatever strangers say to
 * their ports; a directory is bootstrapped once and used by one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "common/base/cb_hash.h"
#include "node/replica/replica_uv.h"
#include "support/seed.h"
#include "unit/node/replica/stranger.h"

#define MEMBERS 3
#define TRACE_MAX 200000
#define DEADLINE_S 60
#define PROPOSE_EVERY_MS 2
#define POLL_NS 5000000L
#define STRANGERS 100

/* What a member tells the test, in shared memory. */
struct told {
    _Atomic bool leads;
    _Atomic uint64_t count;
    /* The digest after each entry: equal prefixes mean equal histories. */
    _Atomic uint64_t trace[TRACE_MAX];
};

struct shared {
    _Atomic bool stop_writing;
    struct told told[MEMBERS];
};

static uint64_t seed;
static struct shared *shared;
static char base[64];
static char dirs[MEMBERS][96];
static struct replica_member members[MEMBERS];
static pid_t pids[MEMBERS];

/* --- a member's process --- */

struct process {
    size_t at;
    uv_loop_t loop;
    uv_timer_t timer;
    struct replica *r;
    uint64_t digest;
    uint64_t proposals;
};

static void on_apply(void *data, const struct replica_entry *e)
{
    struct process *p = data;
    struct told *t = &shared->told[p->at];
    p->digest = cb_hash_seeded(e->bytes.ptr, e->bytes.len, p->digest);
    uint64_t n = atomic_load(&t->count);
    CB_ASSERT(n < TRACE_MAX);
    atomic_store(&t->trace[n], p->digest);
    atomic_store(&t->count, n + 1);
    replica_durable(p->r, e->index);
}

static void on_role(void *data, const struct replica_view *view)
{
    const struct process *p = data;
    atomic_store(&shared->told[p->at].leads, view->role == REPLICA_LEADER);
}

static void on_turn(void *data)
{
    (void)data;
}

static void on_want_durable(void *data, uint64_t index)
{
    (void)data;
    (void)index;
}

static void on_lower_appended(void *data, struct replica_mark mark)
{
    const struct process *p = data;
    (void)mark;
    replica_lowered(p->r);
}

static void on_install_state(void *data, struct replica_mark mark, uint64_t at_least)
{
    (void)data;
    (void)mark;
    (void)at_least;
    CB_UNREACHABLE("no member of this test is too far behind for the log");
}

static void on_installed(void *data, struct replica_mark mark)
{
    (void)data;
    (void)mark;
}

static void propose_some(uv_timer_t *timer)
{
    struct process *p = timer->data;
    if (atomic_load(&shared->stop_writing)) {
        return;
    }
    char text[64];
    int len = snprintf(text, sizeof text, "%zu %d %llu", p->at, (int)getpid(),
                       (unsigned long long)p->proposals++);
    (void)!replica_propose(p->r, cb_span(text, (size_t)len));
}

static struct replica_config config_of(size_t at)
{
    struct replica_config c;
    replica_config_default(&c);
    c.members = members;
    c.member_count = MEMBERS;
    c.self = at;
    return c;
}

static void process_main(size_t at)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static struct process p;
    p.at = at;
    atomic_store(&shared->told[at].count, 0);
    struct replica_config config = config_of(at);
    if (replica_uv_is_empty(dirs[at])) {
        replica_uv_bootstrap(dirs[at], &config);
    }
    struct replica_events events = {
        .data = &p,
        .apply = on_apply,
        .role = on_role,
        .turn = on_turn,
        .want_durable = on_want_durable,
        .lower_appended = on_lower_appended,
        .install_state = on_install_state,
        .installed = on_installed,
    };
    uv_loop_init(&p.loop);
    struct replica_uv_config uv = {.dir = dirs[at]};
    struct replica_uv *u = replica_uv_open(&p.loop, &uv, &config, &events);
    p.r = replica_uv_replica(u);
    if (replica_uv_start(u) != REPLICA_STARTED) {
        cb_die("%s", replica_message(p.r));
    }
    uv_timer_init(&p.loop, &p.timer);
    p.timer.data = &p;
    uv_timer_start(&p.timer, propose_some, PROPOSE_EVERY_MS, PROPOSE_EVERY_MS);
    uv_run(&p.loop, UV_RUN_DEFAULT);
    _exit(2);
}

static void process_start(size_t at)
{
    pids[at] = fork();
    assert_true(pids[at] >= 0);
    if (pids[at] == 0) {
        process_main(at);
    }
}

static void process_kill(size_t at)
{
    if (pids[at] > 0) {
        kill(pids[at], SIGKILL);
        waitpid(pids[at], NULL, 0);
        pids[at] = 0;
        atomic_store(&shared->told[at].leads, false);
    }
}

/* --- the test's side --- */

static void wait_until(bool (*cond)(const void *), const void *arg)
{
    struct timespec start;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (!cond(arg)) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - start.tv_sec > DEADLINE_S) {
            fail_msg("not reached within %d s", DEADLINE_S);
        }
        nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
    }
}

static size_t leader_at(void)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        if (pids[i] > 0 && atomic_load(&shared->told[i].leads)) {
            return i;
        }
    }
    return MEMBERS;
}

/* A leader that has applied as many entries as `arg` says. */
static bool has_written(const void *arg)
{
    size_t at = leader_at();
    return at < MEMBERS && atomic_load(&shared->told[at].count) >= *(const uint64_t *)arg;
}

static bool all_equal(const void *arg)
{
    uint64_t count = atomic_load(&shared->told[0].count);
    if (count < *(const uint64_t *)arg) {
        return false;
    }
    for (size_t i = 1; i < MEMBERS; i++) {
        if (atomic_load(&shared->told[i].count) != count ||
            atomic_load(&shared->told[i].trace[count - 1]) !=
                atomic_load(&shared->told[0].trace[count - 1])) {
            return false;
        }
    }
    return true;
}

static void choose_ports(void)
{
    int fds[MEMBERS];
    for (size_t i = 0; i < MEMBERS; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof a;
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(fds[i], (const struct sockaddr *)&a, sizeof a), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&a, &len), 0);
        members[i].id = i + 1;
        snprintf(members[i].name, sizeof members[i].name, "n%zu", i + 1);
        snprintf(members[i].address, sizeof members[i].address, "127.0.0.1:%u", ntohs(a.sin_port));
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        close(fds[i]);
    }
}

static int set_up(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(base, sizeof base, "%.40s/replica-uv-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    assert_non_null(mkdtemp(base));
    for (size_t i = 0; i < MEMBERS; i++) {
        snprintf(dirs[i], sizeof dirs[i], "%s/n%zu", base, i + 1);
        assert_int_equal(mkdir(dirs[i], 0700), 0);
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    choose_ports();
    return 0;
}

static int remove_path(const char *path, const struct stat *s, int type, struct FTW *ftw)
{
    (void)s;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEMBERS; i++) {
        process_kill(i);
    }
    munmap(shared, sizeof *shared);
    return nftw(base, remove_path, 16, FTW_DEPTH | FTW_PHYS);
}

static void a_killed_leader_loses_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEMBERS; i++) {
        process_start(i);
    }
    uint64_t goal = 50;
    for (int round = 0; round < 3; round++) {
        wait_until(has_written, &goal);
        size_t old = leader_at();
        process_kill(old);
        uint64_t had = atomic_load(&shared->told[old].count);
        uint64_t digest = atomic_load(&shared->told[old].trace[had - 1]);
        goal = had + 50;
        wait_until(has_written, &goal);
        /* What the old leader had applied is the history of the new one too. */
        assert_int_equal(atomic_load(&shared->told[leader_at()].trace[had - 1]), digest);
        process_start(old);
        goal += 50;
    }
    wait_until(has_written, &goal);
    atomic_store(&shared->stop_writing, true);
    wait_until(all_equal, &goal);
}

static void all_are_killed_and_come_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEMBERS; i++) {
        process_start(i);
    }
    uint64_t goal = 100;
    wait_until(has_written, &goal);
    for (size_t i = 0; i < MEMBERS; i++) {
        process_kill(i);
        assert_false(replica_uv_is_empty(dirs[i]));
    }
    atomic_store(&shared->stop_writing, true);
    for (size_t i = 0; i < MEMBERS; i++) {
        process_start(i);
    }
    wait_until(all_equal, &goal);
}

static void strangers_end_nobody(void **state)
{
    (void)state;
    struct cb_rng rng;
    cb_rng_init(&rng, seed);
    for (size_t i = 0; i < MEMBERS; i++) {
        process_start(i);
    }
    uint64_t goal = 50;
    wait_until(has_written, &goal);
    for (size_t i = 0; i < STRANGERS; i++) {
        size_t at = cb_rng_below(&rng, MEMBERS);
        stranger_visit(members[at].address, members[(at + 1) % MEMBERS].id, members[at].id, &rng);
    }
    goal = atomic_load(&shared->told[0].count) + 100;
    wait_until(has_written, &goal);
    atomic_store(&shared->stop_writing, true);
    wait_until(all_equal, &goal);
    for (size_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(waitpid(pids[i], NULL, WNOHANG), 0); /* still there */
    }
}

/* Status and output of a child that runs `fn`. */
static int exit_status_of(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, STDERR_FILENO);
        fn();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void bootstrap_first(void)
{
    struct replica_config config = config_of(0);
    replica_uv_bootstrap(dirs[0], &config);
}

static void a_directory_is_bootstrapped_once(void **state)
{
    (void)state;
    assert_true(replica_uv_is_empty(dirs[0]));
    /* What an attempt that was cut off has left is no log. */
    char left[160];
    snprintf(left, sizeof left, "%s/raft.new", dirs[0]);
    assert_int_equal(mkdir(left, 0700), 0);
    snprintf(left, sizeof left, "%s/raft.new/metadata1", dirs[0]);
    int fd = open(left, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_true(replica_uv_is_empty(dirs[0]));
    assert_int_equal(exit_status_of(bootstrap_first), 0);
    assert_false(replica_uv_is_empty(dirs[0]));
}

static void second_user(void)
{
    process_main(0);
}

static void a_directory_has_one_user(void **state)
{
    (void)state;
    for (size_t i = 0; i < MEMBERS; i++) {
        process_start(i);
    }
    uint64_t goal = 1;
    wait_until(has_written, &goal);
    assert_int_equal(exit_status_of(second_user), 1);
}

static void a_cut_open_segment_ends_it_with_a_sentence(void **state)
{
    (void)state;
    struct replica_config config = config_of(0);
    replica_uv_bootstrap(dirs[0], &config);
    char path[160];
    uint8_t bytes[4096];
    snprintf(path, sizeof path, "%s/raft/0000000000000001-0000000000000001", dirs[0]);
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, bytes, sizeof bytes);
    assert_true(fd >= 0 && len > 8);
    close(fd);
    snprintf(path, sizeof path, "%s/raft/open-1", dirs[0]);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    /* A batch that is whole, and one that is not: libraft alone dies by a signal. */
    assert_int_equal(write(fd, bytes, (size_t)len), len);
    assert_int_equal(write(fd, bytes + 8, (size_t)len - 16), len - 16);
    close(fd);
    assert_int_equal(exit_status_of(second_user), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    seed = seed_of_test(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(a_killed_leader_loses_nothing), TEST(all_are_killed_and_come_back),
        TEST(strangers_end_nobody),          TEST(a_directory_is_bootstrapped_once),
        TEST(a_directory_has_one_user),      TEST(a_cut_open_segment_ends_it_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
