/* Which nodes a command asks: --nodes HOST:PORT,... or the cluster of 'coolbeans dev' in --dir.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Errors:   an exit status and one line in `error`. */
#ifndef CB_CTL_CTL_TARGETS_H
#define CB_CTL_CTL_TARGETS_H

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"

struct ctl_targets {
    char text[CB_CLUSTER_NODES_MAX][CB_ADDRESS_MAX];
    const char *v[CB_CLUSTER_NODES_MAX]; /* into `text` */
    unsigned n;
};

/* Either may be NULL; without both it is the default --dir. 0: there are some. */
CB_MUST_USE int
ctl_targets_find(struct ctl_targets *t, const char *dir, const char *nodes, struct cb_buf *error);

#endif
