#include "ctl/ctl_members.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/sys/cb_options.h"
#include "ctl/ctl_change.h"

#define PROGRESS_MS 500

struct members_options {
    const char *dir;
    const char *nodes;
    bool no_wait;
};

#define AT(member) offsetof(struct members_options, member)

static const struct cb_option options[] = {
    {.long_name = "nodes",
     .kind = CB_OPTION_STRING,
     .arg = "HOST:PORT,...",
     .offset = AT(nodes),
     .help = "gRPC addresses of members; one that is up tells of the others"},
    {.long_name = "dir",
     .kind = CB_OPTION_STRING,
     .arg = "DIR",
     .offset = AT(dir),
     .help = "the cluster that 'coolbeans dev' keeps in DIR (default: its default)"},
    {.long_name = "no-wait",
     .kind = CB_OPTION_FLAG,
     .offset = AT(no_wait),
     .help = "do not wait until a new member has the state, and a vote"},
    {.short_name = 'h', .long_name = "help", .kind = CB_OPTION_HELP, .help = "show this help"},
};

typedef bool (*command_fn)(const struct ctl_targets *t,
                           const struct members_options *o,
                           char **words,
                           struct cb_buf *error);

struct command {
    const char *program;
    const char *operands; /* NULL: none */
    int least, most;      /* how many */
    const char *summary;
    command_fn run;
};

/* ---- members ---- */

static void print_member(const struct ctl_member *m, uint64_t leader_applied)
{
    char behind[24] = "-";
    if (m->alive) {
        uint64_t n = leader_applied > m->applied ? leader_applied - m->applied : 0;
        (void)snprintf(behind, sizeof(behind), "%" PRIu64, n);
    }
    printf("%-12s %-8s %-9s %10s %16" PRIu64 "  %s\n", m->name[0] != '\0' ? m->name : "?", m->votes,
           m->alive ? m->role : "down", behind, m->id, m->grpc);
}

static bool run_members(const struct ctl_targets *t,
                        const struct members_options *o,
                        char **words,
                        struct cb_buf *error)
{
    (void)o;
    (void)words;
    (void)error;
    struct ctl_status s;
    uint64_t applied = 0;
    ctl_status_ask(&s, t->v, t->n, CTL_STATUS_TIMEOUT_MS);
    for (unsigned i = 0; i < s.n; i++) {
        applied = s.members[i].serving ? s.members[i].applied : applied;
    }
    printf("%-12s %-8s %-9s %10s %16s  %s\n", "MEMBER", "VOTES", "ROLE", "BEHIND", "ID", "ADDRESS");
    for (unsigned i = 0; i < s.n; i++) {
        if (s.members[i].is_member) {
            print_member(&s.members[i], applied);
        }
    }
    return true;
}

/* ---- add ---- */

static bool split(const char *word, struct wire_change_request *q, struct cb_buf *error)
{
    const char *eq = strchr(word, '=');
    *q = (struct wire_change_request){.op = WIRE_CHANGE_ADD};
    if (eq == NULL || eq == word || (size_t)(eq - word) >= sizeof(q->name) || eq[1] == '\0' ||
        strlen(eq + 1) >= sizeof(q->grpc)) {
        cb_buf_printf(error,
                      "\"%s\" is not NAME=HOST:PORT, the name of the new node and where the "
                      "others reach its gRPC port",
                      word);
        return false;
    }
    memcpy(q->name, word, (size_t)(eq - word));
    memcpy(q->grpc, eq + 1, strlen(eq + 1) + 1);
    return true;
}

/* How far the state and the log have come there. */
static void show_progress(const struct ctl_status *s, const struct ctl_member *m)
{
    const struct ctl_member *leader = ctl_find_member(s, s->leader);
    fprintf(stderr, "%s: %s, entry %" PRIu64 " of %" PRIu64 "\n", m->name, m->votes, m->applied,
            leader != NULL ? leader->applied : 0);
}

static bool wait_for_vote(const struct ctl_targets *t, const char *name, struct cb_buf *error)
{
    for (unsigned i = 0;; i++) {
        struct ctl_status s;
        if (!ctl_find_leader(t, &s, error)) {
            return false;
        }
        const struct ctl_member *m = ctl_find_member(&s, name);
        if (m == NULL) {
            cb_buf_printf(error, "%s was removed meanwhile", name);
            return false;
        }
        if (m->voter) {
            return true;
        }
        if (i % 4 == 0) {
            show_progress(&s, m);
        }
        ctl_pause(PROGRESS_MS);
    }
}

static bool add(const struct ctl_targets *t,
                const struct members_options *o,
                const struct wire_change_request *q,
                struct cb_buf *error)
{
    if (!ctl_change(t, q, error)) {
        return false;
    }
    if (o->no_wait) {
        printf("%s is a member; it votes once it has the state\n", q->name);
        return true;
    }
    if (!wait_for_vote(t, q->name, error)) {
        return false;
    }
    printf("%s is a member, and votes\n", q->name);
    return true;
}

static bool run_add(const struct ctl_targets *t,
                    const struct members_options *o,
                    char **words,
                    struct cb_buf *error)
{
    struct wire_change_request q;
    return split(words[0], &q, error) && add(t, o, &q, error);
}

/* ---- remove, replace, transfer-leader ---- */

static bool
take_name(struct wire_change_request *q, uint32_t op, const char *name, struct cb_buf *error)
{
    *q = (struct wire_change_request){.op = op};
    if (strlen(name) >= sizeof(q->name)) {
        cb_buf_printf(error, "\"%s\" is no name of a member", name);
        return false;
    }
    memcpy(q->name, name, strlen(name) + 1);
    return true;
}

