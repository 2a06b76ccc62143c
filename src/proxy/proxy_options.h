/* The command line of coolbeans-proxy, in beanstalkd's words where it has them.
 *
 * Owns:     the strings that it made of argv; they live as long as the process.
 * Threads:  one, at start.
 * Errors:   one line that says what is wrong and how to mend it. */
#ifndef CB_PROXY_PROXY_OPTIONS_H
#define CB_PROXY_PROXY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_limits.h"
#include "common/sys/cb_addr.h"
#include "common/sys/cb_options.h"

struct proxy_options {
    /* As given. */
    const char *nodes_text;
    const char *name;             /* NULL: host name and port */
    struct cb_option_list listen; /* empty: all addresses */
    uint64_t port;
    uint64_t job_size_max;
    const char *user;
    uint64_t verbose;
    const char *ready_file;
    const char *binlog_dir;
    const char *binlog_sync_ms;
    const char *binlog_size;
    bool binlog_no_sync;
    bool binlog_no_compact;
    bool binlog_compact;
    /* Made of it. */
    const char *nodes[CB_CLUSTER_NODES_MAX];
    uint32_t n_nodes;
    struct cb_addr addresses[CB_OPTION_LIST_MAX];
    bool job_size_clamped;
    bool ignores_binlog; /* some of beanstalkd's options about its log were given */
};

/* `text` receives the help or the error. */
CB_MUST_USE enum cb_options_result
proxy_options_parse(struct proxy_options *o, int argc, char **argv, struct cb_buf *text);

#endif
