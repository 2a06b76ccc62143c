#include "common/sys/cb_addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define UNIX_PREFIX "unix:"
#define NAME_MAX_LEN 253 /* RFC 1035 */
#define LABEL_MAX_LEN 63

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_label_char(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* A DNS name whose last label is not all digits: that would be a mistyped IPv4 address. */
static bool is_dns_name(const char *s)
{
    size_t len = strlen(s);
    if (len == 0 || len > NAME_MAX_LEN) {
        return false;
    }
    size_t label = 0;
    bool all_digits = true;
    for (size_t i = 0; i < len; i++) {
        if (s[i] == '.') {
            if (label == 0 || s[i - 1] == '-') {
                return false;
            }
            label = 0;
            all_digits = true;
            continue;
        }
        if (!is_label_char(s[i]) || (label == 0 && s[i] == '-') || ++label > LABEL_MAX_LEN) {
            return false;
        }
        all_digits = all_digits && is_digit(s[i]);
    }
    return label > 0 && s[len - 1] != '-' && !all_digits;
}

static bool host_kind(const char *host, enum cb_addr_kind *kind)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        *kind = CB_ADDR_IPV4;
    } else if (inet_pton(AF_INET6, host, &v6) == 1) {
        *kind = CB_ADDR_IPV6;
    } else if (is_dns_name(host)) {
        *kind = CB_ADDR_NAME;
    } else {
        return false;
    }
    return true;
}

static bool parse_port(const char *s, uint16_t *port)
{
    unsigned v = 0;
    size_t len = strlen(s);
    if (len == 0 || len > 5) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (!is_digit(s[i])) {
            return false;
        }
        v = v * 10 + (unsigned)(s[i] - '0');
    }
    if (v > UINT16_MAX) {
        return false;
    }
    *port = (uint16_t)v;
    return true;
}

static enum cb_addr_result from_path(struct cb_addr *out, const char *path)
{
    size_t len = strlen(path);
    if (path[0] != '/' || len >= sizeof((struct sockaddr_un *)0)->sun_path) {
        return CB_ADDR_BAD_PATH;
    }
    *out = (struct cb_addr){.kind = CB_ADDR_UNIX};
    memcpy(out->host, path, len);
    return CB_ADDR_OK;
}

/* `host` is `len` bytes; `bracketed` says that only an IPv6 literal is meant, else that none is. */
static enum cb_addr_result
from_inet(struct cb_addr *out, const char *host, size_t len, bool bracketed, uint16_t port)
{
    struct cb_addr a = {.port = port};
    if (len == 0 || len >= sizeof a.host) {
        return CB_ADDR_BAD_HOST;
    }
    memcpy(a.host, host, len);
    if (!host_kind(a.host, &a.kind) || (a.kind == CB_ADDR_IPV6) != bracketed) {
        return CB_ADDR_BAD_HOST;
    }
    *out = a;
    return CB_ADDR_OK;
}

enum cb_addr_result cb_addr_parse(struct cb_addr *out, const char *text)
{
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        return from_path(out, text + strlen(UNIX_PREFIX));
    }
    bool bracketed = text[0] == '[';
    const char *host = bracketed ? text + 1 : text;
    const char *host_end = strchr(host, bracketed ? ']' : ':');
    if (host_end == NULL) {
        return bracketed ? CB_ADDR_BAD_HOST : CB_ADDR_NO_PORT;
    }
    const char *colon = bracketed ? host_end + 1 : host_end;
    if (*colon != ':') {
        return *colon == '\0' ? CB_ADDR_NO_PORT : CB_ADDR_BAD_HOST;
    }
    if (!bracketed && strchr(colon + 1, ':') != NULL) {
        return CB_ADDR_BAD_HOST; /* an IPv6 literal without brackets */
    }
    uint16_t port;
    if (!parse_port(colon + 1, &port)) {
        return CB_ADDR_BAD_PORT;
    }
    return from_inet(out, host, (size_t)(host_end - host), bracketed, port);
}

enum cb_addr_result cb_addr_from_host(struct cb_addr *out, const char *host, uint16_t port)
{
    if (strncmp(host, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
        return from_path(out, host + strlen(UNIX_PREFIX));
    }
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        return from_inet(out, host + 1, len - 2, true, port);
    }
    return from_inet(out, host, len, strchr(host, ':') != NULL, port);
}

const char *cb_addr_strerror(enum cb_addr_result r)
{
    switch (r) {
    case CB_ADDR_OK:
        return "a valid address";
    case CB_ADDR_BAD_HOST:
        return "the host must be a name, an IPv4 address, or an IPv6 address in brackets";
    case CB_ADDR_NO_PORT:
        return "the port is missing; write HOST:PORT, [IPV6]:PORT or unix:/PATH";
    case CB_ADDR_BAD_PORT:
        return "the port must be a number from 0 to 65535";
    case CB_ADDR_BAD_PATH:
        return "the path of a unix socket must begin with / and be shorter than 108 bytes";
    }
    CB_UNREACHABLE("cb_addr_result");
}

void cb_addr_format(const struct cb_addr *a, char out[static CB_ADDRESS_MAX])
{
    switch (a->kind) {
    case CB_ADDR_UNIX:
        (void)snprintf(out, CB_ADDRESS_MAX, UNIX_PREFIX "%s", a->host);
        return;
    case CB_ADDR_IPV6:
        (void)snprintf(out, CB_ADDRESS_MAX, "[%s]:%u", a->host, a->port);
        return;
    case CB_ADDR_IPV4:
    case CB_ADDR_NAME:
        (void)snprintf(out, CB_ADDRESS_MAX, "%s:%u", a->host, a->port);
        return;
    }
    CB_UNREACHABLE("cb_addr_kind");
}

static bool v6_is_loopback(const char *host)
{
    struct in6_addr v6;
    if (inet_pton(AF_INET6, host, &v6) != 1) {
        return false;
    }
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

bool cb_addr_is_loopback(const struct cb_addr *a)
{
    switch (a->kind) {
    case CB_ADDR_UNIX:
        return true;
    case CB_ADDR_IPV4:
        return strncmp(a->host, "127.", 4) == 0;
    case CB_ADDR_IPV6:
        return v6_is_loopback(a->host);
    case CB_ADDR_NAME:
        return strcasecmp(a->host, "localhost") == 0;
    }
    CB_UNREACHABLE("cb_addr_kind");
}

bool cb_addr_is_wildcard(const struct cb_addr *a)
{
    static const uint8_t zeros[4];
    struct in6_addr v6;
    if (a->kind == CB_ADDR_IPV4) {
        return strcmp(a->host, "0.0.0.0") == 0; /* inet_pton takes no other form of it */
    }
    if (a->kind != CB_ADDR_IPV6 || inet_pton(AF_INET6, a->host, &v6) != 1) {
        return false;
    }
    return IN6_IS_ADDR_UNSPECIFIED(&v6) ||
           (IN6_IS_ADDR_V4MAPPED(&v6) && memcmp(&v6.s6_addr[12], zeros, sizeof zeros) == 0);
}
