/* DIR/cluster.json: what a local cluster consists of, for the tool and for the people who read it.
 *
 * Owns:     the file. It is replaced by rename, under the lock DIR/cluster.lock.
 * Threads:  one.
 * Errors:   false with one line in `error`. */
#ifndef CB_CTL_CTL_CLUSTER_H
#define CB_CTL_CTL_CLUSTER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"

#define CTL_PROXIES_MAX 8
#define CTL_NAME_MAX 8

struct ctl_daemon {
    char name[CTL_NAME_MAX]; /* n1, n2, ...; p1, p2, ... */
    pid_t pid;               /* 0 when it was never started */
    bool is_proxy;
    char grpc[CB_ADDRESS_MAX];   /* nodes */
    char raft[CB_ADDRESS_MAX];   /* nodes */
    char http[CB_ADDRESS_MAX];   /* nodes */
    char listen[CB_ADDRESS_MAX]; /* proxies */
    char dir[PATH_MAX];          /* nodes: the data directory */
};

struct ctl_cluster {
    char dir[PATH_MAX]; /* absolute */
    struct ctl_daemon nodes[CB_CLUSTER_NODES_MAX];
    unsigned n_nodes;
    struct ctl_daemon proxies[CTL_PROXIES_MAX];
    unsigned n_proxies;
};

/* The directory that is used when no --dir is given. */
void ctl_default_dir(char out[PATH_MAX]);

/* "DIR/NAME", leaving room behind it for the names of files; false when it is too long. */
CB_MUST_USE bool
ctl_path_in(char out[PATH_MAX], const char *dir, const char *name, struct cb_buf *error);

bool ctl_cluster_exists(const char *dir);
CB_MUST_USE bool ctl_cluster_load(struct ctl_cluster *c, const char *dir, struct cb_buf *error);
CB_MUST_USE bool ctl_cluster_save(const struct ctl_cluster *c, struct cb_buf *error);

/* The lock under which cluster.json is read, changed and written; -1 on failure. */
int ctl_cluster_lock(const char *dir, struct cb_buf *error);
void ctl_cluster_unlock(int lock);

/* NULL when there is none of that name. */
struct ctl_daemon *ctl_cluster_find(struct ctl_cluster *c, const char *name);

#endif
