#include "node/node_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/cb_hash.h"
#include "common/sys/cb_addr.h"

#define AT(member) offsetof(struct node_options, member)

static const struct cb_option table[] = {
    {.long_name = "name",
     .kind = CB_OPTION_STRING,
     .arg = "NAME",
     .required = true,
     .offset = AT(name),
     .help = "this node's name, its own in the cluster"},
    {.long_name = "data-dir",
     .kind = CB_OPTION_STRING,
     .arg = "DIR",
     .required = true,
     .offset = AT(data_dir),
     .help = "where the log and the state lie; made when missing"},
    {.long_name = "cluster",
     .kind = CB_OPTION_STRING,
     .arg = "NAME=HOST:PORT,...",
     .offset = AT(cluster_text),
     .help = "for a new cluster: all its nodes, the same list on each; gRPC at the port, raft at "
             "the next one; once the cluster exists the list is not looked at any more"},
    {.long_name = "join",
     .kind = CB_OPTION_STRING,
     .arg = "HOST:PORT,...",
     .offset = AT(join_text),
     .help = "instead of --cluster, for a new node of a cluster that exists: the gRPC addresses of "
             "members of it; then 'coolbeans add' makes it one"},
    {.long_name = "listen",
     .kind = CB_OPTION_ADDRESS,
     .arg = "ADDR:PORT",
     .offset = AT(listen_text),
     .help = "listen there instead of at this node's address in --cluster"},
    {.long_name = "http",
     .kind = CB_OPTION_ADDRESS,
     .arg = "ADDR:PORT",
     .offset = AT(http),
     .help = "serve /healthz and /status there over HTTP"},
    {.long_name = "insecure",
     .kind = CB_OPTION_FLAG,
     .offset = AT(insecure),
     .help = "listen on other addresses than loopback although nothing is encrypted"},
    {.long_name = "election-ms",
     .kind = CB_OPTION_NUMBER,
     .arg = "MS",
     .def = "500",
     .min = 50,
     .max = 60000,
     .offset = AT(election_ms),
     .help = "how long without a leader until there is an election"},
    {.long_name = "heartbeat-ms",
     .kind = CB_OPTION_NUMBER,
     .arg = "MS",
     .def = "100",
     .min = 10,
     .max = 10000,
     .offset = AT(heartbeat_ms),
     .help = "how often the leader says that it is there"},
    {.long_name = "session-timeout",
     .kind = CB_OPTION_DURATION,
     .arg = "TIME",
     .def = "30s",
     .min = CB_NS_PER_S,
     .max = 3600 * CB_NS_PER_S,
     .offset = AT(session_timeout_ns),
     .help = "a proxy that is silent for that long loses its clients' jobs"},
    {.long_name = "max-jobs",
     .kind = CB_OPTION_NUMBER,
     .arg = "N",
     .def = "0",
     .min = 0,
     .max = INT64_MAX,
     .offset = AT(jobs_max),
     .help = "jobs that the cluster holds at most, the same on each node; beyond them a put is "
             "answered OUT_OF_MEMORY; 0: no bound"},
    {.long_name = "max-bytes",
     .kind = CB_OPTION_SIZE,
     .arg = "SIZE",
     .def = "0",
     .min = 0,
     .max = INT64_MAX,
     .offset = AT(bytes_max),
     .help = "the same for the bytes of their bodies"},
    {.long_name = "reserve-space",
     .kind = CB_OPTION_SIZE,
     .arg = "SIZE",
     .def = "256m",
     .min = 0,
     .max = INT64_MAX,
     .offset = AT(reserve_space),
     .help = "room that is kept on the disks, the same on each node: while too few members have so "
             "much free to make a majority, a put is answered OUT_OF_MEMORY; 0: none"},
    {.long_name = "scrub",
     .kind = CB_OPTION_SIZE,
     .arg = "SIZE",
     .def = "2m",
     .min = 0,
     .max = CB_SCRUB_RATE_MAX,
     .offset = AT(scrub_rate),
     .help = "bytes of what is stored that are read from the disk again each second and checked; "
             "0: none"},
    {.long_name = "body-cache",
     .kind = CB_OPTION_SIZE,
     .arg = "SIZE",
     .def = "256m",
     .min = 0,
     .max = INT64_MAX,
     .offset = AT(body_cache),
     .help = "bytes of job bodies that this node keeps in memory; others are read from its disk "
             "when they are reserved or peeked at; 0: it keeps all"},
    {.long_name = "ready-file",
     .kind = CB_OPTION_STRING,
     .arg = "FILE",
     .offset = AT(ready_file),
     .help = "written once this node listens"},
    {.short_name = 'v',
     .long_name = "verbose",
     .kind = CB_OPTION_COUNT,
     .offset = AT(verbose),
     .help = "log more"},
    {.short_name = 'V',
     .long_name = "version",
     .kind = CB_OPTION_VERSION,
     .help = "show the version"},
    {.short_name = 'h', .long_name = "help", .kind = CB_OPTION_HELP, .help = "show this help"},
};

