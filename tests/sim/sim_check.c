/* What must never be, as far as one look at the nodes tells it: two leaders in a term, two votes of
 * a node in a term, a commit that goes back. And at the end: that all is one again, and that what
 * clients saw is what a work queue does. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/cb_mem.h"
#include "history/history_check.h"
#include "history/history_file.h"
#include "sim/sim.h"

#define TOLD_MAX 700 /* bytes of a history's violations, without -v */

#define SNAPSHOTS_PER_MOMENT 16 /* they come often */

struct sim_check {
    uint64_t *leader_of; /* by term: node id */
    size_t n_terms;
    struct {
        uint64_t term, candidate;
    } votes[SIM_NODES_MAX + 1];
};

static void on_vote(void *ctx, raft_id voter, raft_term term, raft_id candidate)
{
    struct sim *s = ctx;
    uint64_t *seen = &s->check->votes[voter].term;
    uint64_t *whom = &s->check->votes[voter].candidate;
    if (candidate == 0) {
        /* A new term, nobody yet; or what was on disk of this term is no more, and a crash now
         * would make room for another vote. */
        if (term == *seen) {
            sim_fail(s, "vote", "node %llu erases its vote of term %llu", voter, term);
        }
        return;
    }
    if (term < *seen || (term == *seen && candidate != *whom)) {
        sim_fail(s, "vote", "node %llu votes for %llu in term %llu, after %" PRIu64 " in %" PRIu64,
                 voter, candidate, term, *whom, *seen);
    }
    if (term > *seen && voter != candidate) {
        sim_faults_voted(s, voter, candidate);
        sim_faults_halfway(&s->nodes[voter]);
    }
    *seen = term;
    *whom = candidate;
}

static const char *const message_names[] = {
    [RAFT_APPEND_ENTRIES] = "AppendEntries",     [RAFT_APPEND_ENTRIES_RESULT] = "appended",
    [RAFT_REQUEST_VOTE] = "RequestVote",         [RAFT_REQUEST_VOTE_RESULT] = "vote",
    [RAFT_INSTALL_SNAPSHOT] = "InstallSnapshot", [RAFT_TIMEOUT_NOW] = "TimeoutNow",
};

/* What a node confirms to the leader of its term it has on disk, as that leader has it; one that is
 * in a later term by now does not listen. */
static void check_confirmed(struct sim *s, uint64_t from, const struct raft_message *m)
{
    const struct raft_append_entries_result *a = &m->append_entries_result;
    const struct sim_check *c = s->check;
    const struct fake_disk *theirs = &s->nodes[m->server_id].fake->disk;
    const struct fake_disk *ours = &s->nodes[from].fake->disk;
    uint64_t index = a->last_log_index;
    if (a->rejected > 0 || a->term >= c->n_terms || c->leader_of[a->term] != m->server_id ||
        theirs->term > a->term) {
        return;
    }
    s->counters.acks_compared++;
    bool is_theirs = index > theirs->snapshot_index && index >= theirs->first &&
                     index < theirs->first + theirs->count;
    if (index > fake_disk_last(ours) ||
        (is_theirs && !fake_disk_has(ours, index, theirs->entries[index - theirs->first].term))) {
        sim_fail(s, "P16",
                 "node %" PRIu64 " confirms entry %" PRIu64 " to node %llu, the leader of term "
                 "%llu, but does not have it on disk",
                 from, index, m->server_id, a->term);
    }
}

static void on_send(void *ctx, raft_id from, const struct raft_message *m)
{
    struct sim *s = ctx;
    sim_note(s, from * 64 + m->server_id, m->type);
    if (m->type == RAFT_INSTALL_SNAPSHOT) {
        sim_faults_state_sent(s);
    } else if (m->type == RAFT_TIMEOUT_NOW) {
        sim_faults_handed_over(&s->nodes[from]);
    } else if (m->type == RAFT_APPEND_ENTRIES) {
        sim_faults_entries_sent(&s->nodes[from], m);
    } else if (m->type == RAFT_APPEND_ENTRIES_RESULT) {
        check_confirmed(s, from, m);
    }
    sim_say(s, "n%llu to n%llu: %s", from, m->server_id, message_names[m->type]);
}

