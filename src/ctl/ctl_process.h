/* Daemons as processes: starting one beside this program, telling whether one still runs.
 *
 * Owns:     nothing; a started daemon lives on its own (its own session, output to a log file).
 * Threads:  one.
 * Errors:   values. */
#ifndef CB_CTL_CTL_PROCESS_H
#define CB_CTL_CTL_PROCESS_H

#include <stdbool.h>

#include "ctl/ctl_cluster.h"

/* Starts the daemon with the options of its place in the cluster; sets d->pid. */
CB_MUST_USE bool
ctl_daemon_start(const struct ctl_cluster *c, struct ctl_daemon *d, struct cb_buf *error);
/* True when d->pid is a running process and is this daemon, not one that got its number later. */
bool ctl_daemon_is_alive(const struct ctl_cluster *c, const struct ctl_daemon *d);
bool ctl_daemon_is_paused(const struct ctl_cluster *c, const struct ctl_daemon *d);
/* Sends the signal if the daemon is alive. */
void ctl_daemon_signal(const struct ctl_cluster *c, const struct ctl_daemon *d, int signal_number);
/* Waits until the process has let go of its ports and files; false after `wait_ms`. */
bool ctl_daemon_wait_dead(const struct ctl_cluster *c,
                          const struct ctl_daemon *d,
                          unsigned wait_ms);
/* The last lines of its log, for an error message. */
void ctl_daemon_log_tail(const struct ctl_cluster *c,
                         const struct ctl_daemon *d,
                         struct cb_buf *out);
void ctl_sleep_ms(unsigned ms);

#endif
