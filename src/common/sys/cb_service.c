#include "common/sys/cb_service.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void cb_service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof to.sun_path) {
        return;
    }
    size_t len = strlen(path);
    memcpy(to.sun_path, path, len);
    if (path[0] == '@') {
        to.sun_path[0] = '\0'; /* abstract */
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to, to_len);
    (void)close(fd);
}

/* -1 for anything but a number. */
static long number_in(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return -1;
    }
    long v = strtol(text, &end, 10);
    return *end == '\0' ? v : -1;
}

int cb_service_listen_fds(void)
{
    long count = number_in("LISTEN_FDS");
    if (number_in("LISTEN_PID") != (long)getpid() || count <= 0 || count > 1024) {
        return 0;
    }
    for (int fd = CB_SERVICE_FIRST_FD; fd < CB_SERVICE_FIRST_FD + (int)count; fd++) {
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return (int)count;
}

uint64_t cb_service_raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024; /* what every system gives */
    }
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) {
            limit = raised;
        }
    }
    return limit.rlim_cur;
}

struct cb_service_descriptors cb_service_descriptors(void)
{
    struct cb_service_descriptors d = {.used = 0, .limit = 0};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        d.limit = limit.rlim_cur;
    }
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        d.used = d.limit; /* there is none left to look with */
        return d;
    }
    for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        d.used += e->d_name[0] != '.';
    }
    d.used--; /* that of `dir` */
    (void)closedir(dir);
    return d;
}
