/* Members with links in one loop, over loopback, and sockets that say what a test wants. */
#ifndef CB_UNIT_NODE_LINK_LINK_RIG_H
#define CB_UNIT_NODE_LINK_LINK_RIG_H

#include <uv.h>

#include "node/link/link.h"
#include "node/link/link_frame.h"

#define RIG_MEMBERS 3
#define RIG_CLUSTER 77
#define RIG_TICK_MS 5 /* 5 s of the product are 250 ms here */
#define RIG_TYPE LINK_FRAME_USER

struct rig;

struct rig_member {
    struct rig *rig;
    uint64_t id;
    struct link *link; /* NULL: it does not run */
    char address[64];
    bool is_destroyed;
    /* what it has seen */
    uint64_t received;
    uint64_t ended;
    uint64_t gone;
    uint64_t next_number[RIG_MEMBERS + 1]; /* by sender: there may be gaps, it never goes back */
    struct cb_buf last;                    /* payload */
    char last_address[64];
    uint64_t sent_ok;
    uint64_t sent_lost;
    /* what a test sets */
    bool refuses; /* all frames make no sense to it */
    uint64_t no_member;
};

struct rig {
    uv_loop_t loop;
    uv_timer_t wake; /* the loop never sleeps for long */
    struct rig_member m[RIG_MEMBERS];
    bool is_in_callback;
};

void rig_init(struct rig *r);
void rig_fini(struct rig *r);
/* Listens on `host` at a port of the system's choice, or again at the one it had. */
void rig_start(struct rig_member *m, const char *host);
void rig_restart(struct rig_member *m);
void rig_stop(struct rig_member *m);
/* A frame with the number as its payload. False: refused. */
bool rig_send(struct rig_member *from, struct rig_member *to, uint64_t number);
/* One without a number. */
bool rig_poke(struct rig_member *from, struct rig_member *to);
bool rig_send_bytes(struct rig_member *from, struct rig_member *to, struct cb_span body);
void rig_turn(struct rig *r);
/* Runs the loop until `cond`; fails the test after some seconds. */
#define rig_run_until(r, cond)                                                                     \
    do {                                                                                           \
        uint64_t rig_deadline = uv_hrtime() + UINT64_C(20000000000);                               \
        while (!(cond)) {                                                                          \
            if (uv_hrtime() > rig_deadline) {                                                      \
                fail_msg("not reached: %s", #cond);                                                \
            }                                                                                      \
            rig_turn(r);                                                                           \
        }                                                                                          \
    } while (0)

const struct link_counters *rig_counters(const struct rig_member *m);

/* A plain socket that listens at what is `m`'s address from then on. */
int rig_listen(struct rig_member *m);
/* A plain socket, connected to `m`. */
int rig_socket(const struct rig_member *m);
void rig_say(int fd, struct cb_span bytes);
void rig_say_frame(int fd, uint8_t type, struct cb_span payload);
void rig_say_hello(int fd, uint64_t cluster, uint64_t from, uint64_t to);
/* True once the other end has closed it. */
bool rig_is_closed(int fd);

#endif
