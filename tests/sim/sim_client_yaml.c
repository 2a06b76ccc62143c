/* The bodies of stats and lists: every key there is, in beanstalkd's order, each with a value of
 * its kind. Times and counts are anybody's; what a checker wants goes into the record. */
#include "sim/sim_client_internal.h"

#define VALUES_MAX 64

enum value {
    VALUE_COUNT, /* digits */
    VALUE_LEFT,  /* digits; upstream says less than nothing when a ttr ran out unnoticed */
    VALUE_TIME,  /* seconds with six places */
    VALUE_TEXT,  /* anything on one line, quoted or not */
    VALUE_TRUTH, /* true or false */
    VALUE_STATE, /* of a job */
};

struct key {
    const char *key;
    enum value value;
};

struct values {
    uint64_t number[VALUES_MAX];     /* COUNT; STATE: the enum hist_state */
    struct cb_span text[VALUES_MAX]; /* without its quotes */
};

static const struct key stats_keys[] = {
    {"current-jobs-urgent", VALUE_COUNT},
    {"current-jobs-ready", VALUE_COUNT},
    {"current-jobs-reserved", VALUE_COUNT},
    {"current-jobs-delayed", VALUE_COUNT},
    {"current-jobs-buried", VALUE_COUNT},
    {"cmd-put", VALUE_COUNT},
    {"cmd-peek", VALUE_COUNT},
    {"cmd-peek-ready", VALUE_COUNT},
    {"cmd-peek-delayed", VALUE_COUNT},
    {"cmd-peek-buried", VALUE_COUNT},
    {"cmd-reserve", VALUE_COUNT},
    {"cmd-reserve-with-timeout", VALUE_COUNT},
    {"cmd-delete", VALUE_COUNT},
    {"cmd-release", VALUE_COUNT},
    {"cmd-use", VALUE_COUNT},
    {"cmd-watch", VALUE_COUNT},
    {"cmd-ignore", VALUE_COUNT},
    {"cmd-bury", VALUE_COUNT},
    {"cmd-kick", VALUE_COUNT},
    {"cmd-touch", VALUE_COUNT},
    {"cmd-stats", VALUE_COUNT},
    {"cmd-stats-job", VALUE_COUNT},
    {"cmd-stats-tube", VALUE_COUNT},
    {"cmd-list-tubes", VALUE_COUNT},
    {"cmd-list-tube-used", VALUE_COUNT},
    {"cmd-list-tubes-watched", VALUE_COUNT},
    {"cmd-pause-tube", VALUE_COUNT},
    {"job-timeouts", VALUE_COUNT},
    {"total-jobs", VALUE_COUNT},
    {"max-job-size", VALUE_COUNT},
    {"current-tubes", VALUE_COUNT},
    {"current-connections", VALUE_COUNT},
    {"current-producers", VALUE_COUNT},
    {"current-workers", VALUE_COUNT},
    {"current-waiting", VALUE_COUNT},
    {"total-connections", VALUE_COUNT},
    {"pid", VALUE_COUNT},
    {"version", VALUE_TEXT},
    {"rusage-utime", VALUE_TIME},
    {"rusage-stime", VALUE_TIME},
    {"uptime", VALUE_COUNT},
    {"binlog-oldest-index", VALUE_COUNT},
    {"binlog-current-index", VALUE_COUNT},
    {"binlog-records-migrated", VALUE_COUNT},
    {"binlog-records-written", VALUE_COUNT},
    {"binlog-max-size", VALUE_COUNT},
    {"draining", VALUE_TRUTH},
    {"id", VALUE_TEXT},
    {"hostname", VALUE_TEXT},
    {"os", VALUE_TEXT},
    {"platform", VALUE_TEXT},
    {NULL, VALUE_COUNT},
};

