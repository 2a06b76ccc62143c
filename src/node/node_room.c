/* A start on a full disk (design D9, ADR 12). libraft needs a few KiB to open its log, and gives
 * them back at once; without them it would fail, and the node with it. So a node keeps a small file
 * from better days, the ballast, which it gives up for the moment of the start: then it takes part,
 * votes and follows, and its entries wait for room as when a disk gets full while a node runs.
 * When there is no ballast, or it does not help, the node waits before it opens the log: it answers
 * about itself, and tries again each second. */
#include "node/node_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "common/sys/cb_log.h"

#define RETRY_MS 1000
#define BALLAST_RETRY_MS 10000

static void path_of(const struct node *n, const char *name, char out[static PATH_MAX])
{
    int len = snprintf(out, PATH_MAX, "%s/%s", n->options->data_dir, name);
    if (len < 0 || len >= PATH_MAX) {
        cb_die("--data-dir: the path %s is too long", n->options->data_dir);
    }
}

static bool is_full_error(int err)
{
    return err == ENOSPC || err == EDQUOT;
}

/* A file of that size; an errno. Nothing is left behind after a failure. */
static int make_file(const char *path, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return errno;
    }
    int err = posix_fallocate(fd, 0, (off_t)size);
    err = err == 0 && fsync(fd) != 0 ? errno : err;
    (void)close(fd); /* it was synced */
    if (err != 0) {
        (void)unlink(path);
    }
    return err;
}

/* Tried, since what statvfs says is not what root, quotas and file systems say. */
static bool has_room(const struct node *n)
{
    char path[PATH_MAX];
    path_of(n, "room.try", path);
    int err = make_file(path, CB_START_ROOM);
    if (err == 0) {
        (void)unlink(path);
    } else if (!is_full_error(err)) {
        cb_die("cannot write to %s: %s: check the disk, then start the node again",
               n->options->data_dir, strerror(err));
    }
    return err == 0;
}

static bool give_ballast_up(const struct node *n)
{
    char path[PATH_MAX];
    path_of(n, "ballast", path);
    return unlink(path) == 0;
}

void node_room_prepare(struct node *n)
{
    if (access(n->options->data_dir, F_OK) == 0 && !has_room(n) && give_ballast_up(n)) {
        cb_log(CB_LOG_ERROR, "space.none",
               "dir=%s err=\"the disk is full; the ballast is given up to start\"",
               n->options->data_dir);
    }
}

/* ---- the ballast ---- */

static void keep_ballast(struct node *n)
{
    char path[PATH_MAX];
    path_of(n, "ballast", path);
    if (access(path, F_OK) == 0) {
        return;
    }
    int err = make_file(path, CB_BALLAST_SIZE);
    if (err != 0 && !is_full_error(err)) {
        cb_die("cannot write %s: %s: check the disk, then start the node again", path,
               strerror(err));
    }
}

static void on_ballast_timer(uv_timer_t *timer)
{
    keep_ballast(timer->data);
}

/* ---- waiting ---- */

static void begin(struct node *n)
{
    n->room.is_waiting = false;
    CB_ASSERT(uv_timer_stop(&n->room.timer) == 0);
    n->room.next(n);
    keep_ballast(n);
    CB_ASSERT(
        uv_timer_start(&n->room.timer, on_ballast_timer, BALLAST_RETRY_MS, BALLAST_RETRY_MS) == 0);
}

static void on_retry(uv_timer_t *timer)
{
    struct node *n = timer->data;
    if (has_room(n)) {
        cb_log(CB_LOG_INFO, "space.enough", "msg=\"there is room on the disk: the node goes on\"");
        begin(n);
        return;
    }
    cb_log(CB_LOG_ERROR, "space.none",
           "dir=%s err=\"the disk is full; the node waits for room before it opens its log\"",
           n->options->data_dir);
}

void node_room_wait(struct node *n, void (*next)(struct node *n))
{
    CB_ASSERT(uv_timer_init(&n->loop, &n->room.timer) == 0);
    n->room.timer.data = n;
    n->room.next = next;
    if (has_room(n)) {
        begin(n);
        return;
    }
    n->room.is_waiting = true;
    CB_ASSERT(uv_timer_start(&n->room.timer, on_retry, 0, RETRY_MS) == 0);
}
