/* chaos_relay: carries the packets between two network interfaces, each some time after it came.
 *
 *   chaos_relay DEVICE DEVICE --delay=US [--jitter=US] [--overtake=PERCENT] [--twice=PERCENT]
 *               [--seed=N]
 *
 * What netem does where the kernel has it. A packet leaves `delay` after it came, and up to
 * `jitter` more. The order of each direction stays, but for the packets that `overtake` says: those
 * wait for nobody that came before. `twice`: it comes once more, with a time of its own.
 *
 * It says "ready" on standard output, and drops what comes until a line is on its standard input;
 * then it says "on". At the end of its input all that still waits is sent at once, in its order.
 * What would make its memory grow beyond WAITING_MAX is dropped, as a full queue of a router does.
 *
 * Packets pass as the kernel holds them, larger than the link's MTU and with sums that are not
 * computed yet (PACKET_VNET_HDR): a device that it sends to finishes them.
 *
 * Threads:  one. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_mem.h"
#include "common/base/cb_rng.h"

#define EXIT_USAGE 2
#define NS_PER_US UINT64_C(1000)
#define NS_PER_S UINT64_C(1000000000)
#define PACKET_MAX (1u << 17) /* a large segment and its headers */
#define WAITING_MAX ((size_t)64 << 20)
#define SOCKET_BUFFER (8 << 20)
#define AT_ONCE 256 /* packets of one device, before the other one and the clock are looked at */

struct packet {
    uint64_t due_ns;
    uint64_t number; /* of equal times the first comes first */
    size_t len;
    int to; /* a socket */
    uint8_t bytes[];
};

struct options {
    const char *devices[2];
    uint64_t delay_ns;
    uint64_t jitter_ns;
    uint32_t overtake;
    uint32_t twice;
    uint64_t seed;
};

struct relay {
    struct options options;
    struct cb_rng rng;
    int fds[2];
    uint64_t last_ns[2]; /* when the last one that keeps its place is due, of what came there */
    struct packet **heap;
    size_t count;
    size_t cap;
    size_t waiting; /* bytes in the heap */
    uint64_t numbers;
    bool is_on;
    uint8_t room[PACKET_MAX];
};

static uint64_t clock_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail for this clock */
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- packets by the time when they are due ---- */

static bool is_sooner(const struct packet *a, const struct packet *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->number < b->number;
}

static void swap(struct relay *r, size_t a, size_t b)
{
    struct packet *p = r->heap[a];
    r->heap[a] = r->heap[b];
    r->heap[b] = p;
}

static void push(struct relay *r, struct packet *p)
{
    if (r->count == r->cap) {
        r->cap = r->cap == 0 ? 1024 : 2 * r->cap;
        r->heap = cb_realloc(r->heap, r->cap * sizeof(*r->heap));
    }
    size_t at = r->count++;
    r->heap[at] = p;
    r->waiting += p->len;
    for (; at > 0 && is_sooner(r->heap[at], r->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        swap(r, at, (at - 1) / 2);
    }
}

static struct packet *pop(struct relay *r)
{
    struct packet *first = r->heap[0];
    r->heap[0] = r->heap[--r->count];
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < r->count && is_sooner(r->heap[child + 1], r->heap[child])) {
            child++;
        }
        if (child >= r->count || !is_sooner(r->heap[child], r->heap[at])) {
            break;
        }
        swap(r, at, child);
        at = child;
    }
    r->waiting -= first->len;
    return first;
}

/* ---- their way ---- */

static void keep(struct relay *r, unsigned from, size_t len, uint64_t now_ns)
{
    const struct options *o = &r->options;
    if (r->waiting + len > WAITING_MAX) {
        return;
    }
    struct packet *p = cb_malloc(sizeof(*p) + len);
    uint64_t jitter = o->jitter_ns == 0 ? 0 : cb_rng_below(&r->rng, o->jitter_ns);
    *p = (struct packet){.due_ns = now_ns + o->delay_ns + jitter,
                         .number = ++r->numbers,
                         .len = len,
                         .to = r->fds[1 - from]};
    memcpy(p->bytes, r->room, len);
    if (!cb_rng_chance(&r->rng, o->overtake, 100)) {
        p->due_ns = p->due_ns > r->last_ns[from] ? p->due_ns : r->last_ns[from];
        r->last_ns[from] = p->due_ns;
    }
    push(r, p);
}

