/* coolbeans-node: a member of the cluster. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/sys/cb_log.h"
#include "common/sys/cb_service.h"
#include "node/node.h"

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
    /* Each connection costs a descriptor, and gRPC's listener does not survive running out. */
    (void)cb_service_raise_descriptor_limit(); /* what it could not raise stays as it was */
    node_run(&options);
}
