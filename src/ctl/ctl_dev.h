/* `coolbeans dev`: a cluster on this machine, for development, trials and tests.
 *
 * Owns:     the daemons that it starts, by their place in DIR/cluster.json.
 * Threads:  one.
 * Errors:   one line on stderr and exit status 1 (2 for a bad command line). */
#ifndef CB_CTL_CTL_DEV_H
#define CB_CTL_CTL_DEV_H

#include "ctl/ctl_cluster.h"

struct ctl_dev_options {
    const char *dir;
    const char *listen;
    uint64_t nodes;
    uint64_t proxies;
    bool detach;
    bool is_dir_default;
};

/* coolbeans dev ... */
int ctl_dev_main(int argc, char **argv);

/* Lays out a new cluster, or takes up the one that DIR holds, and starts every daemon. */
CB_MUST_USE bool
ctl_dev_start_all(struct ctl_cluster *c, const struct ctl_dev_options *o, struct cb_buf *error);
/* Waits until a put would be answered, showing that it moves; false when a daemon died or time is
 * up. */
CB_MUST_USE bool ctl_dev_wait_serving(const struct ctl_cluster *c, struct cb_buf *error);
/* Ends every daemon: SIGTERM, then SIGKILL. */
void ctl_dev_stop_all(const struct ctl_cluster *c);
/* Waits until the daemon listens. */
CB_MUST_USE bool ctl_dev_wait_listening(const struct ctl_cluster *c,
                                        const struct ctl_daemon *d,
                                        struct cb_buf *error);

/* kill, start, pause, resume, stop. */
int ctl_dev_control(const char *dir, const char *verb, const char *who);

/* Name of the serving leader; empty when there is none. */
void ctl_dev_leader(const struct ctl_cluster *c, char out[CTL_NAME_MAX]);

#endif
