#include "ctl/ctl_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/base/cb_mem.h"
#include "common/sys/cb_addr.h"

#define ARGS_MAX 32
#define LOG_TAIL 2048

void ctl_sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

/* ---- identity ---- */

static bool read_proc(pid_t pid, const char *name, char *out, size_t cap, size_t *len)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name); /* always fits */
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, out, cap - 1);
    (void)close(fd); /* only read from */
    if (n <= 0) {
        return false;
    }
    out[n] = '\0';
    *len = (size_t)n;
    return true;
}

/* The letter after the command's name in /proc/PID/stat; 0 when there is no such process. */
static char process_state(pid_t pid)
{
    char stat[1024];
    size_t len;
    if (pid <= 0 || !read_proc(pid, "stat", stat, sizeof(stat), &len)) {
        return 0;
    }
    const char *end = strrchr(stat, ')');
    return end != NULL && end[1] == ' ' ? end[2] : 0;
}

/* Every daemon is started with --ready-file DIR/NAME.ready: that is how it is known again. */
static void ready_file(const struct ctl_cluster *c, const struct ctl_daemon *d, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s.ready", c->dir, d->name);
    CB_ASSERT(n > 0 && n < PATH_MAX);
}

static bool is_ours(const struct ctl_cluster *c, const struct ctl_daemon *d)
{
    char mark[PATH_MAX];
    ready_file(c, d, mark);
    size_t cap = 32 * 1024;
    char *line = cb_malloc(cap);
    size_t len;
    bool found = read_proc(d->pid, "cmdline", line, cap, &len) &&
                 memmem(line, len, mark, strlen(mark)) != NULL;
    cb_free(line);
    return found;
}

bool ctl_daemon_is_alive(const struct ctl_cluster *c, const struct ctl_daemon *d)
{
    if (d->pid <= 0) {
        return false;
    }
    (void)waitpid(d->pid, NULL, WNOHANG); /* collects it if it was our child; else no matter */
    char state = process_state(d->pid);
    return state != 0 && state != 'Z' && state != 'X' && is_ours(c, d);
}

bool ctl_daemon_is_paused(const struct ctl_cluster *c, const struct ctl_daemon *d)
{
    return ctl_daemon_is_alive(c, d) && process_state(d->pid) == 'T';
}

void ctl_daemon_signal(const struct ctl_cluster *c, const struct ctl_daemon *d, int signal_number)
{
    if (ctl_daemon_is_alive(c, d)) {
        (void)kill(d->pid, signal_number); /* it may have ended just now, which is as good */
    }
}

static unsigned task_count(pid_t pid)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid); /* always fits */
    DIR *dir = opendir(path);
    unsigned n = 0;
    while (dir != NULL && readdir(dir) != NULL) {
        n++;
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read from */
    }
    return n > 2 ? n - 2 : 0; /* without . and .. */
}

/* True when it has let go of its ports and files. One that is killed has no command line at first,
 * and is a zombie while its last threads still end. */
static bool is_gone(const struct ctl_cluster *c, const struct ctl_daemon *d)
{
    char state = process_state(d->pid);
    char word[2];
    size_t len;
    if (state == 0 || state == 'X') {
        return true;
    }
    if (state == 'Z') {
        return task_count(d->pid) <= 1;
    }
    return read_proc(d->pid, "cmdline", word, sizeof(word), &len) && !is_ours(c, d);
}

bool ctl_daemon_wait_dead(const struct ctl_cluster *c, const struct ctl_daemon *d, unsigned wait_ms)
{
    for (unsigned waited = 0; ctl_daemon_is_alive(c, d) || !is_gone(c, d); waited += 10) {
        if (waited >= wait_ms) {
            return false;
        }
        ctl_sleep_ms(10);
    }
    return true;
}

/* ---- starting ---- */

struct args {
    char *v[ARGS_MAX];
    unsigned n;
};

static void add(struct args *a, const char *word)
{
    CB_ASSERT(a->n < ARGS_MAX - 1);
    a->v[a->n++] = cb_strdup(word);
}

static void add_pair(struct args *a, const char *option, const char *value)
{
    add(a, option);
    add(a, value);
}

static void args_fini(struct args *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        cb_free(a->v[i]);
    }
}

/* "n1=HOST:PORT,n2=..." for nodes, "HOST:PORT,..." for proxies. */
static void
add_node_list(struct args *a, const struct ctl_cluster *c, const char *option, bool named)
{
    struct cb_buf list = CB_BUF_NULL;
    for (unsigned i = 0; i < c->n_nodes; i++) {
        cb_buf_printf(&list, "%s%s%s%s", i > 0 ? "," : "", named ? c->nodes[i].name : "",
                      named ? "=" : "", c->nodes[i].grpc);
    }
    cb_buf_append(&list, "", 1);
    add_pair(a, option, (const char *)cb_buf_span(&list).ptr);
    cb_buf_fini(&list);
}

