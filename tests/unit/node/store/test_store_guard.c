/* A fault within a guard ends the process with the guard's own sentence, on any thread; a fault on
 * a thread without one is what it would have been. */
#include "unit/node/store/store_rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/store/store_guard.h"

static void fault(void)
{
    volatile uint8_t *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)*p;
}

struct meeting {
    pthread_barrier_t both_guarded;
    const char *dir; /* of the thread that faults; NULL: it has no guard */
};

static void *fault_on_thread(void *arg)
{
    struct meeting *m = arg;
    struct store_guard guard;
    if (m->dir != NULL) {
        store_guard_begin(&guard, m->dir);
    }
    (void)pthread_barrier_wait(&m->both_guarded);
    fault();
    return NULL;
}

/* Faults on another thread while this one has a guard. */
static void fault_beside_a_guard(const char *dir)
{
    struct meeting m = {.dir = dir};
    struct store_guard guard;
    pthread_t thread;
    store_guard_begin(&guard, "/here");
    assert_int_equal(pthread_barrier_init(&m.both_guarded, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, fault_on_thread, &m), 0);
    (void)pthread_barrier_wait(&m.both_guarded);
    (void)pthread_join(thread, NULL);
}

static void with_guard(void)
{
    struct store_guard guard;
    store_guard_begin(&guard, "/here");
    fault();
}

static void within_the_outer_one(void)
{
    struct store_guard outer;
    struct store_guard inner;
    store_guard_begin(&outer, "/here");
    store_guard_begin(&inner, "/there");
    store_guard_end(&inner);
    fault();
}

static void on_a_guarded_thread(void)
{
    fault_beside_a_guard("/there");
}

static void on_a_bare_thread(void)
{
    fault_beside_a_guard(NULL);
}

static void after_the_end(void)
{
    struct store_guard guard;
    store_guard_begin(&guard, "/here");
    store_guard_end(&guard);
    fault();
}

/* What the child says at its end, and its status. */
static int run(void (*fn)(void), char *said, size_t cap)
{
    int out[2];
    int status;
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka would catch it and go on */
        (void)dup2(out[1], STDERR_FILENO);
        fn();
        _exit(0);
    }
    assert_int_equal(close(out[1]), 0);
    memset(said, 0, cap);
    for (size_t len = 0; len + 1 < cap;) {
        ssize_t n = read(out[0], said + len, cap - 1 - len);
        if (n <= 0) {
            break;
        }
        len += (size_t)n;
    }
    assert_int_equal(close(out[0]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_says(void (*fn)(void), const char *dir)
{
    char said[8192];
    int status = run(fn, said, sizeof(said));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 1);
    assert_non_null(strstr(said, dir));
    assert_non_null(strstr(said, "is damaged"));
}

static void assert_says_nothing(void (*fn)(void))
{
    char said[8192];
    int status = run(fn, said, sizeof(said));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSEGV);
    assert_null(strstr(said, "is damaged"));
}

static void test_fault_within_a_guard_is_said(void **state)
{
    (void)state;
    assert_says(with_guard, "/here");
    assert_says(within_the_outer_one, "/here");
    assert_says(on_a_guarded_thread, "/there");
}

static void test_fault_elsewhere_is_not_the_databases(void **state)
{
    (void)state;
    assert_says_nothing(on_a_bare_thread);
    assert_says_nothing(after_the_end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_within_a_guard_is_said),
        cmocka_unit_test(test_fault_elsewhere_is_not_the_databases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