static const struct key stats_tube_keys[] = {
    {"name", VALUE_TEXT},
    {"current-jobs-urgent", VALUE_COUNT},
    {"current-jobs-ready", VALUE_COUNT},
    {"current-jobs-reserved", VALUE_COUNT},
    {"current-jobs-delayed", VALUE_COUNT},
    {"current-jobs-buried", VALUE_COUNT},
    {"total-jobs", VALUE_COUNT},
    {"current-using", VALUE_COUNT},
    {"current-watching", VALUE_COUNT},
    {"current-waiting", VALUE_COUNT},
    {"cmd-delete", VALUE_COUNT},
    {"cmd-pause-tube", VALUE_COUNT},
    {"pause", VALUE_COUNT},
    {"pause-time-left", VALUE_COUNT},
    {NULL, VALUE_COUNT},
};

static const struct key stats_job_keys[] = {
    {"id", VALUE_COUNT},       {"tube", VALUE_TEXT},      {"state", VALUE_STATE},
    {"pri", VALUE_COUNT},      {"age", VALUE_COUNT},      {"delay", VALUE_COUNT},
    {"ttr", VALUE_COUNT},      {"time-left", VALUE_LEFT}, {"file", VALUE_COUNT},
    {"reserves", VALUE_COUNT}, {"timeouts", VALUE_COUNT}, {"releases", VALUE_COUNT},
    {"buries", VALUE_COUNT},   {"kicks", VALUE_COUNT},    {NULL, VALUE_COUNT},
};

/* Places in the above. */
enum { STATS_URGENT = 0, STATS_CONNECTIONS = 31, TUBE_NAME = 0, TUBE_URGENT = 1, TUBE_TOTAL = 6 };
enum { JOB_ID = 0, JOB_TUBE = 1, JOB_STATE = 2, JOB_TTR = 6 };

/* ---- values ---- */

static bool digits(struct cb_span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
    }
    return s.len > 0;
}

static bool count(struct cb_span s, uint64_t *number)
{
    if (!digits(s) || s.len > 20 || (s.len > 1 && s.ptr[0] == '0')) {
        return false;
    }
    *number = 0;
    for (size_t i = 0; i < s.len; i++) {
        *number = *number * 10 + (uint64_t)(s.ptr[i] - '0');
    }
    return true;
}

static bool is_time(struct cb_span s)
{
    return s.len > 7 && s.ptr[s.len - 7] == '.' && digits(cb_span(s.ptr, s.len - 7)) &&
           digits(cb_span(s.ptr + s.len - 6, 6));
}

static enum hist_state state_of(struct cb_span s)
{
    static const char *const names[HIST_STATE_END] = {[HIST_STATE_NONE] = "",
                                                      [HIST_READY] = "ready",
                                                      [HIST_RESERVED] = "reserved",
                                                      [HIST_DELAYED] = "delayed",
                                                      [HIST_BURIED] = "buried"};
    for (int i = HIST_READY; i < HIST_STATE_END; i++) {
        if (cb_span_eq(s, cb_span_str(names[i]))) {
            return (enum hist_state)i;
        }
    }
    return HIST_STATE_NONE;
}

static bool read_value(struct cb_span s, enum value kind, uint64_t *number, struct cb_span *text)
{
    switch (kind) {
    case VALUE_COUNT:
        return count(s, number);
    case VALUE_LEFT:
        if (s.len > 1 && s.ptr[0] == '-') {
            s = cb_span(s.ptr + 1, s.len - 1);
        }
        return count(s, number);
    case VALUE_TIME:
        return is_time(s);
    case VALUE_TEXT:
        if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"') {
            s = cb_span(s.ptr + 1, s.len - 2);
        }
        *text = s;
        return s.len > 0;
    case VALUE_TRUTH:
        return cb_span_eq(s, cb_span_str("true")) || cb_span_eq(s, cb_span_str("false"));
    case VALUE_STATE:
        *number = state_of(s);
        return *number != HIST_STATE_NONE;
    }
    return false;
}

/* ---- lines ---- */

/* Without its LF. False: there is none, or no LF. */
static bool next_line(struct cb_span *yaml, struct cb_span *line)
{
    const uint8_t *lf = yaml->len == 0 ? NULL : memchr(yaml->ptr, '\n', yaml->len);
    if (lf == NULL) {
        return false;
    }
    *line = cb_span(yaml->ptr, (size_t)(lf - yaml->ptr));
    *yaml = cb_span(lf + 1, yaml->len - line->len - 1);
    return true;
}

