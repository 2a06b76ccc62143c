/* Bodies of jobs: a token, then bytes that follow from it, some of which look like the protocol. */
#include "common/base/cb_hash.h"
#include "sim/sim_client_internal.h"

#define PATTERN_LEN 16

/* Repeated behind the token. Whoever splits a stream at the wrong place will act on these. */
static void pattern_of(const uint64_t token[2], uint8_t pattern[PATTERN_LEN])
{
    uint64_t mixed[2] = {cb_hash_u64(token[0] + 1), cb_hash_u64(token[1] + 2)};
    switch (mixed[0] % 4) {
    case 0:
        memcpy(pattern, "\r\ndelete 1\r\nquit", PATTERN_LEN);
        break;
    case 1:
        memcpy(pattern, "INSERTED 1\r\n\0\r\n\r", PATTERN_LEN);
        break;
    case 2:
        memset(pattern, 'x', PATTERN_LEN);
        break;
    default:
        memcpy(pattern, mixed, PATTERN_LEN); /* any bytes */
        break;
    }
}

void sc_body_append(struct cb_buf *out, const uint64_t token[2], uint32_t len)
{
    CB_ASSERT(len >= SC_ID_LEN);
    char text[SC_ID_LEN + 1];
    history_token_text(token, text);
    cb_buf_append(out, text, SC_ID_LEN);

    uint8_t pattern[PATTERN_LEN];
    pattern_of(token, pattern);
    uint32_t left = len - SC_ID_LEN;
    uint8_t *p = cb_buf_reserve(out, left);
    for (uint32_t i = 0; i < left; i += PATTERN_LEN) {
        memcpy(p + i, pattern, left - i < PATTERN_LEN ? left - i : PATTERN_LEN);
    }
    cb_buf_commit(out, left);
}

bool sc_body_is(struct cb_span body, const uint64_t token[2])
{
    uint8_t pattern[PATTERN_LEN];
    pattern_of(token, pattern);
    for (size_t i = SC_ID_LEN; i < body.len; i += PATTERN_LEN) {
        size_t n = body.len - i < PATTERN_LEN ? body.len - i : PATTERN_LEN;
        if (memcmp(body.ptr + i, pattern, n) != 0) {
            return false;
        }
    }
    return true;
}