static bool has_entry(const struct sim_node *n, uint64_t index, uint64_t term)
{
    struct fake_disk d = n->fake->disk;
    d.count += n->rot_hidden; /* they are there, if unreadable for a while */
    return fake_disk_has(&d, index, term);
}

static bool is_durable(void *data, uint64_t index, uint64_t term, unsigned *on, unsigned *of)
{
    struct sim *s = data;
    if (s->options.nodes > s->options.first) {
        return sim_members_majority(s, has_entry, index, term, on, of);
    }
    *of = s->options.nodes;
    *on = 0;
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        *on += has_entry(&s->nodes[id], index, term);
    }
    return *on > *of / 2;
}

/* A client that believes to hold a job would be wrong from here on: its proxy must have closed its
 * connection before (design D3). One that stands still will, before it does anything else. A client
 * that has not been told of its job yet will not be. */
static void given_away(void *data, uint64_t session, uint64_t conn, uint64_t job)
{
    struct sim *s = data;
    uint64_t instance = sim_answers_instance(s->answers, session);
    for (uint32_t i = 0; i < s->options.proxies; i++) {
        const struct sim_proxy *p = &s->proxies[i];
        bool acts = p->engine != NULL && p->process.paused_until_ns + CB_NS_PER_MS < sim_now(s);
        if (p->instance == instance && acts && sim_conn_holds(p, conn, job)) {
            sim_fail(s, "D3",
                     "session %" PRIu64 " ends and job %" PRIu64 " with it, but connection %" PRIu64
                     " of %s, which knows that it holds it, is open",
                     session, job, conn, p->name);
        }
    }
    s->counters.ends_compared++;
}

static _Noreturn void on_violation(void *data, const char *property, const char *sentence)
{
    sim_fail(data, property, "%s", sentence);
}

void sim_check_start(struct sim *s)
{
    const struct sim_oracle_env env = {
        .data = s,
        .steps = s->options.steps,
        .fail = on_violation,
        .is_durable = is_durable,
        .on_result = sim_answers_result,
        .on_given_away = given_away,
    };
    s->answers = sim_answers_create();
    s->check = cb_calloc(1, sizeof *s->check);
    s->oracle = sim_oracle_create(&env);
    fake_world_on_vote(s->world, on_vote, s);
    fake_world_on_send(s->world, on_send, s);
}

static void note_leader(struct sim *s, uint64_t term, uint64_t id)
{
    struct sim_check *c = s->check;
    if (term >= c->n_terms) {
        size_t n = (size_t)term * 2 + 16;
        c->leader_of = cb_realloc(c->leader_of, n * sizeof c->leader_of[0]);
        memset(c->leader_of + c->n_terms, 0, (n - c->n_terms) * sizeof c->leader_of[0]);
        c->n_terms = n;
    }
    if (c->leader_of[term] != 0 && c->leader_of[term] != id) {
        sim_fail(s, "election safety", "nodes %" PRIu64 " and %" PRIu64 " both lead term %" PRIu64,
                 c->leader_of[term], id, term);
    }
    c->leader_of[term] = id;
}

/* What takes several steps has just begun or gone on. */
static void look_for_moments(struct sim_node *n, const struct replica_counters *c)
{
    uint64_t steps = c->truncates_held + c->installs + c->installs_sent +
                     (c->snapshots + c->puts_held_for_store) / SNAPSHOTS_PER_MOMENT;
    if (steps > n->steps) {
        sim_faults_halfway(n);
    }
    n->steps = steps;
}

