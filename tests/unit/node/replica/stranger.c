#include "unit/node/replica/stranger.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_hash.h"
#include "node/link/link_frame.h"
#include "node/link/link_hello.h"

#define MESSAGE LINK_FRAME_USER /* of libraft; states behind it (replica_net.h) */

static int connect_to(const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    a.sin_port = htons((uint16_t)strtoul(strchr(address, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CB_ASSERT(fd >= 0);
    CB_ASSERT(connect(fd, (const struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* It may be closed while this is said. */
static void say(int fd, struct cb_span bytes)
{
    (void)!send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
}

static void say_frame(int fd, uint8_t type, struct cb_span payload)
{
    uint8_t header[LINK_FRAME_HEADER_SIZE];
    link_frame_header(header, type, (uint32_t)payload.len, cb_hash(payload.ptr, payload.len));
    say(fd, cb_span(header, sizeof header));
    say(fd, payload);
}

static void say_hello(int fd, uint64_t from, uint64_t to)
{
    const struct link_hello h = {.from = from, .to = to, .address = "127.0.0.1:1"};
    struct cb_buf b = CB_BUF_NULL;
    link_hello_encode(&h, &b);
    say_frame(fd, LINK_FRAME_HELLO, cb_buf_span(&b));
    cb_buf_fini(&b);
}

/* An AppendEntries that claims more entries than it has: what raft_uv crashes from. */
static void say_too_many_entries(int fd)
{
    struct cb_buf b = CB_BUF_NULL;
    cb_put_u8(&b, 1);
    cb_put_u8(&b, 0);
    for (int field = 0; field < 4; field++) {
        cb_put_u64(&b, 1);
    }
    cb_put_u32(&b, UINT32_MAX);
    say_frame(fd, MESSAGE, cb_buf_span(&b));
    cb_buf_fini(&b);
}

/* The same in the form of raft_uv, after its handshake: protocol, id, address. */
static void say_it_to_raft_uv(int fd)
{
    struct cb_buf b = CB_BUF_NULL;
    const uint64_t words[] = {1, 2, 16, 0, 0, 1, 48, 1, 1, 1, 1, UINT32_MAX, 0};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        cb_put_u64(&b, words[i]);
    }
    say(fd, cb_buf_span(&b));
    cb_buf_fini(&b);
}

static void say_anything(int fd, struct cb_rng *rng)
{
    uint8_t bytes[512];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)cb_rng_u64(rng);
    }
    bytes[0] = (uint8_t)(1 + cb_rng_below(rng, 6));
    bytes[1] = 0;
    say_frame(fd, (uint8_t)(MESSAGE + cb_rng_below(rng, 3)),
              cb_span(bytes, cb_rng_below(rng, sizeof bytes)));
}

void stranger_visit(const char *address, uint64_t from, uint64_t to, struct cb_rng *rng)
{
    int fd = connect_to(address);
    if (cb_rng_chance(rng, 1, 4)) {
        say_it_to_raft_uv(fd);
    } else {
        say_hello(fd, from, to);
        if (cb_rng_chance(rng, 1, 2)) {
            say_too_many_entries(fd);
        } else {
            say_anything(fd, rng);
        }
    }
    close(fd);
}
