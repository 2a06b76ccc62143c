/* chaos_measure: what a run's history says of its faults, as JSON.
 *
 *   chaos_measure HISTORY FAULTS
 *
 * A line of FAULTS is the moments before and after a fault was made, in nanoseconds, in their
 * order. Of each it tells
 *
 *   next     seconds from the first to an acknowledgement of a put that was sent after the second
 *   longest  the longest time that a put took which had no answer yet at some time between the
 *            fault and the next one
 *
 * Exit status: 0; 2 when it could not read them. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cb_mem.h"
#include "history/history_file.h"

#define EXIT_UNREADABLE 2
#define NS 1e9

struct fault {
    uint64_t at_ns;
    uint64_t made_ns;
    uint64_t next_ns;    /* HIST_NEVER: there was none */
    uint64_t longest_ns; /* 0: no put */
};

struct counts {
    uint64_t commands, puts, acked, deleted, reserved, errors, unanswered, closed, closed_by_client;
    uint64_t first_ns, last_ns;
    uint64_t *waits; /* of the acknowledged puts */
};

static struct fault *read_faults(const char *path, size_t *n)
{
    FILE *f = fopen(path, "r");
    struct fault *faults = NULL;
    uint64_t at;
    uint64_t made;
    if (f == NULL) {
        fprintf(stderr, "chaos_measure: cannot open %s: %s\n", path, strerror(errno));
        return NULL;
    }
    for (*n = 0; fscanf(f, "%" SCNu64 " %" SCNu64, &at, &made) == 2; (*n)++) {
        faults = cb_realloc(faults, (*n + 1) * sizeof(*faults));
        faults[*n] = (struct fault){.at_ns = at, .made_ns = made, .next_ns = HIST_NEVER};
    }
    fclose(f);
    return faults != NULL ? faults : cb_malloc(1);
}

static bool is_acked(const struct hist_record *r)
{
    return r->op == HIST_PUT && (r->result == HIST_OK || r->result == HIST_INSERTED_BURIED);
}

static void note_put(struct fault *faults, size_t n, const struct hist_record *r)
{
    uint64_t wait = r->complete_ns - r->invoke_ns;
    for (size_t i = 0; i < n && faults[i].at_ns <= r->complete_ns; i++) {
        struct fault *f = &faults[i];
        if (r->invoke_ns >= f->made_ns && r->complete_ns < f->next_ns) {
            f->next_ns = r->complete_ns;
        }
        bool before_next = i + 1 == n || r->invoke_ns < faults[i + 1].at_ns;
        if (before_next && r->complete_ns >= f->at_ns && wait > f->longest_ns) {
            f->longest_ns = wait;
        }
    }
}

static void count(struct counts *c, const struct hist_record *r)
{
    if (r->op == HIST_CLOSE) {
        c->closed += r->by_server;
        c->closed_by_client += !r->by_server;
        return;
    }
    if (r->op == HIST_CONNECT) {
        return;
    }
    bool did = r->result == HIST_OK;
    c->commands++;
    c->puts += r->op == HIST_PUT;
    c->deleted += r->op == HIST_DELETE && did;
    c->reserved += r->op == HIST_RESERVE && did;
    c->errors += r->result == HIST_ERROR;
    c->unanswered += r->complete_ns == HIST_NEVER;
    if (is_acked(r)) {
        c->waits[c->acked++] = r->complete_ns - r->invoke_ns;
        c->first_ns =
            c->first_ns == 0 || r->complete_ns < c->first_ns ? r->complete_ns : c->first_ns;
        c->last_ns = r->complete_ns > c->last_ns ? r->complete_ns : c->last_ns;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static double quantile(const struct counts *c, double q)
{
    return c->acked == 0 ? 0 : (double)c->waits[(size_t)(q * (double)(c->acked - 1))] / NS;
}

static void print(const struct counts *c, const struct fault *faults, size_t n)
{
    double seconds = (double)(c->last_ns - c->first_ns) / NS;
    printf("{\"commands\": %" PRIu64 ", \"puts\": %" PRIu64 ", \"acked\": %" PRIu64
           ", \"reserved\": %" PRIu64 ", \"deleted\": %" PRIu64 ", \"errors\": %" PRIu64
           ", \"without_answer\": %" PRIu64 ", \"closed\": %" PRIu64
           ", \"closed_by_client\": %" PRIu64 ", ",
           c->commands, c->puts, c->acked, c->reserved, c->deleted, c->errors, c->unanswered,
           c->closed, c->closed_by_client);
    printf("\"seconds\": %.3f, \"puts_per_s\": %.1f, \"put_p50\": %.6f, \"put_p99\": %.6f, "
           "\"put_max\": %.6f, ",
           seconds, seconds > 0 ? (double)c->acked / seconds : 0, quantile(c, 0.5),
           quantile(c, 0.99), quantile(c, 1));
    printf("\"faults\": [");
    for (size_t i = 0; i < n; i++) {
        const struct fault *f = &faults[i];
        printf("%s{\"at_ns\": %" PRIu64 ", \"next\": ", i == 0 ? "" : ", ", f->at_ns);
        if (f->next_ns == HIST_NEVER) {
            printf("null");
        } else {
            printf("%.4f", (double)(f->next_ns - f->at_ns) / NS);
        }
        printf(", \"longest\": %.4f}", (double)f->longest_ns / NS);
    }
    printf("]}\n");
}

static int measure(const struct history *h, struct fault *faults, size_t n)
{
    struct counts c = {.waits = cb_malloc((history_count(h) + 1) * sizeof(*c.waits))};
    const struct hist_record *records = history_records(h);
    for (size_t i = 0; i < history_count(h); i++) {
        count(&c, &records[i]);
        if (is_acked(&records[i])) {
            note_put(faults, n, &records[i]);
        }
    }
    qsort(c.waits, c.acked, sizeof(*c.waits), compare);
    print(&c, faults, n);
    cb_free(c.waits);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: chaos_measure HISTORY FAULTS\n", stderr);
        return EXIT_UNREADABLE;
    }
    size_t n = 0;
    struct fault *faults = read_faults(argv[2], &n);
    FILE *f = fopen(argv[1], "r");
    struct cb_buf error = CB_BUF_NULL;
    struct history *h = f == NULL ? NULL : history_file_read(f, &error);
    if (f != NULL) {
        fclose(f);
    }
    int status = EXIT_UNREADABLE;
    if (h == NULL || faults == NULL) {
        fprintf(stderr, "chaos_measure: %s: %.*s\n", argv[1], (int)cb_buf_len(&error),
                (const char *)cb_buf_span(&error).ptr);
    } else {
        status = measure(h, faults, n);
    }
    if (h != NULL) {
        history_destroy(h);
    }
    cb_free(faults);
    cb_buf_fini(&error);
    return status;
}