static bool starts_with(struct cb_span s, const char *text, struct cb_span *rest)
{
    size_t len = strlen(text);
    if (s.len < len || memcmp(s.ptr, text, len) != 0) {
        return false;
    }
    *rest = cb_span(s.ptr + len, s.len - len);
    return true;
}

static const char *read_keys(struct cb_span yaml, const struct key *keys, struct values *v)
{
    struct cb_span rest;
    if (!starts_with(yaml, "---\n", &rest)) {
        return "it does not begin with ---";
    }
    for (unsigned i = 0; keys[i].key != NULL; i++) {
        struct cb_span line;
        struct cb_span value;
        if (!next_line(&rest, &line) || !starts_with(line, keys[i].key, &value) ||
            !starts_with(value, ": ", &value)) {
            return keys[i].key;
        }
        if (!read_value(value, keys[i].value, &v->number[i], &v->text[i])) {
            return keys[i].key;
        }
    }
    return rest.len == 0 ? NULL : "it has more keys";
}

/* Those behind `urgent`: ready, reserved, delayed, buried. */
static void count_jobs(const struct values *v, unsigned urgent, struct hist_record *record)
{
    record->jobs = v->number[urgent + 1] + v->number[urgent + 2] + v->number[urgent + 3] +
                   v->number[urgent + 4];
    record->has_jobs = true;
}

const char *sc_yaml_stats(struct cb_span yaml, struct hist_record *record)
{
    struct values v;
    const char *wrong = read_keys(yaml, stats_keys, &v);
    if (wrong != NULL) {
        return wrong;
    }
    count_jobs(&v, STATS_URGENT, record);
    if (v.number[STATS_URGENT] > v.number[STATS_URGENT + 1]) {
        return "more urgent jobs than ready ones";
    }
    return v.number[STATS_CONNECTIONS] > 0 ? NULL : "no connection, but one asks";
}

const char *sc_yaml_stats_tube(struct cb_span yaml, const char *name, struct hist_record *record)
{
    struct values v;
    const char *wrong = read_keys(yaml, stats_tube_keys, &v);
    if (wrong != NULL) {
        return wrong;
    }
    count_jobs(&v, TUBE_URGENT, record);
    if (v.number[TUBE_URGENT] > v.number[TUBE_URGENT + 1]) {
        return "more urgent jobs than ready ones";
    }
    if (record->jobs > v.number[TUBE_TOTAL]) {
        return "more jobs than were put";
    }
    return cb_span_eq(v.text[TUBE_NAME], cb_span_str(name)) ? NULL : "another tube";
}

const char *sc_yaml_stats_job(struct cb_span yaml,
                              const struct sim_client_shared *s,
                              struct hist_record *record)
{
    struct values v;
    const char *wrong = read_keys(yaml, stats_job_keys, &v);
    if (wrong != NULL) {
        return wrong;
    }
    uint16_t tube = sc_tube_find(s, v.text[JOB_TUBE]);
    if (tube == SC_TUBES_MAX || !s->tube_named[tube]) {
        return "a tube that nobody named";
    }
    if (v.number[JOB_ID] != record->id || v.number[JOB_TTR] == 0) {
        return "another id, or no ttr";
    }
    record->state = (enum hist_state)v.number[JOB_STATE];
    return NULL;
}

const char *sc_yaml_list(struct cb_span yaml,
                         void *data,
                         const char *(*each)(void *data, uint32_t i, struct cb_span name))
{
    struct cb_span rest;
    if (!starts_with(yaml, "---\n", &rest)) {
        return "it does not begin with ---";
    }
    const char *wrong = NULL;
    for (uint32_t i = 0; wrong == NULL && rest.len > 0; i++) {
        struct cb_span line;
        struct cb_span name;
        if (!next_line(&rest, &line) || !starts_with(line, "- ", &name)) {
            return "a line that is no item of a list";
        }
        wrong = each(data, i, name);
    }
    return wrong;
}
