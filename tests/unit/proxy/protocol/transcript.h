/* What the parser makes of some bytes, as text that a test can compare: one item per outcome, with
 * "; " between. "put-line 0 0 60 3 +put; put 0 0 60 3 [abc]; BAD_FORMAT; use a"
 * A command has its name and its arguments; an error its reply; "+op" stands behind a put line or
 * an error that counts for that op. Every invariant of bs_parse.h that shows is asserted on the
 * way.
 *
 * Threads: one per parser. */
#ifndef CB_UNIT_PROXY_PROTOCOL_TRANSCRIPT_H
#define CB_UNIT_PROXY_PROTOCOL_TRANSCRIPT_H

#include "proxy/protocol/bs_parse.h"

/* Gives `piece` to the parser and appends its outcomes. */
void transcript_feed(struct cb_buf *out, struct bs_parser *p, struct cb_span piece);

#endif
