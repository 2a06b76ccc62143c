#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl_dev.h"
#include "ctl/ctl_process.h"
#include "ctl/ctl_status.h"

#define LEADER_WAIT_MS 5000
#define DEATH_WAIT_MS 5000

void ctl_dev_leader(const struct ctl_cluster *c, char out[CTL_NAME_MAX])
{
    const char *addresses[CB_CLUSTER_NODES_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < c->n_nodes; i++) {
        if (ctl_daemon_is_alive(c, &c->nodes[i]) && !ctl_daemon_is_paused(c, &c->nodes[i])) {
            addresses[n++] = c->nodes[i].grpc;
        }
    }
    struct ctl_status s;
    ctl_status_ask(&s, addresses, n, CTL_STATUS_TIMEOUT_MS);
    (void)snprintf(out, CTL_NAME_MAX, "%.*s", CTL_NAME_MAX - 1, s.leader);
}

/* The daemon that is meant; "leader" is whoever serves, within LEADER_WAIT_MS. */
static struct ctl_daemon *resolve(struct ctl_cluster *c, const char *who, struct cb_buf *error)
{
    char leader[CTL_NAME_MAX] = "";
    if (strcmp(who, "leader") != 0) {
        struct ctl_daemon *d = ctl_cluster_find(c, who);
        if (d == NULL) {
            cb_buf_printf(error,
                          "%s is no member of the cluster in %s: leader, n1 to n%u, p1 to p%u are",
                          who, c->dir, c->n_nodes, c->n_proxies);
        }
        return d;
    }
    for (unsigned waited = 0; waited < LEADER_WAIT_MS; waited += 50) {
        ctl_dev_leader(c, leader);
        if (leader[0] != '\0') {
            return ctl_cluster_find(c, leader);
        }
        ctl_sleep_ms(50);
    }
    cb_buf_printf(error, "the cluster in %s has had no leader for %d s", c->dir,
                  LEADER_WAIT_MS / 1000);
    return NULL;
}

static bool start(struct ctl_cluster *c, struct ctl_daemon *d, struct cb_buf *error)
{
    if (ctl_daemon_is_alive(c, d)) {
        return true;
    }
    (void)ctl_daemon_wait_dead(c, d, DEATH_WAIT_MS); /* its ports; without them the start says so */
    return ctl_daemon_start(c, d, error) && ctl_cluster_save(c, error) &&
           ctl_dev_wait_listening(c, d, error);
}

static bool control(struct ctl_cluster *c, const char *verb, const char *who, struct cb_buf *error)
{
    if (strcmp(verb, "stop") == 0) {
        ctl_dev_stop_all(c);
        printf(
            "The cluster in %s is ended; its jobs are kept: 'coolbeans dev' goes on with them.\n",
            c->dir);
        return true;
    }
    struct ctl_daemon *d = resolve(c, who, error);
    if (d == NULL) {
        return false;
    }
    if (strcmp(verb, "kill") == 0) {
        ctl_daemon_signal(c, d, SIGKILL);
        if (!ctl_daemon_wait_dead(c, d, DEATH_WAIT_MS)) {
            cb_buf_printf(error, "%s (pid %d) does not die", d->name, (int)d->pid);
            return false;
        }
    } else if (strcmp(verb, "start") == 0) {
        if (!start(c, d, error)) {
            return false;
        }
    } else {
        ctl_daemon_signal(c, d, strcmp(verb, "pause") == 0 ? SIGSTOP : SIGCONT);
    }
    printf("%s %s\n", verb, d->name);
    return true;
}

int ctl_dev_control(const char *dir, const char *verb, const char *who)
{
    struct cb_buf error = CB_BUF_NULL;
    struct ctl_cluster c;
    bool ok = false;
    if (!ctl_cluster_exists(dir)) {
        ok = ctl_cluster_load(&c, dir, &error); /* says that there is none, and what to do */
    } else {
        int lock = ctl_cluster_lock(dir, &error);
        if (lock >= 0) {
            ok = ctl_cluster_load(&c, dir, &error) && control(&c, verb, who, &error);
            ctl_cluster_unlock(lock);
        }
    }
    if (!ok) {
        struct cb_span s = cb_buf_span(&error);
        fprintf(stderr, "coolbeans dev %s: %.*s\n", verb, (int)s.len, (const char *)s.ptr);
    }
    cb_buf_fini(&error);
    return ok ? 0 : 1;
}
