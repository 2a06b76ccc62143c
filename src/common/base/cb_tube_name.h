/* The grammar of tube names: A-Z a-z 0-9 - + / ; . $ _ ( ), 1 to CB_TUBE_NAME_MAX bytes, not
 * starting with '-' (beanstalkd, protocol.txt "Tube Names"). The proxy checks names when it parses
 * a line, the node when it decodes a request.
 *
 * Threads: any. */
#ifndef CB_COMMON_BASE_CB_TUBE_NAME_H
#define CB_COMMON_BASE_CB_TUBE_NAME_H

#include "common/base/cb_span.h"

/* How many bytes at the start of `s` may stand in a name; the rules on length and '-' aside. */
size_t cb_tube_name_prefix(struct cb_span s);

bool cb_tube_name_is_valid(struct cb_span name);

#endif
