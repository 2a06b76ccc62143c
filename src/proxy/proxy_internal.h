/* What the files of the composition share. Internal to this folder. */
#ifndef CB_PROXY_PROXY_INTERNAL_H
#define CB_PROXY_PROXY_INTERNAL_H

#include <sys/utsname.h>
#include <uv.h>

#include "proxy/engine/engine.h"
#include "proxy/proxy.h"
#include "proxy/server/server.h"
#include "proxy/upstream/upstream.h"

struct proxy {
    const struct proxy_options *options;
    const struct cb_clock *clock;
    uv_loop_t loop;
    uv_prepare_t prepare; /* the turn's end before the loop sleeps, for what timers did */
    uv_check_t check;     /* and after it has handled what came */
    uv_timer_t timer;
    uint64_t timer_ns; /* what it is set to, in boot time */
    uv_signal_t on_term;
    uv_signal_t on_int;
    uv_signal_t on_usr1;
    struct server *server;
    struct engine *engine;
    struct upstream *upstream;
    struct rpc *rpc;
    bool stopping;
    bool torn_down;
    uint64_t stop_by_ns;
    uint64_t detached_ns; /* since when there is no leader; 0: there is one */
    bool told_detached;
    /* For `stats`. */
    struct utsname uname;
    uint64_t started_ns;
    char id[17];
    char name[CB_PROXY_NAME_MAX + 1];
    char address[CB_ADDRESS_MAX];
};

/* --- proxy_start.c --- */
void proxy_listen(struct proxy *p);
/* Its name and where operators find it; after proxy_listen. */
void proxy_identify(struct proxy *p);
void proxy_become_user(const char *user);
void proxy_tell_ready(const struct proxy *p);

/* --- proxy_log.c --- */
void proxy_note(void *ctx, enum engine_note note, uint32_t node, uint64_t number, const char *text);
void proxy_facts(void *ctx, struct bs_stats *out);

#endif
