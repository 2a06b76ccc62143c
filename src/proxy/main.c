/* coolbeans-proxy: clients of beanstalkd in front, a coolbeans cluster behind. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/sys/cb_log.h"
#include "proxy/proxy.h"

int main(int argc, char **argv)
{
    static struct proxy_options options;
    struct cb_buf text = CB_BUF_NULL;
    switch (proxy_options_parse(&options, argc, argv, &text)) {
    case CB_OPTIONS_OK:
        break;
    case CB_OPTIONS_HELP:
        (void)fwrite(text.base, 1, cb_buf_len(&text), stdout);
        cb_buf_fini(&text);
        return EXIT_SUCCESS;
    case CB_OPTIONS_VERSION:
        printf("coolbeans-proxy %s\n", CB_VERSION);
        return EXIT_SUCCESS;
    case CB_OPTIONS_ERROR:
        fprintf(stderr, "coolbeans-proxy: %.*s\n", (int)cb_buf_len(&text), (const char *)text.base);
        cb_buf_fini(&text);
        return 2;
    }
    if (options.verbose > 0) {
        cb_log_set_level(CB_LOG_DEBUG);
    }
    /* Bodies come and go on one thread; arenas of the others would only keep memory. */
    (void)mallopt(M_ARENA_MAX, 2);
    proxy_run(&options);
    return EXIT_SUCCESS;
}
