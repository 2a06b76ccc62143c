#include "support/jsm_script.h"

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "support/jsm_script_internal.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- words ---- */

const char *jsm_script_word(struct jsm_script *s, int i)
{
    if (i >= s->n_words) {
        fail_msg("'%s': word %d is missing", s->line, i);
    }
    return s->word[i];
}

uint64_t jsm_script_number(struct jsm_script *s, int i)
{
    char *end;
    uint64_t n = strtoull(jsm_script_word(s, i), &end, 10);
    if (*end != '\0') {
        fail_msg("'%s': '%s' is not a number", s->line, s->word[i]);
    }
    return n;
}

uint64_t jsm_script_seconds(const char *text)
{
    char *end;
    uint64_t ns = strtoull(text, &end, 10) * CB_NS_PER_S;
    if (*end == '.') {
        uint64_t unit = CB_NS_PER_S / 10;
        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10) {
            ns += (uint64_t)(*end - '0') * unit;
        }
    }
    return ns;
}

struct who jsm_script_who(struct jsm_script *s, const char *text)
{
    struct who w = {text[0] - 'c', strtoull(text + 1, NULL, 10)};
    if (w.proxy < 0 || w.proxy >= PROXIES || w.conn == 0 || w.conn >= CONNS) {
        fail_msg("'%s': '%s' is no connection", s->line, text);
    }
    return w;
}

static int proxy_index(struct jsm_script *s, const char *text)
{
    int i = text[0] == 'p' ? text[1] - '1' : -1;
    if (i < 0 || i >= PROXIES) {
        fail_msg("'%s': '%s' is no proxy", s->line, text);
    }
    return i;
}

/* ---- entries ---- */

void jsm_script_apply(struct jsm_script *s, const struct jsm_item *items, uint32_t n)
{
    struct jsm_entry e = {.stamp_ns = s->now, .items = items, .n_items = n};
    jsm_apply(s->machine, ++s->index, &e);
    if (!s->reload) {
        return;
    }
    jsm_store_drain(&s->store, s->machine);
    uint64_t log = jsm_log_digest(s->machine), state = jsm_state_digest(s->machine);
    jsm_destroy(s->machine);
    s->machine = jsm_store_load(&s->store);
    assert_non_null(s->machine);
    if (s->steps != 0) {
        jsm_set_steps(s->machine, s->steps);
    }
    assert_true(jsm_log_digest(s->machine) == log);
    assert_true(jsm_state_digest(s->machine) == state);
}

static void one_item(struct jsm_script *s, struct jsm_item it)
{
    jsm_script_apply(s, &it, 1);
}

static void
open_proxy(struct jsm_script *s, int proxy, struct jsm_incarnation inc, const char *address)
{
    char name[16];
    (void)snprintf(name, sizeof name, "p%d", proxy + 1);
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_OPEN,
                                  .name = cb_span_str(name),
                                  .address = cb_span_str(address),
                                  .incarnation = inc});
    const struct jsm_session *js = jsm_session_find(s->machine, cb_span_str(name));
    uint64_t id = js == NULL ? 0 : jsm_session_id(js);
    if (id != s->session[proxy]) {
        memset(s->opened[proxy], 0, sizeof s->opened[proxy]);
        memset(s->seen[proxy], 0, sizeof s->seen[proxy]);
    }
    s->session[proxy] = id;
}

static struct jsm_session *session_of(struct jsm_script *s, struct who w)
{
    struct jsm_session *js = jsm_session_get(s->machine, s->session[w.proxy]);
    if (js == NULL) {
        fail_msg("'%s': its proxy has no session", s->line);
    }
    return js;
}

static void request(struct jsm_script *s, struct who w, struct jsm_command q)
{
    q.conn = w.conn;
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_REQUEST,
                                  .session = s->session[w.proxy],
                                  .number = jsm_session_last_request(session_of(s, w)) + 1,
                                  .command = q});
}

static void open_conn(struct jsm_script *s, struct who w)
{
    if (s->session[w.proxy] == 0) {
        open_proxy(s, w.proxy, (struct jsm_incarnation){1, 0}, "");
    }
    if (!s->opened[w.proxy][w.conn]) {
        s->opened[w.proxy][w.conn] = true;
        request(s, w, (struct jsm_command){.op = JSM_OP_CONN_OPEN});
    }
}

/* ---- commands ---- */

