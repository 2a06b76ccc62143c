/* Reads one command line of the beanstalkd protocol: what stands before its CRLF.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Errors:   what is wrong with the line is in the command.
 * Source:   beanstalkd 1.13, prot.c dispatch_cmd. Where that is lax (reserve-with-timeout, kick,
 *           pause-tube, quit) this is as lax, since clients may live on it. */
#ifndef CB_PROXY_PROTOCOL_BS_LINE_H
#define CB_PROXY_PROTOCOL_BS_LINE_H

#include "common/base/cb_assert.h"
#include "proxy/protocol/bs_command.h"

/* Fills *c, which must be zeroed. False: c->error says what the line gets. */
CB_MUST_USE bool bs_line_parse(struct cb_span line, uint32_t job_size_max, struct bs_command *c);

#endif