static const struct cb_options spec = {
    .program = "coolbeans-node",
    .summary = "A member of a coolbeans cluster: keeps the jobs, replicated and on disk.",
    .options = table,
    .count = sizeof(table) / sizeof(table[0]),
};

static bool is_name(const char *s, size_t len)
{
    return len >= 1 && len <= CB_NODE_NAME_MAX && strspn(s, CB_NODE_NAME_CHARS) >= len;
}

bool node_addresses(const char *text,
                    char grpc[static CB_ADDRESS_MAX],
                    char raft[static CB_ADDRESS_MAX])
{
    struct cb_addr a;
    if (cb_addr_parse(&a, text) != CB_ADDR_OK || a.kind == CB_ADDR_UNIX || a.port == 0 ||
        a.port == UINT16_MAX) {
        return false;
    }
    cb_addr_format(&a, grpc);
    a.port++;
    cb_addr_format(&a, raft);
    return true;
}

bool node_grpc_of_told(const char *raft, char grpc[static CB_ADDRESS_MAX])
{
    struct cb_addr a;
    if (cb_addr_parse(&a, raft) != CB_ADDR_OK || a.kind == CB_ADDR_UNIX || a.port <= 1) {
        return false;
    }
    a.port--;
    cb_addr_format(&a, grpc);
    return true;
}

void node_grpc_of_raft(const char *raft, char grpc[static CB_ADDRESS_MAX])
{
    CB_ASSERT(node_grpc_of_told(raft, grpc));
}

static bool parse_member(struct node_member *m, const char *text, size_t len, struct cb_buf *error)
{
    char row[CB_NODE_NAME_MAX + CB_ADDRESS_MAX + 2];
    const char *eq = memchr(text, '=', len);
    if (eq != NULL && len < sizeof(row) && is_name(text, (size_t)(eq - text))) {
        memcpy(row, text, len);
        row[len] = '\0';
        size_t name_len = (size_t)(eq - text);
        memcpy(m->name, row, name_len);
        m->name[name_len] = '\0';
        if (node_addresses(row + name_len + 1, m->grpc, m->raft)) {
            return true;
        }
    }
    cb_buf_printf(
        error,
        "--cluster: \"%.*s\" is not NAME=HOST:PORT (a name of letters, digits and \"-_.\", an "
        "IP address, IPv6 in brackets, or a host name, a port from 1 to 65534)",
        (int)len, text);
    return false;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct node_member *)a)->name, ((const struct node_member *)b)->name);
}

static bool check_names(struct node_options *o, struct cb_buf *error)
{
    qsort(o->members, o->n_members, sizeof(o->members[0]), compare_names);
    bool found = false;
    for (size_t i = 0; i < o->n_members; i++) {
        o->members[i].id = i + 1;
        if (i > 0 && strcmp(o->members[i].name, o->members[i - 1].name) == 0) {
            cb_buf_printf(error, "--cluster: the name \"%s\" stands there twice",
                          o->members[i].name);
            return false;
        }
        if (strcmp(o->members[i].name, o->name) == 0) {
            o->self = i;
            found = true;
        }
    }
    if (!found) {
        cb_buf_printf(error,
                      "--name: \"%s\" is not in --cluster; add it there or use one of its names",
                      o->name);
    }
    return found;
}

static bool parse_cluster(struct node_options *o, struct cb_buf *error)
{
    const char *at = o->cluster_text;
    for (;;) {
        size_t len = strcspn(at, ",");
        if (o->n_members == CB_CLUSTER_NODES_MAX) {
            cb_buf_printf(error, "--cluster: at most %d nodes", CB_CLUSTER_NODES_MAX);
            return false;
        }
        if (!parse_member(&o->members[o->n_members++], at, len, error)) {
            return false;
        }
        if (at[len] == '\0') {
            return check_names(o, error);
        }
        at += len + 1;
    }
}

static uint64_t digest_names(const struct node_options *o)
{
    uint64_t digest = 1;
    for (size_t i = 0; i < o->n_members; i++) {
        digest = cb_hash_seeded(o->members[i].name, strlen(o->members[i].name) + 1, digest);
    }
    return digest != 0 ? digest : 1;
}

