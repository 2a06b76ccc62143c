#include "proxy/proxy_options.h"

#include <string.h>

#include "common/base/cb_mem.h"

#define AT(member) offsetof(struct proxy_options, member)
#define STR(x) STR_(x)
#define STR_(x) #x

static const struct cb_option table[] = {
    {.long_name = "nodes",
     .kind = CB_OPTION_STRING,
     .arg = "HOST:PORT,...",
     .required = true,
     .offset = AT(nodes_text),
     .help = "the gRPC addresses of the cluster's nodes"},
    {.long_name = "name",
     .kind = CB_OPTION_STRING,
     .arg = "NAME",
     .offset = AT(name),
     .help = "this proxy's name in the cluster, another one for each (default host name and port)"},
    {.short_name = 'l',
     .long_name = "listen",
     .kind = CB_OPTION_LIST,
     .arg = "ADDR",
     .offset = AT(listen),
     .help = "listen on ADDR, ADDR:PORT or unix:PATH; may be given again (default all addresses)"},
    {.short_name = 'p',
     .long_name = "port",
     .kind = CB_OPTION_NUMBER,
     .arg = "PORT",
     .def = "11300",
     .max = 65535,
     .offset = AT(port),
     .help = "listen on PORT; 0 lets the system choose"},
    {.short_name = 'z',
     .long_name = "max-job-size",
     .kind = CB_OPTION_NUMBER,
     .arg = "BYTES",
     .def = STR(CB_JOB_SIZE_DEFAULT),
     .offset = AT(job_size_max),
     .help = "the largest job that clients may put, up to 4194304"},
    {.short_name = 'u',
     .long_name = "user",
     .kind = CB_OPTION_STRING,
     .arg = "USER",
     .offset = AT(user),
     .help = "become USER once the ports are open"},
    {.long_name = "ready-file",
     .kind = CB_OPTION_STRING,
     .arg = "FILE",
     .offset = AT(ready_file),
     .help = "written once clients can connect: a line with the address of each listener"},
    {.short_name = 'b',
     .kind = CB_OPTION_STRING,
     .arg = "DIR",
     .offset = AT(binlog_dir),
     .help = "ignored: the nodes keep all jobs on disk"},
    {.short_name = 'f',
     .kind = CB_OPTION_STRING,
     .arg = "MS",
     .offset = AT(binlog_sync_ms),
     .help = "ignored: what is answered is on the disks of a majority"},
    {.short_name = 'F', .kind = CB_OPTION_FLAG, .offset = AT(binlog_no_sync), .help = "ignored"},
    {.short_name = 's',
     .kind = CB_OPTION_STRING,
     .arg = "BYTES",
     .offset = AT(binlog_size),
     .help = "ignored"},
    {.short_name = 'c', .kind = CB_OPTION_FLAG, .offset = AT(binlog_compact), .help = "ignored"},
    {.short_name = 'n', .kind = CB_OPTION_FLAG, .offset = AT(binlog_no_compact), .help = "ignored"},
    {.short_name = 'V', .kind = CB_OPTION_COUNT, .offset = AT(verbose), .help = "log more"},
    {.short_name = 'v',
     .long_name = "version",
     .kind = CB_OPTION_VERSION,
     .help = "show the version"},
    {.short_name = 'h', .long_name = "help", .kind = CB_OPTION_HELP, .help = "show this help"},
};

static const struct cb_options spec = {
    .program = "coolbeans-proxy",
    .summary = "Speaks the beanstalkd protocol to clients, for a cluster of coolbeans-node.",
    .options = table,
    .count = sizeof table / sizeof table[0],
};

static bool is_known(const struct proxy_options *o, const char *node)
{
    for (uint32_t i = 0; i < o->n_nodes; i++) {
        if (strcmp(o->nodes[i], node) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_node(struct proxy_options *o, const char *text, struct cb_buf *error)
{
    struct cb_addr a;
    char formatted[CB_ADDRESS_MAX];
    enum cb_addr_result r = cb_addr_parse(&a, text);
    if (r != CB_ADDR_OK) {
        cb_buf_printf(error, "--nodes: '%s': %s", text, cb_addr_strerror(r));
        return false;
    }
    if (a.kind == CB_ADDR_UNIX || a.port == 0) {
        cb_buf_printf(error, "--nodes: '%s' is not HOST:PORT", text);
        return false;
    }
    cb_addr_format(&a, formatted);
    if (is_known(o, formatted)) {
        cb_buf_printf(error, "--nodes: '%s' stands there twice; name each node once", text);
        return false;
    }
    if (o->n_nodes == CB_CLUSTER_NODES_MAX) {
        cb_buf_printf(error, "--nodes: a cluster has at most %d nodes", CB_CLUSTER_NODES_MAX);
        return false;
    }
    o->nodes[o->n_nodes++] = cb_strdup(formatted);
    return true;
}

static bool split_nodes(struct proxy_options *o, struct cb_buf *error)
{
    char *copy = cb_strdup(o->nodes_text);
    char *rest = copy;
    char *word;
    bool ok = true;
    while (ok && (word = strsep(&rest, ",")) != NULL) {
        ok = add_node(o, word, error);
    }
    cb_free(copy);
    return ok;
}

/* ADDR:PORT, else ADDR with the port of -p. */
static bool parse_listeners(struct proxy_options *o, struct cb_buf *error)
{
    for (size_t i = 0; i < o->listen.len; i++) {
        const char *text = o->listen.items[i];
        enum cb_addr_result r = cb_addr_from_host(&o->addresses[i], text, (uint16_t)o->port);
        if (r != CB_ADDR_OK) {
            r = cb_addr_parse(&o->addresses[i], text);
        }
        if (r != CB_ADDR_OK) {
            cb_buf_printf(error, "-l: '%s': %s", text, cb_addr_strerror(r));
            return false;
        }
    }
    return true;
}

static bool check_name(const struct proxy_options *o, struct cb_buf *error)
{
    size_t len = o->name == NULL ? 1 : strlen(o->name);
    bool ok = len > 0 && len <= CB_PROXY_NAME_MAX;
    for (size_t i = 0; ok && o->name != NULL && i < len; i++) {
        ok = o->name[i] > ' ' && o->name[i] < 0x7f;
    }
    if (!ok) {
        cb_buf_printf(error, "--name: use 1 to %d printable ASCII characters without blanks",
                      CB_PROXY_NAME_MAX);
    }
    return ok;
}

static void clamp_job_size(struct proxy_options *o)
{
    if (o->job_size_max > CB_JOB_SIZE_MAX) {
        o->job_size_max = CB_JOB_SIZE_MAX;
        o->job_size_clamped = true;
    }
}

enum cb_options_result
proxy_options_parse(struct proxy_options *o, int argc, char **argv, struct cb_buf *text)
{
    enum cb_options_result r = cb_options_parse(&spec, argc, argv, o, NULL, text);
    if (r == CB_OPTIONS_HELP) {
        cb_options_help(&spec, text);
    }
    if (r != CB_OPTIONS_OK) {
        return r;
    }
    if (!split_nodes(o, text) || !parse_listeners(o, text) || !check_name(o, text)) {
        return CB_OPTIONS_ERROR;
    }
    clamp_job_size(o);
    o->ignores_binlog = o->binlog_dir != NULL || o->binlog_sync_ms != NULL ||
                        o->binlog_size != NULL || o->binlog_no_sync || o->binlog_compact ||
                        o->binlog_no_compact;
    return CB_OPTIONS_OK;
}
