#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sys/cb_addr.h"
#include "ctl/ctl_dev.h"
#include "ctl/ctl_net.h"
#include "ctl/ctl_process.h"
#include "ctl/ctl_status.h"

#define PORT_DEFAULT 11300
#define LISTEN_WAIT_MS 30000
#define SERVE_WAIT_MS 60000
#define TERM_WAIT_MS 5000

/* mkdir -p, for the user alone. */
static bool make_dir(const char *dir, struct cb_buf *error)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof(path), "%s", dir) >= sizeof(path)) {
        cb_buf_printf(error, "the path %s is too long", dir);
        return false;
    }
    for (char *p = path + 1;; p++) {
        bool is_end = *p == '\0';
        if (!is_end && *p != '/') {
            continue;
        }
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            cb_buf_printf(error, "cannot make the directory %s: %s", path, strerror(errno));
            return false;
        }
        if (is_end) {
            return true;
        }
        *p = '/';
    }
}

static bool no_port(struct cb_buf *error)
{
    cb_buf_append_str(error, "no free port on 127.0.0.1");
    return false;
}

static bool plan_node(struct ctl_cluster *c, unsigned i, struct cb_buf *error)
{
    struct ctl_daemon *d = &c->nodes[i];
    uint16_t port = ctl_free_ports(3); /* gRPC, Raft at the next one, HTTP */
    if (port == 0) {
        return no_port(error);
    }
    (void)snprintf(d->name, sizeof(d->name), "n%u", (i + 1) % 100);
    (void)snprintf(d->grpc, sizeof(d->grpc), "127.0.0.1:%u", port);
    (void)snprintf(d->raft, sizeof(d->raft), "127.0.0.1:%u", port + 1u);
    (void)snprintf(d->http, sizeof(d->http), "127.0.0.1:%u", port + 2u);
    return ctl_path_in(d->dir, c->dir, d->name, error);
}

static bool plan_proxy(struct ctl_cluster *c, unsigned i, const char *listen, struct cb_buf *error)
{
    struct ctl_daemon *d = &c->proxies[i];
    d->is_proxy = true;
    (void)snprintf(d->name, sizeof(d->name), "p%u", (i + 1) % 100);
    if (i == 0 && listen != NULL) {
        (void)snprintf(d->listen, sizeof(d->listen), "%s", listen);
        return true;
    }
    bool is_default_free = i == 0 && ctl_port_is_free(PORT_DEFAULT);
    uint16_t port = is_default_free ? PORT_DEFAULT : ctl_free_ports(1);
    if (port == 0) {
        return no_port(error);
    }
    (void)snprintf(d->listen, sizeof(d->listen), "127.0.0.1:%u", port);
    return true;
}

static bool plan(struct ctl_cluster *c, const struct ctl_dev_options *o, struct cb_buf *error)
{
    memset(c, 0, sizeof(*c));
    if (realpath(o->dir, c->dir) == NULL) {
        cb_buf_printf(error, "cannot use the directory %s: %s", o->dir, strerror(errno));
        return false;
    }
    for (; c->n_nodes < o->nodes; c->n_nodes++) {
        if (!plan_node(c, c->n_nodes, error)) {
            return false;
        }
    }
    for (; c->n_proxies < o->proxies; c->n_proxies++) {
        if (!plan_proxy(c, c->n_proxies, o->listen, error)) {
            return false;
        }
    }
    return true;
}

static bool any_alive(const struct ctl_cluster *c)
{
    for (unsigned i = 0; i < c->n_nodes; i++) {
        if (ctl_daemon_is_alive(c, &c->nodes[i])) {
            return true;
        }
    }
    for (unsigned i = 0; i < c->n_proxies; i++) {
        if (ctl_daemon_is_alive(c, &c->proxies[i])) {
            return true;
        }
    }
    return false;
}

/* A cluster that was ended goes on with its jobs: the nodes keep their names and ports. */
static bool take_up(struct ctl_cluster *c, const struct ctl_dev_options *o, struct cb_buf *error)
{
    if (!ctl_cluster_load(c, o->dir, error)) {
        return false;
    }
    if (any_alive(c)) {
        cb_buf_printf(error,
                      "a cluster runs in %s already: 'coolbeans status' shows it, "
                      "'coolbeans dev stop' ends it, --dir starts another",
                      c->dir);
        return false;
    }
    if (o->listen != NULL) {
        (void)snprintf(c->proxies[0].listen, sizeof(c->proxies[0].listen), "%s", o->listen);
    }
    return true;
}