static bool parse_join(struct node_options *o, struct cb_buf *error)
{
    const char *at = o->join_text;
    for (;;) {
        char text[CB_ADDRESS_MAX];
        char raft[CB_ADDRESS_MAX];
        size_t len = strcspn(at, ",");
        (void)snprintf(text, sizeof(text), "%.*s", (int)len, at);
        if (o->n_join == CB_CLUSTER_NODES_MAX) {
            cb_buf_printf(error, "--join: at most %d addresses", CB_CLUSTER_NODES_MAX);
            return false;
        }
        if (len >= sizeof(text) || !node_addresses(text, o->join[o->n_join++], raft)) {
            cb_buf_printf(error, "--join: \"%.*s\" is not HOST:PORT, where a member's gRPC is",
                          (int)len, at);
            return false;
        }
        if (at[len] == '\0') {
            return true;
        }
        at += len + 1;
    }
}

static bool parse_members(struct node_options *o, struct cb_buf *error)
{
    if ((o->cluster_text == NULL) == (o->join_text == NULL)) {
        cb_buf_append_str(error, "give --cluster for a node of a new cluster, or --join for one "
                                 "that is added to a cluster which exists");
        return false;
    }
    if (!is_name(o->name, strlen(o->name))) {
        cb_buf_printf(error, "--name: \"%s\" is not a name of 1 to %d letters, digits and \"-_.\"",
                      o->name, CB_NODE_NAME_MAX);
        return false;
    }
    if (o->cluster_text != NULL) {
        return parse_cluster(o, error);
    }
    if (o->listen_text == NULL) {
        cb_buf_append_str(error, "--join: give --listen too: it says where this node listens");
        return false;
    }
    return parse_join(o, error);
}

static bool choose_listen(struct node_options *o, struct cb_buf *error)
{
    const char *text = o->listen_text != NULL ? o->listen_text : o->members[o->self].grpc;
    if (!node_addresses(text, o->listen_grpc, o->listen_raft)) {
        cb_buf_printf(
            error,
            "--listen: \"%s\" is not ADDR:PORT with an IP address and a port from 1 to 65534",
            text);
        return false;
    }
    struct cb_addr a;
    CB_ASSERT(cb_addr_parse(&a, o->listen_grpc) == CB_ADDR_OK);
    if (o->listen_text != NULL && a.kind == CB_ADDR_NAME) {
        cb_buf_printf(error, "--listen: \"%s\" is a name; give the IP address to listen on", text);
        return false;
    }
    if (!o->insecure && !cb_addr_is_loopback(&a)) {
        cb_buf_printf(
            error,
            "%s is not a loopback address, and nothing is encrypted or authenticated yet: "
            "give --insecure if only trusted machines reach it",
            o->listen_grpc);
        return false;
    }
    return true;
}

static bool check_http(const struct node_options *o, struct cb_buf *error)
{
    struct cb_addr a;
    if (o->http == NULL) {
        return true;
    }
    if (cb_addr_parse(&a, o->http) != CB_ADDR_OK || a.port == 0 ||
        (a.kind != CB_ADDR_IPV4 && a.kind != CB_ADDR_IPV6)) {
        cb_buf_printf(error, "--http: \"%s\" is not ADDR:PORT with an IP address and a port",
                      o->http);
        return false;
    }
    if (!o->insecure && !cb_addr_is_loopback(&a)) {
        cb_buf_printf(
            error,
            "--http: %s is not a loopback address: give --insecure if only trusted machines "
            "reach it",
            o->http);
        return false;
    }
    return true;
}

static bool check_times(const struct node_options *o, struct cb_buf *error)
{
    if (o->heartbeat_ms * 2 > o->election_ms) {
        cb_buf_printf(error, "--election-ms must be at least twice --heartbeat-ms");
        return false;
    }
    /* A leader that was cut off must have noticed before its proxies' leases are over. */
    if (o->session_timeout_ns < 2 * o->election_ms * CB_NS_PER_MS) {
        cb_buf_printf(error, "--session-timeout must be at least twice --election-ms");
        return false;
    }
    return true;
}

enum cb_options_result
node_options_parse(struct node_options *o, int argc, char **argv, struct cb_buf *text)
{
    memset(o, 0, sizeof(*o));
    enum cb_options_result r = cb_options_parse(&spec, argc, argv, o, NULL, text);
    if (r == CB_OPTIONS_HELP) {
        cb_options_help(&spec, text);
    }
    if (r != CB_OPTIONS_OK) {
        return r;
    }
    if (!parse_members(o, text) || !choose_listen(o, text) || !check_http(o, text) ||
        !check_times(o, text)) {
        return CB_OPTIONS_ERROR;
    }
    o->cluster = o->cluster_text != NULL ? digest_names(o) : 0;
    return CB_OPTIONS_OK;
}
