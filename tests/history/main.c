/* history_check: judges a history that was written to a file (history_file.h).
 *
 * Exit status: 0 no violation, 1 violations, 2 it could not be judged. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cb_limits.h"
#include "history/history_check.h"
#include "history/history_file.h"

#define EXIT_USAGE 2

static const char usage[] =
    "usage: history_check [OPTIONS] FILE\n"
    "  --drained            the history ends with a drain: no job may be left\n"
    "  --clock-error=MS     of the cluster's clock over one ttr or delay (0)\n"
    "  --closes-allowed=N   connections that the server may close (any)\n"
    "  --stall-max=MS       the longest time to an answer (any)\n"
    "  --late-max=MS        how late a delayed job may be ready (any)\n"
    "  --close-notice=MS    how soon a client sees that the server closed (not known)\n"
    "  --forgotten=MS       how long after its close a connection may have effects (for ever)\n";

enum option_value {
    OPTION_DRAINED = 256,
    OPTION_CLOCK_ERROR,
    OPTION_CLOSES_ALLOWED,
    OPTION_STALL_MAX,
    OPTION_LATE_MAX,
    OPTION_CLOSE_NOTICE,
    OPTION_FORGOTTEN,
};

static const struct option options_long[] = {
    {"drained", no_argument, NULL, OPTION_DRAINED},
    {"clock-error", required_argument, NULL, OPTION_CLOCK_ERROR},
    {"closes-allowed", required_argument, NULL, OPTION_CLOSES_ALLOWED},
    {"stall-max", required_argument, NULL, OPTION_STALL_MAX},
    {"late-max", required_argument, NULL, OPTION_LATE_MAX},
    {"close-notice", required_argument, NULL, OPTION_CLOSE_NOTICE},
    {"forgotten", required_argument, NULL, OPTION_FORGOTTEN},
    {NULL, 0, NULL, 0},
};

static bool number_of(const char *text, uint64_t unit, uint64_t *to)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || v > UINT64_MAX / unit) {
        return false;
    }
    *to = v * unit;
    return true;
}

static bool take_option(int option, struct hist_check_options *o)
{
    switch (option) {
    case OPTION_DRAINED:
        o->is_drained = true;
        return true;
    case OPTION_CLOCK_ERROR:
        return number_of(optarg, CB_NS_PER_MS, &o->clock_error_ns);
    case OPTION_CLOSES_ALLOWED:
        return number_of(optarg, 1, &o->closes_allowed);
    case OPTION_STALL_MAX:
        return number_of(optarg, CB_NS_PER_MS, &o->stall_max_ns);
    case OPTION_LATE_MAX:
        return number_of(optarg, CB_NS_PER_MS, &o->late_max_ns);
    case OPTION_CLOSE_NOTICE:
        return number_of(optarg, CB_NS_PER_MS, &o->close_notice_ns);
    case OPTION_FORGOTTEN:
        return number_of(optarg, CB_NS_PER_MS, &o->forgotten_ns);
    default:
        return false;
    }
}

static void print_verdict(const struct hist_verdict *v, const struct cb_buf *text)
{
    if (cb_buf_len(text) > 0) {
        (void)fwrite(cb_buf_span(text).ptr, 1, cb_buf_len(text), stdout);
    }
    printf("%-20s %12s %12s\n", "property", "judged", "violations");
    for (unsigned i = 0; i < HIST_PROPERTY_COUNT; i++) {
        printf("%-20s %12" PRIu64 " %12" PRIu64 "\n", history_property_name((enum hist_property)i),
               v->judged[i], v->violations[i]);
    }
}

static struct history *read_file(const char *path)
{
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "history_check: cannot open %s: %s\n", path, strerror(errno));
        return NULL;
    }
    struct cb_buf error = CB_BUF_NULL;
    struct history *h = history_file_read(f, &error);
    fclose(f);
    if (h == NULL) {
        fprintf(stderr, "history_check: %s: %.*s\n", path, (int)cb_buf_len(&error),
                (const char *)cb_buf_span(&error).ptr);
    }
    cb_buf_fini(&error);
    return h;
}

int main(int argc, char **argv)
{
    struct hist_check_options o = {.closes_allowed = UINT64_MAX};
    int option;
    while ((option = getopt_long(argc, argv, "", options_long, NULL)) != -1) {
        if (!take_option(option, &o)) {
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc - 1) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    struct history *h = read_file(argv[optind]);
    if (h == NULL) {
        return EXIT_USAGE;
    }
    struct hist_verdict verdict;
    struct cb_buf text = CB_BUF_NULL;
    bool good = history_check(h, &o, &verdict, &text);
    print_verdict(&verdict, &text);
    cb_buf_fini(&text);
    history_destroy(h);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