/* What follows the name: i id, p pri, d delay, t ttr, c count, n tube name, b body. */
static const struct {
    const char *name;
    enum jsm_op op;
    const char *fields;
} commands[] = {
    {"open", JSM_OP_CONN_OPEN, ""},
    {"half-close", JSM_OP_CONN_HALF_CLOSE, ""},
    {"close", JSM_OP_CONN_CLOSE, ""},
    {"put", JSM_OP_PUT, "pdtb"},
    {"put-aged", JSM_OP_PUT, "apdtb"},
    {"put-rejected", JSM_OP_PUT_REJECTED, ""},
    {"use", JSM_OP_USE, "n"},
    {"watch", JSM_OP_WATCH, "n"},
    {"ignore", JSM_OP_IGNORE, "n"},
    {"reserve", JSM_OP_RESERVE, ""},
    {"reserve-with-timeout", JSM_OP_RESERVE_WITH_TIMEOUT, "c"},
    {"reserve-job", JSM_OP_RESERVE_JOB, "i"},
    {"delete", JSM_OP_DELETE, "i"},
    {"release", JSM_OP_RELEASE, "ipd"},
    {"bury", JSM_OP_BURY, "ip"},
    {"touch", JSM_OP_TOUCH, "i"},
    {"kick", JSM_OP_KICK, "c"},
    {"kick-job", JSM_OP_KICK_JOB, "i"},
    {"pause-tube", JSM_OP_PAUSE_TUBE, "nd"},
};

static void set_field(struct jsm_script *s, struct jsm_command *q, char field, int i)
{
    switch (field) {
    case 'i':
        q->id = jsm_script_number(s, i);
        break;
    case 'p':
        q->pri = (uint32_t)jsm_script_number(s, i);
        break;
    case 'd':
        q->delay = (uint32_t)jsm_script_number(s, i);
        break;
    case 't':
        q->ttr = (uint32_t)jsm_script_number(s, i);
        break;
    case 'c':
        q->count = (uint32_t)jsm_script_number(s, i);
        break;
    case 'a':
        q->age_ns = jsm_script_seconds(jsm_script_word(s, i));
        break;
    case 'n':
        q->tube = cb_span_str(jsm_script_word(s, i));
        break;
    default:
        q->body = i < s->n_words ? cb_span_str(s->word[i]) : CB_SPAN_NULL;
    }
}

static struct jsm_command parse_command(struct jsm_script *s)
{
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        if (strcmp(jsm_script_word(s, 1), commands[k].name) == 0) {
            struct jsm_command q = {.op = commands[k].op};
            for (int i = 0; commands[k].fields[i] != '\0'; i++) {
                set_field(s, &q, commands[k].fields[i], 2 + i);
            }
            return q;
        }
    }
    fail_msg("'%s': unknown command", s->line);
    return (struct jsm_command){.op = JSM_OP_END};
}

/* ---- answers ---- */

static const char *const outcome_names[JSM_OUTCOME_END] = {
#define X(sym, num) [num] = #sym,
#include "common/base/cb_outcome.def"
#undef X
};

static void next_answer(struct jsm_script *s, struct who w, char *out, size_t size)
{
    const struct jsm_session *js = session_of(s, w);
    uint64_t *seen = &s->seen[w.proxy][w.conn];
    struct jsm_result r;
    for (uint64_t n = *seen + 1; n <= jsm_session_last_result(js); n++) {
        if (!jsm_session_result(js, n, &r) || r.conn != w.conn) {
            continue;
        }
        *seen = n;
        const char *name = outcome_names[r.outcome];
        if (r.outcome == JSM_RESERVED) {
            (void)snprintf(out, size, "%s %" PRIu64 "%s%.*s", name, r.id, r.body.len > 0 ? " " : "",
                           (int)r.body.len, (const char *)r.body.ptr);
        } else if (r.outcome == JSM_INSERTED) {
            (void)snprintf(out, size, "%s %" PRIu64, name, r.id);
        } else if (r.outcome == JSM_WATCHING || r.outcome == JSM_KICKED) {
            (void)snprintf(out, size, "%s %u", name, r.count);
        } else {
            (void)snprintf(out, size, "%s", name);
        }
        return;
    }
    (void)snprintf(out, size, "-");
}

static void expect_answer(struct jsm_script *s, struct who w, const char *expected)
{
    char got[LINE];
    next_answer(s, w, got, sizeof got);
    if (strcmp(got, expected) != 0) {
        fail_msg("'%s': expected '%s', got '%s'%s", s->line, expected, got,
                 s->reload ? " (with reloads)" : "");
    }
}

static void run_request(struct jsm_script *s, const char *expected)
{
    struct who w = jsm_script_who(s, s->word[0]);
    struct jsm_command q = parse_command(s);
    open_conn(s, w);
    s->seen[w.proxy][w.conn] = jsm_session_last_result(session_of(s, w));
    if (q.op != JSM_OP_CONN_OPEN) {
        request(s, w, q);
    }
    if (expected != NULL) {
        expect_answer(s, w, expected);
    }
}

/* ---- what proxies and leaders do ---- */

static void run_open(struct jsm_script *s)
{
    char *dot;
    int proxy = proxy_index(s, jsm_script_word(s, 1));
    struct jsm_incarnation inc = {.started_ns = strtoull(jsm_script_word(s, 2), &dot, 10)};
    inc.random = *dot == '.' ? strtoull(dot + 1, NULL, 10) : 0;
    open_proxy(s, proxy, inc, s->n_words > 3 ? s->word[3] : "");
}

