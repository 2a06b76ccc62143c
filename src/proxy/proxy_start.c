/* What is done once, before clients are served. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "common/base/cb_limits.h"
#include "common/sys/cb_log.h"
#include "common/sys/cb_service.h"
#include "proxy/proxy_internal.h"

static _Noreturn void die_of(const struct cb_buf *error)
{
    cb_die("coolbeans-proxy: %.*s", (int)cb_buf_len(error), (const char *)cb_buf_span(error).ptr);
}

static void listen_handed_over(struct proxy *p, struct cb_buf *error)
{
    if (p->options->listen.len > 0) {
        cb_log(CB_LOG_WARN, "proxy.listen_ignored",
               "reason=\"-l and -p have no effect: the service manager handed over a socket\"");
    }
    if (!server_listen_fd(p->server, CB_SERVICE_FIRST_FD, error)) {
        die_of(error);
    }
}

void proxy_listen(struct proxy *p)
{
    const struct proxy_options *o = p->options;
    struct cb_buf error = CB_BUF_NULL;
    if (cb_service_listen_fds() > 0) {
        listen_handed_over(p, &error);
        return;
    }
    if (o->listen.len == 0 && !server_listen_any(p->server, (uint16_t)o->port, &error)) {
        die_of(&error);
    }
    for (size_t i = 0; i < o->listen.len; i++) {
        if (!server_listen(p->server, &o->addresses[i], &error)) {
            die_of(&error);
        }
    }
}

/* The first listener, with the host's name where it stands for all addresses. Blanks would not pass
 * through messages and log lines. */
static void find_address(struct proxy *p)
{
    struct cb_buf all = CB_BUF_NULL;
    server_addresses(p->server, &all);
    struct cb_span s = cb_buf_span(&all);
    size_t len = (size_t)((const uint8_t *)memchr(s.ptr, '\n', s.len) - s.ptr);
    const char *first = (const char *)s.ptr;
    const char *const hostless[] = {"[::]", "0.0.0.0"};
    const char *host = "";
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(hostless[i]);
        if (len > n && memcmp(first, hostless[i], n) == 0) {
            host = p->uname.nodename;
            first += n;
            len -= n;
            break;
        }
    }
    (void)snprintf(p->address, sizeof p->address, "%s%.*s", host, (int)len, first);
    for (char *c = p->address; *c != '\0'; c++) {
        *c = *c > ' ' && *c < 0x7f ? *c : '_';
    }
    cb_buf_fini(&all);
}

void proxy_identify(struct proxy *p)
{
    if (uname(&p->uname) != 0) {
        cb_die("coolbeans-proxy: the system does not tell its name: %s", strerror(errno));
    }
    find_address(p);
    const char *port = strrchr(p->address, ':');
    if (p->options->name != NULL) {
        (void)snprintf(p->name, sizeof p->name, "%s", p->options->name);
    } else if (strncmp(p->address, "unix:", 5) == 0 || port == NULL) {
        (void)snprintf(p->name, sizeof p->name, "%.64s:%.190s", p->uname.nodename, p->address);
    } else {
        (void)snprintf(p->name, sizeof p->name, "%s%s", p->uname.nodename, port);
    }
}

void proxy_become_user(const char *user)
{
    if (user == NULL) {
        return;
    }
    errno = 0;
    const struct passwd *pw = getpwnam(user);
    if (pw == NULL) {
        cb_die("coolbeans-proxy: -u %s: there is no such user", user);
    }
    if (initgroups(user, pw->pw_gid) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0) {
        cb_die("coolbeans-proxy: cannot become %s: %s; start it as root for -u", user,
               strerror(errno));
    }
}

/* Whoever sees the file sees all of it. */
static void write_ready_file(const struct proxy *p, const struct cb_buf *addresses)
{
    const char *path = p->options->ready_file;
    struct cb_span s = cb_buf_span(addresses);
    struct cb_buf temporary = CB_BUF_NULL;
    cb_buf_printf(&temporary, "%s.new", path);
    cb_buf_append(&temporary, "", 1);
    const char *name = (const char *)cb_buf_span(&temporary).ptr;
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && write(fd, s.ptr, s.len) == (ssize_t)s.len;
    ok = fd >= 0 && close(fd) == 0 && ok;
    if (!ok || rename(name, path) != 0) {
        cb_die("coolbeans-proxy: cannot write --ready-file %s: %s", path, strerror(errno));
    }
    cb_buf_fini(&temporary);
}

void proxy_tell_ready(const struct proxy *p)
{
    struct cb_buf addresses = CB_BUF_NULL;
    server_addresses(p->server, &addresses);
    struct cb_span rest = cb_buf_span(&addresses);
    while (rest.len > 0) {
        size_t len = (size_t)((const uint8_t *)memchr(rest.ptr, '\n', rest.len) - rest.ptr);
        cb_log(CB_LOG_INFO, "proxy.listens", "address=\"%.*s\"", (int)len, (const char *)rest.ptr);
        rest = cb_span(rest.ptr + len + 1, rest.len - len - 1);
    }
    if (p->options->ready_file != NULL) {
        write_ready_file(p, &addresses);
    }
    cb_buf_fini(&addresses);
    cb_service_notify("READY=1");
}