static void receive(struct relay *r, unsigned from)
{
    for (unsigned i = 0; i < AT_ONCE; i++) {
        ssize_t n = recv(r->fds[from], r->room, PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN) {
            cb_die("%s: %s", r->options.devices[from], strerror(errno));
        }
        if (n < 0) {
            return;
        }
        if (!r->is_on || (size_t)n > PACKET_MAX) {
            continue;
        }
        uint64_t now_ns = clock_ns();
        keep(r, from, (size_t)n, now_ns);
        if (cb_rng_chance(&r->rng, r->options.twice, 100)) {
            keep(r, from, (size_t)n, now_ns);
        }
    }
}

/* A device that takes no more, or is gone, loses the packet: networks do. */
static void send_due(struct relay *r, uint64_t now_ns)
{
    while (r->count > 0 && r->heap[0]->due_ns <= now_ns) {
        struct packet *p = pop(r);
        (void)send(p->to, p->bytes, p->len, MSG_DONTWAIT);
        cb_free(p);
    }
}

/* Who drives it may be gone: the end of standard input says so. */
static void say(const char *word)
{
    puts(word);
    (void)fflush(stdout);
}

/* False at the end of standard input. */
static bool take_word(struct relay *r)
{
    char text[64];
    ssize_t n = read(STDIN_FILENO, text, sizeof(text));
    if (n > 0 && !r->is_on) {
        r->is_on = true;
        say("on");
    }
    return n > 0;
}

static struct timespec until_due(const struct relay *r)
{
    uint64_t now_ns = clock_ns();
    uint64_t ns = r->count == 0                  ? NS_PER_S
                  : r->heap[0]->due_ns <= now_ns ? 0
                                                 : r->heap[0]->due_ns - now_ns;
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

static void run(struct relay *r)
{
    struct pollfd polled[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
                               {.fd = r->fds[0], .events = POLLIN},
                               {.fd = r->fds[1], .events = POLLIN}};
    do {
        struct timespec wait = until_due(r);
        if (ppoll(polled, 3, &wait, NULL) < 0 && errno != EINTR) {
            cb_die("poll: %s", strerror(errno));
        }
        for (unsigned i = 0; i < 2; i++) {
            if (polled[1 + i].revents != 0) {
                receive(r, i);
            }
        }
        send_due(r, clock_ns());
    } while (polled[0].revents == 0 || take_word(r));
    send_due(r, UINT64_MAX);
}

/* ---- begin ---- */

static int open_device(const char *name)
{
    int one = 1;
    int size = SOCKET_BUFFER;
    struct sockaddr_ll address = {.sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_ALL),
                                  .sll_ifindex = (int)if_nametoindex(name)};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* nothing comes before the bind */
    if (address.sll_ifindex == 0 || fd < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        cb_die("cannot take the packets of %s: %s", name, strerror(errno));
    }
    return fd;
}

static bool take_option(struct options *o, int option)
{
    char *end;
    uint64_t value = strtoull(optarg, &end, 10);
    if (*end != '\0' || end == optarg) {
        return false;
    }
    switch (option) {
    case 'd':
        o->delay_ns = value * NS_PER_US;
        return true;
    case 'j':
        o->jitter_ns = value * NS_PER_US;
        return true;
    case 'o':
        o->overtake = (uint32_t)value;
        return value <= 100;
    case 't':
        o->twice = (uint32_t)value;
        return value <= 100;
    default:
        o->seed = value;
        return true;
    }
}

static bool parse(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"delay", required_argument, NULL, 'd'},    {"jitter", required_argument, NULL, 'j'},
        {"overtake", required_argument, NULL, 'o'}, {"twice", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},     {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == '?' || !take_option(o, option)) {
            return false;
        }
    }
    for (int i = 0; i < 2 && optind + i < argc; i++) {
        o->devices[i] = argv[optind + i];
    }
    return optind == argc - 2;
}

int main(int argc, char **argv)
{
    static struct relay r;
    if (!parse(&r.options, argc, argv)) {
        fputs("usage: chaos_relay DEVICE DEVICE --delay=US [--jitter=US] [--overtake=PERCENT] "
              "[--twice=PERCENT] [--seed=N]\n",
              stderr);
        return EXIT_USAGE;
    }
    cb_rng_init(&r.rng, r.options.seed);
    for (unsigned i = 0; i < 2; i++) {
        r.fds[i] = open_device(r.options.devices[i]);
    }
    say("ready");
    run(&r);
    cb_free(r.heap);
    return EXIT_SUCCESS;
}
