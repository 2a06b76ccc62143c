/* Asking the leader for a change of the members (Cluster.Change), until it is so.
 *
 * Owns:     nothing.
 * Threads:  one; calls block.
 * Errors:   false and a sentence. */
#ifndef CB_CTL_CTL_CHANGE_H
#define CB_CTL_CTL_CHANGE_H

#include <stdbool.h>

#include "common/base/cb_assert.h"
#include "common/wire/wire_change.h"
#include "ctl/ctl_status.h"
#include "ctl/ctl_targets.h"

/* How long a leader is looked for, or is busy with something else. */
#define CTL_CHANGE_PATIENCE_MS 30000

/* The members as they are now; false when no leader was found in that time. */
CB_MUST_USE bool
ctl_find_leader(const struct ctl_targets *t, struct ctl_status *s, struct cb_buf *error);
/* The member of that name; NULL when there is none. */
const struct ctl_member *ctl_find_member(const struct ctl_status *s, const char *name);
/* Says on stderr what it waits for. */
CB_MUST_USE bool
ctl_change(const struct ctl_targets *t, const struct wire_change_request *q, struct cb_buf *error);
void ctl_pause(unsigned ms);

#endif
