/* Writes the replies of the beanstalkd protocol behind what `out` holds.
 *
 * Owns:     nothing.
 * Threads:  one per buffer.
 * Errors:   none.
 * Source:   beanstalkd 1.13, doc/protocol.txt. */
#ifndef CB_PROXY_PROTOCOL_BS_REPLY_H
#define CB_PROXY_PROTOCOL_BS_REPLY_H

#include "common/base/cb_buf.h"
#include "proxy/protocol/bs_word.h"

/* "DELETED", "NOT_FOUND", "BURIED" (to a bury), "KICKED" (to a kick-job)... */
void bs_reply_word(struct cb_buf *out, enum bs_reply word);
/* "INSERTED <id>", "BURIED <id>" (to a put), "KICKED <count>" (to a kick), "WATCHING <count>". */
void bs_reply_number(struct cb_buf *out, enum bs_reply word, uint64_t number);
/* "USING <tube>" */
void bs_reply_using(struct cb_buf *out, struct cb_span tube);
/* "RESERVED <id> <bytes>" or "FOUND <id> <bytes>", then the body. */
void bs_reply_job(struct cb_buf *out, enum bs_reply word, uint64_t id, struct cb_span body);
/* "OK <bytes>", then a body of bs_yaml.h. */
void bs_reply_ok(struct cb_buf *out, struct cb_span yaml);

#endif