void sim_check_node(struct sim_node *n)
{
    struct sim *s = n->sim;
    const struct replica_view *v = core_view(n->core);
    struct replica_status status;
    replica_status(n->replica, &status);
    if (status.commit_index < n->commit_index) {
        sim_fail(s, "commit",
                 "node %" PRIu64 " goes from commit index %" PRIu64 " back to %" PRIu64, n->id,
                 n->commit_index, status.commit_index);
    }
    n->commit_index = status.commit_index;
    look_for_moments(n, &status.counters);
    if (v->term == n->view.term && v->role == n->view.role) {
        return;
    }
    sim_note(s, n->id, v->term * 4 + v->role);
    if (v->term < n->view.term) {
        sim_fail(s, "term", "node %" PRIu64 " goes from term %" PRIu64 " back to %" PRIu64, n->id,
                 n->view.term, v->term);
    }
    if (v->role != REPLICA_FOLLOWER) {
        sim_faults_moment(s);
    }
    if (v->role == REPLICA_LEADER) {
        s->counters.elections++;
        sim_trace(s, "n%u leads term %" PRIu64, (unsigned)n->id, v->term);
        note_leader(s, v->term, n->id);
    }
    n->view = *v;
}

bool sim_has_converged(struct sim *s)
{
    if (sim_leader(s) == NULL || !sim_members_are_whole(s)) {
        return false;
    }
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        const struct sim_node *n = &s->nodes[id];
        if (n->stays_down || !sim_is_member(s, id)) {
            continue;
        }
        if (!n->is_started || core_applied(n->core)->index != sim_oracle_index(s->oracle)) {
            return false;
        }
    }
    return true;
}

static void keep_history(const struct sim *s)
{
    FILE *f = fopen(s->history_file, "w");
    if (f == NULL || !history_file_write(s->history, f) || fclose(f) != 0) {
        cb_die("cannot write the history to %s", s->history_file);
    }
}

static void check_history(struct sim *s)
{
    if (s->history_file != NULL) {
        keep_history(s);
    }
    /* Seconds a client may have to wait: while faults last there is no bound but their end. */
    struct hist_check_options options = {
        .is_drained = true,
        .clock_error_ns = sim_has(s, SIM_FAULT_CLOCK) ? 8 * CB_NS_PER_S : 2 * CB_NS_PER_S,
        .closes_allowed = UINT64_MAX,
        /* A proxy that stands still cannot close what it has to close. */
        .close_notice_ns = sim_has(s, SIM_FAULT_PAUSE) ? 0 : CB_NS_PER_S,
    };
    if (s->options.faults == 0) {
        options = (struct hist_check_options){
            .is_drained = true,
            .clock_error_ns = 100 * CB_NS_PER_MS,
            .stall_max_ns = 2 * CB_NS_PER_S, /* the first election is within */
            .late_max_ns = CB_NS_PER_S,
            .close_notice_ns = CB_NS_PER_S,
            .forgotten_ns = 22 * CB_NS_PER_S, /* one that waits to be let go of waits 20 */
        };
    }
    options.clock_error_ns += s->clock_ahead_ns;
    struct hist_verdict verdict;
    struct cb_buf text = CB_BUF_NULL;
    if (!history_check(s->history, &options, &verdict, &text)) {
        sim_fail(s, "history", "%.*s", (int)cb_buf_len(&text),
                 (const char *)cb_buf_span(&text).ptr);
    }
    for (int p = 0; p < HIST_PROPERTY_COUNT; p++) {
        s->judged[p] += verdict.judged[p];
    }
    cb_buf_fini(&text);
}

static void count_commands(struct sim *s)
{
    for (size_t i = 0; i < history_count(s->history); i++) {
        const struct hist_record *r = history_at(s->history, i);
        bool is_command = r->op != HIST_CONNECT && r->op != HIST_CLOSE;
        s->counters.commands += is_command;
        s->counters.answers += is_command && r->complete_ns != HIST_NEVER;
    }
}

void sim_check_end(struct sim *s)
{
    for (uint32_t id = 1; id <= s->options.nodes; id++) {
        if (sim_is_member(s, id)) {
            sim_oracle_compare(s->oracle, id, core_machine(s->nodes[id].core));
        }
    }
    sim_space_end(s);
    sim_answers_check(s);
    check_history(s);
    count_commands(s);
    s->counters.clocks_late_ms +=
        s->stamped_ns > s->stamp_ns ? (s->stamped_ns - s->stamp_ns) / CB_NS_PER_MS : 0;
}
