/* coolbeans-node: a member of the cluster. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "common/sys/cb_log.h"
#include "node/node.h"

/* Each accepted connection costs a descriptor, and gRPC's listener does not survive running out. */
static void raise_descriptor_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r) != 0) {
            cb_log(CB_LOG_WARN, "node.descriptors", "limit=%llu", (unsigned long long)r.rlim_cur);
        }
    }
}

int main(int argc, char **argv)
{
    static struct node_options options;
    struct cb_buf text;
    cb_buf_init(&text);
    switch (node_options_parse(&options, argc, argv, &text)) {
    case CB_OPTIONS_OK:
        break;
    case CB_OPTIONS_HELP:
        fwrite(text.base, 1, cb_buf_len(&text), stdout);
        cb_buf_fini(&text);
        return EXIT_SUCCESS;
    case CB_OPTIONS_VERSION:
        printf("coolbeans-node %s\n", CB_VERSION);
        return EXIT_SUCCESS;
    case CB_OPTIONS_ERROR:
        fprintf(stderr, "coolbeans-node: %.*s\n", (int)cb_buf_len(&text), (const char *)text.base);
        cb_buf_fini(&text);
        return 2;
    }
    cb_buf_fini(&text);
    if (options.verbose > 0) {
        cb_log_set_level(CB_LOG_DEBUG);
    }
    /* Bodies come and go on one thread; arenas of the others would only keep memory. */
    (void)mallopt(M_ARENA_MAX, 2); /* a hint */
    raise_descriptor_limit();
    node_run(&options);
}
