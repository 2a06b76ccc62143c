/* chaos_load: keeps a queue busy through its faults, and writes down what its clients saw.
 *
 * Every STATUS_NS it prints a line for who drives it:
 *
 *     NOW_NS PHASE acked=N deleted=N errors=N misfits=N closed=N refused=N unanswered=N newest=NS
 *
 * "stop" on its standard input, or the end of that, ends the work; then it drains. Exit status: 0
 * when the queue was drained and every command was answered, 1 when not. What the answers were is
 * for others to judge, from the history. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "chaos/load.h"
#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"

#define STATUS_NS (20 * LOAD_MS)
#define FILE_BUFFER (1 << 20)
#define EXIT_USAGE 2

static const char usage[] =
    "usage: chaos_load --to HOST:PORT [--to ...] --history FILE [OPTIONS]\n"
    "  --producers=N --workers=N --keepers=N --lookers=N --readers=N   connections of each kind\n"
    "                 (24, 32, 6, 4, 0)\n"
    "  --rate=N       jobs put a second (2400)\n"
    "  --seed=N       of what they do (1)\n"
    "  --patience=S   how long the end of work and the drain may take (90)\n"
    "  --plain        nothing that makes a client wait by design\n";

uint64_t load_clock_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * LOAD_S + (uint64_t)ts.tv_nsec;
}

static bool add_address(struct load_options *o, const char *text)
{
    char host[64];
    unsigned port;
    if (o->n_addresses == LOAD_ADDRESSES_MAX || sscanf(text, "%63[0-9.]:%u", host, &port) != 2) {
        return false;
    }
    struct sockaddr_in *a = &o->addresses[o->n_addresses++];
    a->sin_family = AF_INET;
    a->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &a->sin_addr) == 1;
}

static bool take_option(struct load_options *o, int option)
{
    switch (option) {
    case 't':
        return add_address(o, optarg);
    case 'h':
        o->history = optarg;
        return true;
    case 'p':
        o->producers = (unsigned)atoi(optarg);
        return o->producers > 0;
    case 'w':
        o->workers = (unsigned)atoi(optarg);
        return true;
    case 'k':
        o->keepers = (unsigned)atoi(optarg);
        return true;
    case 'l':
        o->lookers = (unsigned)atoi(optarg);
        return true;
    case 'a':
        o->readers = (unsigned)atoi(optarg);
        return true;
    case 'r':
        o->rate = atof(optarg);
        return o->rate > 0;
    case 's':
        o->seed = strtoull(optarg, NULL, 10);
        return true;
    case 'e':
        o->patience_ns = strtoull(optarg, NULL, 10) * LOAD_S;
        return true;
    case 'q':
        o->is_plain = true;
        return true;
    default:
        return false;
    }
}

static bool parse(struct load_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"to", required_argument, NULL, 't'},        {"history", required_argument, NULL, 'h'},
        {"producers", required_argument, NULL, 'p'}, {"workers", required_argument, NULL, 'w'},
        {"keepers", required_argument, NULL, 'k'},   {"lookers", required_argument, NULL, 'l'},
        {"readers", required_argument, NULL, 'a'},   {"rate", required_argument, NULL, 'r'},
        {"seed", required_argument, NULL, 's'},      {"patience", required_argument, NULL, 'e'},
        {"plain", no_argument, NULL, 'q'},           {NULL, 0, NULL, 0},
    };
    *o = (struct load_options){.producers = 24,
                               .workers = 32,
                               .keepers = 6,
                               .lookers = 4,
                               .rate = 2400,
                               .seed = 1,
                               .patience_ns = 90 * LOAD_S};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take_option(o, option)) {
            return false;
        }
    }
    return optind == argc && o->n_addresses > 0 && o->history != NULL;
}

static void load_init(struct load *l)
{
    static const char *const tubes[LOAD_TUBES] = {"red", "green", "blue", "white", "black"};
    static const struct {
        enum load_role role;
        size_t offset;
    } roles[] = {{LOAD_PRODUCER, offsetof(struct load_options, producers)},
                 {LOAD_WORKER, offsetof(struct load_options, workers)},
                 {LOAD_KEEPER, offsetof(struct load_options, keepers)},
                 {LOAD_LOOKER, offsetof(struct load_options, lookers)},
                 {LOAD_READER, offsetof(struct load_options, readers)}};
    l->names = history_create();
    for (unsigned i = 0; i < LOAD_TUBES; i++) {
        l->tubes[i] = history_tube(l->names, tubes[i]);
    }
    l->file = fopen(l->options.history, "w");
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->file == NULL || l->epoll_fd < 0 || setvbuf(l->file, NULL, _IOFBF, FILE_BUFFER) != 0) {
        cb_die("cannot write %s: %s", l->options.history, strerror(errno));
    }
    fputs("coolbeans-history 1\n", l->file);
    const struct load_options *o = &l->options;
    unsigned all = o->producers + o->workers + o->keepers + o->lookers + o->readers;
    l->conns = cb_calloc(all, sizeof(*l->conns));
    for (unsigned i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        unsigned n = *(const unsigned *)(const void *)((const char *)&l->options + roles[i].offset);
        for (; n > 0; n--, l->n_conns++) {
            load_conn_init(&l->conns[l->n_conns], l, roles[i].role, l->n_conns);
        }
    }
    for (unsigned i = 0; i < LOAD_DRAINERS; i++) {
        load_conn_init(&l->drainers[i], l, LOAD_DRAINER, i);
    }
}

static void load_fini(struct load *l)
{
    for (unsigned i = 0; i < l->n_conns; i++) {
        load_conn_fini(&l->conns[i]);
    }
    for (unsigned i = 0; i < LOAD_DRAINERS; i++) {
        load_conn_fini(&l->drainers[i]);
    }
    cb_free(l->conns);
    cb_buf_fini(&l->line);
    history_destroy(l->names);
    if (fclose(l->file) != 0) {
        cb_die("cannot write %s: %s", l->options.history, strerror(errno));
    }
}

static void tell(const struct load *l)
{
    static const char *const phases[] = {"works", "stops", "drains", "ended"};
    const struct load_counts *n = &l->counts;
    printf("%" PRIu64 " %s acked=%" PRIu64 " deleted=%" PRIu64 " errors=%" PRIu64
           " misfits=%" PRIu64 " closed=%" PRIu64 " refused=%" PRIu64 " unanswered=%" PRIu64
           " newest=%" PRIu64 "\n",
           l->now_ns, phases[l->phase], n->acked, n->deleted, n->errors, n->misfits, n->closed,
           n->refused, n->unanswered, n->newest_ns);
    (void)fflush(stdout); /* who reads it may be gone: the end of stdin says so */
}