static bool start_each(struct ctl_cluster *c, struct cb_buf *error)
{
    for (unsigned i = 0; i < c->n_nodes; i++) {
        if (!ctl_daemon_start(c, &c->nodes[i], error)) {
            return false;
        }
    }
    for (unsigned i = 0; i < c->n_proxies; i++) {
        if (!ctl_daemon_start(c, &c->proxies[i], error)) {
            return false;
        }
    }
    return true;
}

bool ctl_dev_start_all(struct ctl_cluster *c, const struct ctl_dev_options *o, struct cb_buf *error)
{
    if (!make_dir(o->dir, error)) {
        return false;
    }
    int lock = ctl_cluster_lock(o->dir, error);
    if (lock < 0) {
        return false;
    }
    bool ok = ctl_cluster_exists(o->dir) ? take_up(c, o, error) : plan(c, o, error);
    if (ok) {
        ok = start_each(c, error) && ctl_cluster_save(c, error);
        if (!ok) {
            ctl_dev_stop_all(c);
        }
    }
    ctl_cluster_unlock(lock);
    return ok;
}

/* ---- waiting ---- */

static bool died(const struct ctl_cluster *c, const struct ctl_daemon *d, struct cb_buf *error)
{
    if (ctl_daemon_is_alive(c, d)) {
        return false;
    }
    cb_buf_printf(error, "%s ended; its log %s/%s.log says:\n", d->name, c->dir, d->name);
    ctl_daemon_log_tail(c, d, error);
    return true;
}

bool ctl_dev_wait_listening(const struct ctl_cluster *c,
                            const struct ctl_daemon *d,
                            struct cb_buf *error)
{
    char ready[PATH_MAX + 16];
    (void)snprintf(ready, sizeof(ready), "%s/%s.ready", c->dir,
                   d->name); /* PATH_MAX and a name fit */
    for (unsigned waited = 0; waited < LISTEN_WAIT_MS; waited += 10) {
        if (access(ready, F_OK) == 0) {
            return true;
        }
        if (died(c, d, error)) {
            return false;
        }
        ctl_sleep_ms(10);
    }
    cb_buf_printf(error, "%s does not listen after %d s; see %s/%s.log", d->name,
                  LISTEN_WAIT_MS / 1000, c->dir, d->name);
    return false;
}

static bool any_died(const struct ctl_cluster *c, struct cb_buf *error)
{
    for (unsigned i = 0; i < c->n_nodes; i++) {
        if (died(c, &c->nodes[i], error)) {
            return true;
        }
    }
    for (unsigned i = 0; i < c->n_proxies; i++) {
        if (died(c, &c->proxies[i], error)) {
            return true;
        }
    }
    return false;
}

bool ctl_dev_wait_serving(const struct ctl_cluster *c, struct cb_buf *error)
{
    for (unsigned i = 0; i < c->n_proxies; i++) {
        if (!ctl_dev_wait_listening(c, &c->proxies[i], error)) {
            return false;
        }
    }
    bool shows = isatty(STDERR_FILENO) == 1;
    for (unsigned waited = 0; waited < SERVE_WAIT_MS; waited += 250) {
        if (ctl_proxy_serves(c->proxies[0].listen, 250)) {
            if (shows) {
                fputs("\r\033[K", stderr);
            }
            return true;
        }
        if (any_died(c, error)) {
            return false;
        }
        if (shows) {
            fprintf(stderr, "\rwaiting for a leader ... %u s", waited / 1000);
        }
        ctl_sleep_ms(10);
    }
    cb_buf_printf(error, "no leader after %d s; see the logs in %s", SERVE_WAIT_MS / 1000, c->dir);
    return false;
}

/* ---- ending ---- */

static void end_daemons(const struct ctl_cluster *c, const struct ctl_daemon *daemons, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ctl_daemon_signal(c, &daemons[i], SIGTERM);
        ctl_daemon_signal(c, &daemons[i], SIGCONT); /* a paused one cannot end */
    }
    for (unsigned i = 0; i < n; i++) {
        if (!ctl_daemon_wait_dead(c, &daemons[i], TERM_WAIT_MS)) {
            ctl_daemon_signal(c, &daemons[i], SIGKILL);
            (void)ctl_daemon_wait_dead(c, &daemons[i], TERM_WAIT_MS); /* nothing more can be done */
        }
    }
}

void ctl_dev_stop_all(const struct ctl_cluster *c)
{
    end_daemons(c, c->proxies, c->n_proxies);
    end_daemons(c, c->nodes, c->n_nodes);
}
