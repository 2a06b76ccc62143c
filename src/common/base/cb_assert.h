/* Assertions that stay on in release builds, and the sentence a process dies with.
 *
 * A bug asserts: the process stops at the place that noticed, before it can spread. An error of the
 * environment (disk, memory) ends the process with CB_DIE, which says what happened, to what, and
 * what to do. A domain outcome is a value and uses neither.
 * Threads: any. */
#ifndef CB_COMMON_BASE_CB_ASSERT_H
#define CB_COMMON_BASE_CB_ASSERT_H

#define CB_MUST_USE __attribute__((warn_unused_result))
#define CB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CB_UNUSED __attribute__((unused))

/* Stops the process with SIGABRT when `expr` is false. */
#define CB_ASSERT(expr) ((expr) ? (void)0 : cb_assert_failed(#expr, __FILE__, __LINE__, __func__))

/* A place that cannot be reached unless there is a bug. */
#define CB_UNREACHABLE(what) cb_assert_failed("unreachable: " what, __FILE__, __LINE__, __func__)

_Noreturn void cb_assert_failed(const char *expr, const char *file, int line, const char *func);

/* Ends the process with exit status 1 after one line on stderr; for errors of the environment that
 * this process must not survive (design D9). */
_Noreturn void cb_die(const char *fmt, ...) CB_PRINTF(1, 2);

#endif