static void enter(struct load *l, enum load_phase phase)
{
    l->phase = phase;
    l->phase_since_ns = l->now_ns;
    for (unsigned i = 0; i < l->n_conns; i++) {
        l->conns[i].wake_ns = l->now_ns;
    }
}

static bool is_stop_asked(void)
{
    char text[64];
    ssize_t n = read(STDIN_FILENO, text, sizeof(text));
    return n == 0 || (n > 0 && memmem(text, (size_t)n, "stop", 4) != NULL);
}

/* Those that were not answered in time are counted: they may have to be given up. */
static bool is_stopped(struct load *l)
{
    bool is_late = l->now_ns - l->phase_since_ns > l->options.patience_ns;
    bool all = true;
    for (unsigned i = 0; i < l->n_conns; i++) {
        struct load_conn *c = &l->conns[i];
        if (c->fd >= 0 && is_late) {
            l->counts.unanswered += c->count;
            load_conn_leave(c);
        }
        all = all && c->fd < 0;
    }
    return all;
}

static bool is_drained(struct load *l)
{
    bool is_late = l->now_ns - l->phase_since_ns > l->options.patience_ns;
    bool all = true;
    for (unsigned i = 0; i < LOAD_DRAINERS; i++) {
        if (is_late) {
            load_conn_leave(&l->drainers[i]);
        }
        all = all && (is_late || l->drainers[i].is_over);
    }
    return all;
}

static void next_phase(struct load *l)
{
    switch (l->phase) {
    case LOAD_WORKS:
        if (is_stop_asked()) {
            enter(l, LOAD_STOPS);
        }
        break;
    case LOAD_STOPS:
        if (is_stopped(l)) {
            enter(l, LOAD_DRAINS);
        }
        break;
    case LOAD_DRAINS:
        if (is_drained(l)) {
            enter(l, LOAD_ENDED);
        }
        break;
    case LOAD_ENDED:
        break;
    }
}

static void run(struct load *l)
{
    uint64_t told_ns = 0;
    l->now_ns = load_clock_ns();
    while (l->phase != LOAD_ENDED) {
        struct epoll_event events[64];
        int n = epoll_wait(l->epoll_fd, events, 64, 1);
        l->now_ns = load_clock_ns();
        for (int i = 0; i < n; i++) {
            load_conn_event(events[i].data.ptr, events[i].events);
        }
        for (unsigned i = 0; i < l->n_conns; i++) {
            load_conn_turn(&l->conns[i]);
        }
        for (unsigned i = 0; l->phase == LOAD_DRAINS && i < LOAD_DRAINERS; i++) {
            load_conn_turn(&l->drainers[i]);
        }
        if (l->now_ns - told_ns >= STATUS_NS) {
            told_ns = l->now_ns;
            tell(l);
            next_phase(l);
        }
    }
    tell(l);
}

int main(int argc, char **argv)
{
    static struct load l;
    if (!parse(&l.options, argc, argv)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) != 0) {
        cb_die("standard input: %s", strerror(errno));
    }
    load_init(&l);
    run(&l);
    bool is_good = l.is_empty && l.counts.unanswered == 0;
    load_fini(&l);
    return is_good ? EXIT_SUCCESS : EXIT_FAILURE;
}
