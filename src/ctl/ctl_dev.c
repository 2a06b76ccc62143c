#include "ctl/ctl_dev.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/sys/cb_options.h"
#include "ctl/ctl_process.h"
#include "ctl/ctl_status.h"

static const struct cb_option options[] = {
    {.long_name = "dir",
     .kind = CB_OPTION_STRING,
     .arg = "DIR",
     .offset = offsetof(struct ctl_dev_options, dir),
     .help = "keep the cluster in DIR (default: coolbeans-dev in the user's state directory)"},
    {.long_name = "listen",
     .kind = CB_OPTION_ADDRESS,
     .arg = "ADDR:PORT",
     .offset = offsetof(struct ctl_dev_options, listen),
     .help = "where clients connect (default: 127.0.0.1:11300 if it is free, else a free port)"},
    {.long_name = "nodes",
     .kind = CB_OPTION_NUMBER,
     .arg = "N",
     .def = "3",
     .min = 1,
     .max = CB_CLUSTER_NODES_MAX,
     .offset = offsetof(struct ctl_dev_options, nodes),
     .help = "number of nodes: 1, 3 or 5"},
    {.long_name = "proxies",
     .kind = CB_OPTION_NUMBER,
     .arg = "N",
     .def = "1",
     .min = 1,
     .max = CTL_PROXIES_MAX,
     .offset = offsetof(struct ctl_dev_options, proxies),
     .help = "number of proxies"},
    {.long_name = "detach",
     .kind = CB_OPTION_FLAG,
     .offset = offsetof(struct ctl_dev_options, detach),
     .help = "return when a put would be answered; end it with 'coolbeans dev stop'"},
    {.short_name = 'h', .long_name = "help", .kind = CB_OPTION_HELP, .help = "show this help"},
};

static const struct cb_options spec = {
    .program = "coolbeans dev",
    .summary =
        "Runs a cluster on this machine's loopback and ends it on Ctrl-C.\n"
        "\n"
        "  coolbeans dev                        start nodes and proxies, show where to connect\n"
        "  coolbeans dev kill|start WHO         SIGKILL; start again\n"
        "  coolbeans dev pause|resume WHO       SIGSTOP; SIGCONT\n"
        "  coolbeans dev stop                   end all of it\n"
        "\n"
        "WHO is leader, n1, n2, ... or p1, ...",
    .operands = "[kill|start|pause|resume WHO | stop]",
    .options = options,
    .count = sizeof(options) / sizeof(options[0]),
};

static void print_error(struct cb_buf *error)
{
    struct cb_span s = cb_buf_span(error);
    fprintf(stderr, "coolbeans dev: %.*s\n", (int)s.len, (const char *)s.ptr);
}

static void print_screen(const struct ctl_cluster *c, const struct ctl_dev_options *o)
{
    char leader[CTL_NAME_MAX];
    ctl_dev_leader(c, leader);
    char dir_option[PATH_MAX + 8] = "";
    if (!o->is_dir_default) {
        (void)snprintf(dir_option, sizeof(dir_option), " --dir %s", o->dir); /* only shown */
    }
    printf("\nA coolbeans cluster of %u node%s runs in %s\n\n", c->n_nodes,
           c->n_nodes == 1 ? "" : "s", c->dir);
    for (unsigned i = 0; i < c->n_nodes; i++) {
        const struct ctl_daemon *d = &c->nodes[i];
        printf("  node  %-4s pid %-7d gRPC %-22s%s\n", d->name, (int)d->pid, d->grpc,
               strcmp(d->name, leader) == 0 ? "  leader" : "");
    }
    for (unsigned i = 0; i < c->n_proxies; i++) {
        const struct ctl_daemon *d = &c->proxies[i];
        printf("  proxy %-4s pid %-7d clients connect to %s\n", d->name, (int)d->pid, d->listen);
    }
    printf(
        "\nTry next, in another terminal:\n"
        "  printf 'put 0 0 60 5\\r\\nhello\\r\\nreserve\\r\\nquit\\r\\n' | nc %.*s %s\n"
        "  coolbeans status%s\n"
        "  coolbeans dev kill leader%s      clients go on; then: coolbeans dev start n1 (n2, n3)\n",
        (int)(strrchr(c->proxies[0].listen, ':') - c->proxies[0].listen), c->proxies[0].listen,
        strrchr(c->proxies[0].listen, ':') + 1, dir_option, dir_option);
    if (!o->detach) {
        printf("\nCtrl-C ends all of it.\n");
    }
    fflush(stdout);
}

