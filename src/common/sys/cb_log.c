#include "common/sys/cb_log.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_hash.h"
#include "common/base/cb_limits.h"

struct event_slot {
    const char *event; /* NULL: free */
    uint64_t window_start_ns;
    uint64_t lines;
    uint64_t suppressed;
};

static struct {
    pthread_mutex_t lock;
    pthread_once_t once;
    struct cb_log_config config;
    atomic_int level;
    struct event_slot slots[CB_LOG_EVENTS_MAX];
} state = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .once = PTHREAD_ONCE_INIT,
    .level = CB_LOG_INFO,
};

static const struct {
    const char *name;
    char syslog; /* sd-daemon(3): the priority within <> */
} levels[] = {
    [CB_LOG_ERROR] = {"error", '3'},
    [CB_LOG_WARN] = {"warn", '4'},
    [CB_LOG_INFO] = {"info", '6'},
    [CB_LOG_DEBUG] = {"debug", '7'},
};

/* systemd.exec(5): JOURNAL_STREAM names the device and inode of the journal's stream; stderr may
 * have been redirected since. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    uint64_t dev;
    uint64_t ino;
    if (stream == NULL || sscanf(stream, "%" SCNu64 ":%" SCNu64, &dev, &ino) != 2 ||
        fstat(STDERR_FILENO, &st) != 0) {
        return false;
    }
    return dev == (uint64_t)st.st_dev && ino == (uint64_t)st.st_ino;
}

static void sink_stderr(void *ctx, const char *line, size_t len)
{
    (void)ctx;
    /* A log that cannot be written has nowhere to say so. */
    ssize_t n = write(STDERR_FILENO, line, len);
    (void)n;
}

struct cb_log_config cb_log_config_default(void)
{
    return (struct cb_log_config){
        .level = CB_LOG_INFO,
        .journal = stderr_is_journal(),
    };
}

static void apply_config(const struct cb_log_config *config)
{
    state.config = *config;
    if (state.config.sink == NULL) {
        state.config.sink = sink_stderr;
    }
    if (state.config.clock == NULL) {
        state.config.clock = cb_clock_system();
    }
    memset(state.slots, 0, sizeof state.slots);
    atomic_store(&state.level, (int)config->level);
}

static void apply_default(void)
{
    struct cb_log_config config = cb_log_config_default();
    apply_config(&config);
}

void cb_log_init(const struct cb_log_config *config)
{
    pthread_once(&state.once, apply_default);
    pthread_mutex_lock(&state.lock);
    apply_config(config);
    pthread_mutex_unlock(&state.lock);
}

void cb_log_set_level(enum cb_log_level level)
{
    pthread_once(&state.once, apply_default);
    atomic_store(&state.level, (int)level);
}

bool cb_log_enabled(enum cb_log_level level)
{
    return (int)level <= atomic_load_explicit(&state.level, memory_order_relaxed);
}

bool cb_log_level_parse(const char *text, enum cb_log_level *out)
{
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *out = (enum cb_log_level)i;
            return true;
        }
    }
    return false;
}

/* The slot of `event`; names beyond CB_LOG_EVENTS_MAX share the one they hash to. */
static struct event_slot *slot_of(const char *event)
{
    size_t home = (size_t)(cb_hash(event, strlen(event)) % CB_LOG_EVENTS_MAX);
    for (size_t i = 0; i < CB_LOG_EVENTS_MAX; i++) {
        struct event_slot *s = &state.slots[(home + i) % CB_LOG_EVENTS_MAX];
        if (s->event == NULL) {
            s->event = event;
            return s;
        }
        if (strcmp(s->event, event) == 0) {
            return s;
        }
    }
    return &state.slots[home];
}

/* "<4>name" or "name time=... level=...", without a newline; returns its length. */
static size_t format_head(char *line, size_t size, enum cb_log_level level, const char *event)
{
    int n;
    if (state.config.journal) {
        n = snprintf(line, size, "<%c>%s", levels[level].syslog, event);
    } else {
        uint64_t wall_ns = cb_clock_wall_ns(state.config.clock);
        time_t s = (time_t)(wall_ns / CB_NS_PER_S);
        struct tm tm;
        char when[32];
        gmtime_r(&s, &tm);
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
        n = snprintf(line, size, "%s time=%s.%03uZ level=%s", event, when,
                     (unsigned)(wall_ns % CB_NS_PER_S / CB_NS_PER_MS), levels[level].name);
    }
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

/* A line ends where it ends: what a peer sent must not forge another one. */
static void replace_control(char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
            line[i] = '?';
        }
    }
}

static void emit(enum cb_log_level level, const char *event, const char *text)
{
    char line[CB_LOG_LINE_MAX + 1]; /* and the newline, in the place of the NUL */
    size_t len = format_head(line, CB_LOG_LINE_MAX, level, event);
    int n = snprintf(line + len, CB_LOG_LINE_MAX - len, "%s%s", text[0] == '\0' ? "" : " ", text);
    CB_ASSERT(n >= 0);
    len = (size_t)n < CB_LOG_LINE_MAX - len ? len + (size_t)n : CB_LOG_LINE_MAX - 1;
    replace_control(line, len);
    line[len] = '\n';
    state.config.sink(state.config.sink_ctx, line, len + 1);
}

/* True when the event may have its line now; says before it what was cut off. */
static bool admit(enum cb_log_level level, const char *event)
{
    struct event_slot *s = slot_of(event);
    uint64_t now_ns = cb_clock_monotonic_ns(state.config.clock);
    if (s->lines == 0 || now_ns - s->window_start_ns >= CB_LOG_WINDOW_NS) {
        if (s->suppressed > 0) {
            char text[128];
            snprintf(text, sizeof text, "event=%s count=%" PRIu64, event, s->suppressed);
            emit(level, "log.suppressed", text);
        }
        s->window_start_ns = now_ns;
        s->lines = 0;
        s->suppressed = 0;
    }
    if (s->lines >= CB_LOG_BURST) {
        s->suppressed++;
        return false;
    }
    s->lines++;
    return true;
}

void cb_log(enum cb_log_level level, const char *event, const char *fmt, ...)
{
    if (!cb_log_enabled(level)) {
        return;
    }
    char text[CB_LOG_LINE_MAX];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    CB_ASSERT(n >= 0);
    pthread_once(&state.once, apply_default);
    pthread_mutex_lock(&state.lock);
    if (level == CB_LOG_DEBUG || admit(level, event)) {
        emit(level, event, text);
    }
    pthread_mutex_unlock(&state.lock);
}