static void run_expire(struct jsm_script *s)
{
    int proxy = proxy_index(s, jsm_script_word(s, 1));
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_EXPIRE, .session = s->session[proxy]});
    s->session[proxy] = 0;
    memset(s->opened[proxy], 0, sizeof s->opened[proxy]);
    memset(s->seen[proxy], 0, sizeof s->seen[proxy]);
}

static void run_attached(struct jsm_script *s)
{
    uint64_t id = s->session[proxy_index(s, jsm_script_word(s, 1))];
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_ATTACHED, .session = id});
}

static void run_resume(struct jsm_script *s)
{
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_RESUME});
}

static void run_ack(struct jsm_script *s)
{
    uint64_t id = s->session[proxy_index(s, jsm_script_word(s, 1))];
    one_item(s, (struct jsm_item){
                    .kind = JSM_ITEM_ACK, .session = id, .number = jsm_script_number(s, 2)});
}

static void run_count(struct jsm_script *s)
{
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_COUNTS,
                                  .counter = (enum jsm_counter)jsm_script_number(s, 1),
                                  .number = jsm_script_number(s, 2)});
}

static void run_limits(struct jsm_script *s)
{
    const struct jsm_limits limits = {jsm_script_number(s, 1), jsm_script_number(s, 2)};
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_LIMITS, .limits = limits});
}

static void run_space(struct jsm_script *s)
{
    bool is_short = strcmp(jsm_script_word(s, 1), "short") == 0;
    one_item(s, (struct jsm_item){.kind = JSM_ITEM_SPACE, .number = is_short});
}

static void run_steps(struct jsm_script *s)
{
    s->steps = (uint32_t)jsm_script_number(s, 1);
    jsm_set_steps(s->machine, s->steps);
}

static void run_tick(struct jsm_script *s)
{
    jsm_script_apply(s, NULL, 0);
}

static const struct {
    const char *name;
    void (*run)(struct jsm_script *s);
} actions[] = {
    {"open", run_open},     {"expire", run_expire}, {"attached", run_attached},
    {"resume", run_resume}, {"ack", run_ack},       {"count", run_count},
    {"tick", run_tick},     {"limits", run_limits}, {"space", run_space},
    {"steps", run_steps},
};

/* ---- running ---- */

static void split(struct jsm_script *s, char *text)
{
    char *save = NULL;
    s->n_words = 0;
    for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        assert_true(s->n_words < WORDS);
        s->word[s->n_words++] = w;
    }
}

static void run_statement(struct jsm_script *s, char *text)
{
    (void)snprintf(s->line, sizeof s->line, "%s", text);
    char *arrow = strstr(text, " => ");
    char *answer = strstr(text, "< ");
    if (arrow != NULL) {
        *arrow = '\0';
    }
    if (answer != NULL) {
        *answer = '\0';
        expect_answer(s, jsm_script_who(s, text), answer + 2);
        return;
    }
    split(s, text);
    if (s->n_words == 0) {
        return;
    }
    size_t first = strlen(s->word[0]);
    if (s->word[0][first - 1] == '>') {
        s->word[0][first - 1] = '\0';
        run_request(s, arrow == NULL ? NULL : arrow + 4);
        return;
    }
    if (s->word[0][0] == '+') {
        s->now += jsm_script_seconds(s->word[0] + 1);
        run_tick(s);
        return;
    }
    for (size_t k = 0; k < sizeof actions / sizeof *actions; k++) {
        if (strcmp(actions[k].name, s->word[0]) == 0) {
            actions[k].run(s);
            return;
        }
    }
    if (!jsm_script_read(s)) {
        fail_msg("'%s': unknown statement", s->line);
    }
}

void jsm_script_run(struct jsm_script *s, const char *text)
{
    char *copy = cb_strdup(text);
    char *at = copy;
    while (at != NULL) {
        at += strspn(at, " \n");
        char *end = at + strcspn(at, ";\n");
        char *next = *end == '\0' ? NULL : end + 1;
        *end = '\0';
        run_statement(s, at);
        at = next;
    }
    cb_free(copy);
}

struct jsm_script *jsm_script_create(bool reload)
{
    struct jsm_script *s = cb_calloc(1, sizeof *s);
    s->machine = jsm_create();
    s->reload = reload;
    s->now = 1000 * CB_NS_PER_S;
    return s;
}

struct jsm *jsm_script_machine(struct jsm_script *s)
{
    return s->machine;
}

uint64_t jsm_script_session(const struct jsm_script *s, int proxy)
{
    return s->session[proxy - 1];
}

void jsm_script_destroy(struct jsm_script *s)
{
    jsm_destroy(s->machine);
    jsm_store_fini(&s->store);
    cb_free(s);
}

void jsm_script(const char *text)
{
    for (int reload = 0; reload <= 1; reload++) {
        struct jsm_script *s = jsm_script_create(reload == 1);
        jsm_script_run(s, text);
        jsm_script_destroy(s);
    }
}