static void
add_proxy_options(struct args *a, const struct ctl_cluster *c, const struct ctl_daemon *d)
{
    struct cb_addr at;
    CB_ASSERT(cb_addr_parse(&at, d->listen) == CB_ADDR_OK); /* this tool wrote it */
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", at.port); /* always fits */
    add_node_list(a, c, "--nodes", false);
    add_pair(a, "-l", at.host);
    add_pair(a, "-p", port);
}

static void
add_node_options(struct args *a, const struct ctl_cluster *c, const struct ctl_daemon *d)
{
    add_pair(a, "--data-dir", d->dir);
    add_node_list(a, c, "--cluster", true);
    add_pair(a, "--listen", d->grpc);
    add_pair(a, "--http", d->http);
}

/* The program `name` that lies beside this one. */
static bool sibling(char out[PATH_MAX], const char *name)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0) {
        return false;
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    int len = snprintf(out, PATH_MAX, "%s/%s", self, name);
    return len > 0 && len < PATH_MAX;
}

static void log_path(const struct ctl_cluster *c, const struct ctl_daemon *d, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s.log", c->dir, d->name);
    CB_ASSERT(n > 0 && n < PATH_MAX);
}

/* In the child: only async-signal-safe calls. Its own session keeps Ctrl-C of the terminal away;
 * the signals that this tool waits for are blocked in it, and must not be in a daemon. */
static _Noreturn void become(char **argv, int log)
{
    sigset_t none;
    (void)sigemptyset(&none); /* cannot fail */
    int null = open("/dev/null", O_RDONLY);
    if (sigprocmask(SIG_SETMASK, &none, NULL) != 0 || setsid() < 0 || null < 0 ||
        dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) {
        _exit(126);
    }
    execv(argv[0], argv);
    _exit(127);
}

/* Returns when the program has replaced the child: until then /proc shows the child as this tool,
 * not as a daemon. The pipe's other end closes by that. */
static pid_t spawn(char **argv, int log)
{
    int running[2];
    if (pipe2(running, O_CLOEXEC) != 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        become(argv, log);
    }
    int why = errno;
    char none;
    (void)close(running[1]); /* the child has its own */
    while (pid > 0 && read(running[0], &none, 1) < 0 && errno == EINTR) {
    }
    (void)close(running[0]); /* nothing was written */
    errno = why;
    return pid;
}

bool ctl_daemon_start(const struct ctl_cluster *c, struct ctl_daemon *d, struct cb_buf *error)
{
    char program[PATH_MAX];
    const char *name = d->is_proxy ? "coolbeans-proxy" : "coolbeans-node";
    if (!sibling(program, name) || access(program, X_OK) != 0) {
        cb_buf_printf(error, "%s is not beside this program: build or install all of coolbeans",
                      name);
        return false;
    }
    char ready[PATH_MAX];
    char log_file[PATH_MAX];
    ready_file(c, d, ready);
    log_path(c, d, log_file);
    (void)unlink(ready); /* the daemon writes it anew once it listens */
    int log = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (log < 0) {
        cb_buf_printf(error, "cannot write %s: %s", log_file, strerror(errno));
        return false;
    }
    struct args a = {.n = 0};
    add(&a, program);
    add_pair(&a, "--name", d->name);
    add_pair(&a, "--ready-file", ready);
    if (d->is_proxy) {
        add_proxy_options(&a, c, d);
    } else {
        add_node_options(&a, c, d);
    }
    pid_t pid = spawn(a.v, log);
    int why = errno;
    (void)close(log); /* the child has its own */
    args_fini(&a);
    if (pid < 0) {
        cb_buf_printf(error, "cannot start %s: %s", d->name, strerror(why));
        return false;
    }
    d->pid = pid;
    return true;
}

void ctl_daemon_log_tail(const struct ctl_cluster *c,
                         const struct ctl_daemon *d,
                         struct cb_buf *out)
{
    char path[PATH_MAX];
    char tail[LOG_TAIL + 1];
    log_path(c, d, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    off_t size = lseek(fd, 0, SEEK_END);
    ssize_t n = pread(fd, tail, LOG_TAIL, size > LOG_TAIL ? size - LOG_TAIL : 0);
    (void)close(fd); /* only read from */
    if (n > 0) {
        cb_buf_append(out, tail, (size_t)n);
    }
}