static bool take_out(const struct ctl_targets *t, const char *name, struct cb_buf *error)
{
    struct wire_change_request q;
    if (!take_name(&q, WIRE_CHANGE_REMOVE, name, error) || !ctl_change(t, &q, error)) {
        return false;
    }
    printf("%s is no member any more\n", name);
    return true;
}

static bool run_remove(const struct ctl_targets *t,
                       const struct members_options *o,
                       char **words,
                       struct cb_buf *error)
{
    (void)o;
    return take_out(t, words[0], error);
}

/* The new one first, so that the cluster never has fewer; but where it has the old one's name or
 * address, that one is gone already. What was done by an attempt before is done. */
static bool run_replace(const struct ctl_targets *t,
                        const struct members_options *o,
                        char **words,
                        struct cb_buf *error)
{
    struct ctl_status s;
    struct wire_change_request q;
    if (!split(words[1], &q, error) || !ctl_find_leader(t, &s, error)) {
        return false;
    }
    const struct ctl_member *old = ctl_find_member(&s, words[0]);
    bool is_in_place =
        old != NULL && (strcmp(q.name, old->name) == 0 || strcmp(q.grpc, old->grpc) == 0);
    if (is_in_place && !take_out(t, words[0], error)) {
        return false;
    }
    if (!add(t, o, &q, error)) {
        return false;
    }
    return old == NULL || is_in_place || take_out(t, words[0], error);
}

static bool run_transfer(const struct ctl_targets *t,
                         const struct members_options *o,
                         char **words,
                         struct cb_buf *error)
{
    (void)o;
    struct wire_change_request q;
    struct ctl_status s;
    if (!take_name(&q, WIRE_CHANGE_TRANSFER, words[0] != NULL ? words[0] : "", error) ||
        !ctl_change(t, &q, error) || !ctl_find_leader(t, &s, error)) {
        return false;
    }
    printf("%s leads\n", s.leader);
    return true;
}

/* ---- the command line ---- */

static int run(const struct command *c, int argc, char **argv, struct cb_buf *text)
{
    const struct cb_options spec = {
        .program = c->program,
        .summary = c->summary,
        .operands = c->operands,
        .options = options,
        .count = sizeof(options) / sizeof(options[0]),
    };
    struct members_options o = {0};
    struct ctl_targets t;
    int first = argc;
    enum cb_options_result r = cb_options_parse(&spec, argc, argv, &o, &first, text);
    if (r == CB_OPTIONS_ERROR) {
        return 2;
    }
    if (r != CB_OPTIONS_OK) {
        cb_options_help(&spec, text);
        fwrite(cb_buf_span(text).ptr, 1, cb_buf_len(text), stdout);
        cb_buf_clear(text);
        return 0;
    }
    if (argc - first < c->least || argc - first > c->most) {
        cb_buf_printf(text, "usage: %s [OPTIONS] %s", c->program,
                      c->operands != NULL ? c->operands : "");
        return 2;
    }
    int status = ctl_targets_find(&t, o.dir, o.nodes, text);
    if (status != 0) {
        return status;
    }
    return c->run(&t, &o, argv + first, text) ? 0 : 1; /* argv ends in NULL */
}

static int run_main(const struct command *c, int argc, char **argv)
{
    struct cb_buf text = CB_BUF_NULL;
    int status = run(c, argc, argv, &text);
    if (cb_buf_len(&text) > 0) {
        struct cb_span s = cb_buf_span(&text);
        fprintf(stderr, "%s: %.*s\n", c->program, (int)s.len, (const char *)s.ptr);
    }
    cb_buf_fini(&text);
    return status;
}

int ctl_members_main(int argc, char **argv)
{
    static const struct command c = {
        .program = "coolbeans members",
        .summary = "Shows who belongs to a cluster, and how many log entries each is behind.",
        .run = run_members,
    };
    return run_main(&c, argc, argv);
}

int ctl_add_main(int argc, char **argv)
{
    static const struct command c = {
        .program = "coolbeans add",
        .operands = "NAME=HOST:PORT",
        .least = 1,
        .most = 1,
        .summary =
            "Adds a node, which waits at that gRPC address since it was started with --join.\n"
            "It is sent the state, and gets a vote then; a command that was broken off can be "
            "given again.",
        .run = run_add,
    };
    return run_main(&c, argc, argv);
}

int ctl_remove_main(int argc, char **argv)
{
    static const struct command c = {
        .program = "coolbeans remove",
        .operands = "NAME",
        .least = 1,
        .most = 1,
        .summary = "Removes a member, dead or alive. Its directory can not come back.",
        .run = run_remove,
    };
    return run_main(&c, argc, argv);
}

int ctl_replace_main(int argc, char **argv)
{
    static const struct command c = {
        .program = "coolbeans replace",
        .operands = "NAME NEW=HOST:PORT",
        .least = 2,
        .most = 2,
        .summary =
            "Puts a node that was started with --join and an empty directory in a member's place.\n"
            "It may have the same name and address.",
        .run = run_replace,
    };
    return run_main(&c, argc, argv);
}

int ctl_transfer_main(int argc, char **argv)
{
    static const struct command c = {
        .program = "coolbeans transfer-leader",
        .operands = "[NAME]",
        .least = 0,
        .most = 1,
        .summary = "Hands leadership to that member, or to the one that has most of the log.",
        .run = run_transfer,
    };
    return run_main(&c, argc, argv);
}