static sigset_t end_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

/* Daemons that other commands have killed or started since are in the file, not in our memory. */
static void stop_current(const char *dir)
{
    struct ctl_cluster now;
    struct cb_buf error = CB_BUF_NULL;
    if (ctl_cluster_load(&now, dir, &error)) {
        ctl_dev_stop_all(&now);
    }
    cb_buf_fini(&error);
}

static int run(struct ctl_dev_options *o)
{
    struct ctl_cluster c;
    struct cb_buf error = CB_BUF_NULL;
    sigset_t ends = end_signals();
    sigset_t before;
    (void)sigprocmask(SIG_BLOCK, &ends, &before); /* cannot fail with these arguments */
    if (!ctl_dev_start_all(&c, o, &error)) {
        print_error(&error);
        cb_buf_fini(&error);
        return 1;
    }
    bool serves = ctl_dev_wait_serving(&c, &error);
    if (!serves) {
        print_error(&error);
        cb_buf_fini(&error);
        stop_current(c.dir);
        return 1;
    }
    cb_buf_fini(&error);
    print_screen(&c, o);
    if (o->detach) {
        return 0;
    }
    int got;
    (void)sigwait(&ends, &got); /* cannot fail with this set */
    printf("\nEnding the cluster ...\n");
    fflush(stdout);
    stop_current(c.dir);
    return 0;
}

static int bad_usage(const char *what)
{
    fprintf(stderr, "coolbeans dev: %s; see 'coolbeans dev --help'\n", what);
    return 2;
}

static int dispatch(struct ctl_dev_options *o, char **words, int n)
{
    if (n == 0) {
        if (o->nodes % 2 == 0) {
            return bad_usage(
                "--nodes must be odd: an even number survives no more failures than one less");
        }
        return run(o);
    }
    if (strcmp(words[0], "stop") == 0) {
        return n == 1 ? ctl_dev_control(o->dir, "stop", NULL) : bad_usage("stop takes no name");
    }
    static const char *const verbs[] = {"kill", "start", "pause", "resume"};
    for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(words[0], verbs[i]) == 0) {
            return n == 2 ? ctl_dev_control(o->dir, words[0], words[1])
                          : bad_usage(
                                "kill, start, pause and resume take one name: leader, n1, p1, ...");
        }
    }
    return bad_usage("unknown command");
}

int ctl_dev_main(int argc, char **argv)
{
    struct ctl_dev_options o = {0};
    struct cb_buf text = CB_BUF_NULL;
    int first = argc;
    int status = 0;
    switch (cb_options_parse(&spec, argc, argv, &o, &first, &text)) {
    case CB_OPTIONS_HELP:
    case CB_OPTIONS_VERSION:
        cb_options_help(&spec, &text);
        fwrite(cb_buf_span(&text).ptr, 1, cb_buf_len(&text), stdout);
        break;
    case CB_OPTIONS_ERROR:
        print_error(&text);
        status = 2;
        break;
    case CB_OPTIONS_OK: {
        char dir[PATH_MAX];
        o.is_dir_default = o.dir == NULL;
        if (o.dir == NULL) {
            ctl_default_dir(dir);
            o.dir = dir;
        }
        status = dispatch(&o, argv + first, argc - first);
        break;
    }
    }
    cb_buf_fini(&text);
    return status;
}
