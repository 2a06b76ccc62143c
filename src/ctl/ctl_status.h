/* Asking the nodes of a cluster for their state, all at once, and showing it.
 *
 * Owns:     nothing.
 * Threads:  one; ctl_status_ask blocks up to its timeout.
 * Errors:   a node that does not answer in time is a member that is not alive. */
#ifndef CB_CTL_CTL_STATUS_H
#define CB_CTL_CTL_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/cb_buf.h"
#include "common/base/cb_limits.h"

#define CTL_STATUS_TIMEOUT_MS 1000

struct ctl_member {
    char name[CB_NODE_NAME_MAX + 1]; /* empty while nobody told it */
    char grpc[CB_ADDRESS_MAX];
    uint64_t id;
    bool alive;     /* it answered */
    bool serving;   /* the leader, and it takes requests */
    bool is_member; /* another one, or itself, says so */
    bool voter;
    char votes[16]; /* voter, standby, spare; empty: not known */
    char role[16];  /* leader, follower, candidate, starting */
    uint64_t term;
    uint64_t commit;
    uint64_t applied;
    char version[32];
    bool free_known;
    uint64_t free;    /* bytes on the disk of its data directory, while that is known */
    uint64_t reserve; /* its --reserve-space */
    bool puts_refused;
    char waits[CB_WAITS_TEXT_MAX + 1]; /* what a full disk holds up; empty: nothing */
};

struct ctl_status {
    struct ctl_member members[CB_CLUSTER_NODES_MAX];
    unsigned n;
    bool has_led;                      /* the leader has said who the members are */
    char leader[CB_NODE_NAME_MAX + 1]; /* of the one that serves; empty when none does */
    unsigned survives; /* further failures that leave a majority; 0 without a leader */
};

/* Asks the node at each address. Members that only others know of are in the result too. */
void ctl_status_ask(struct ctl_status *s,
                    const char *const *addresses,
                    unsigned n,
                    unsigned timeout_ms);

/* Fills in who leads and how many failures are survived, from the members. */
void ctl_status_conclude(struct ctl_status *s);

void ctl_status_print_table(const struct ctl_status *s, FILE *out);
void ctl_status_print_json(const struct ctl_status *s, FILE *out);

/* coolbeans status. */
int ctl_status_main(int argc, char **argv);

#endif
