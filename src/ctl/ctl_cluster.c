#include "ctl/ctl_cluster.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static bool path_in(char out[PATH_MAX], const char *dir, const char *name)
{
    size_t dir_len = strlen(dir);
    size_t name_len = strlen(name);
    if (dir_len + name_len + 2 > PATH_MAX - 64) {
        return false;
    }
    memcpy(out, dir, dir_len);
    out[dir_len] = '/';
    memcpy(out + dir_len + 1, name, name_len + 1);
    return true;
}

bool ctl_path_in(char out[PATH_MAX], const char *dir, const char *name, struct cb_buf *error)
{
    bool ok = path_in(out, dir, name);
    if (!ok) {
        cb_buf_printf(error, "the path %s is too long", dir);
    }
    return ok;
}

void ctl_default_dir(char out[PATH_MAX])
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    if (state != NULL && state[0] == '/') {
        (void)snprintf(out, PATH_MAX, "%s/coolbeans-dev", state); /* checked when it is made */
    } else {
        (void)snprintf(out, PATH_MAX, "%s/.local/state/coolbeans-dev",
                       home != NULL ? home : "/tmp");
    }
}

bool ctl_cluster_exists(const char *dir)
{
    char path[PATH_MAX];
    return path_in(path, dir, "cluster.json") && access(path, F_OK) == 0;
}

int ctl_cluster_lock(const char *dir, struct cb_buf *error)
{
    char path[PATH_MAX];
    int fd =
        path_in(path, dir, "cluster.lock") ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0 || flock(fd, LOCK_EX) != 0) {
        cb_buf_printf(error, "cannot lock %s/cluster.lock: %s", dir, strerror(errno));
        if (fd >= 0) {
            (void)close(fd); /* nothing was written */
        }
        return -1;
    }
    return fd;
}

void ctl_cluster_unlock(int lock)
{
    (void)close(lock); /* gives the lock back; nothing was written to it */
}

/* ---- reading ---- */

static bool get_string(const json_t *object, const char *key, char *out, size_t cap)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s != NULL && (size_t)snprintf(out, cap, "%s", s) < cap;
}

static bool read_daemon(struct ctl_daemon *d, const json_t *o, bool is_proxy)
{
    d->is_proxy = is_proxy;
    d->pid = (pid_t)json_integer_value(json_object_get(o, "pid"));
    if (!get_string(o, "name", d->name, sizeof(d->name))) {
        return false;
    }
    if (is_proxy) {
        return get_string(o, "listen", d->listen, sizeof(d->listen));
    }
    return get_string(o, "grpc", d->grpc, sizeof(d->grpc)) &&
           get_string(o, "raft", d->raft, sizeof(d->raft)) &&
           get_string(o, "http", d->http, sizeof(d->http)) &&
           get_string(o, "dir", d->dir, sizeof(d->dir));
}

static bool
read_list(const json_t *list, struct ctl_daemon *out, unsigned max, unsigned *n, bool is_proxy)
{
    if (!json_is_array(list) || json_array_size(list) > max) {
        return false;
    }
    *n = (unsigned)json_array_size(list);
    for (unsigned i = 0; i < *n; i++) {
        if (!read_daemon(&out[i], json_array_get(list, i), is_proxy)) {
            return false;
        }
    }
    return true;
}

bool ctl_cluster_load(struct ctl_cluster *c, const char *dir, struct cb_buf *error)
{
    char path[PATH_MAX];
    memset(c, 0, sizeof(*c));
    if (!path_in(path, dir, "cluster.json") || access(path, F_OK) != 0) {
        cb_buf_printf(error, "there is no cluster in %s: start one with 'coolbeans dev --dir %s'",
                      dir, dir);
        return false;
    }
    json_error_t why;
    json_t *root = json_load_file(path, 0, &why);
    bool ok = root != NULL && realpath(dir, c->dir) != NULL &&
              read_list(json_object_get(root, "nodes"), c->nodes, CB_CLUSTER_NODES_MAX, &c->n_nodes,
                        false) &&
              read_list(json_object_get(root, "proxies"), c->proxies, CTL_PROXIES_MAX,
                        &c->n_proxies, true);
    if (!ok) {
        cb_buf_printf(error, "%s is not what 'coolbeans dev' writes%s%s: remove %s and start anew",
                      path, root == NULL ? ": " : "", root == NULL ? why.text : "", dir);
    }
    json_decref(root);
    return ok;
}

/* ---- writing ---- */

static json_t *write_daemon(const struct ctl_daemon *d)
{
    if (d->is_proxy) {
        return json_pack("{s:s, s:i, s:s}", "name", d->name, "pid", (int)d->pid, "listen",
                         d->listen);
    }
    return json_pack("{s:s, s:i, s:s, s:s, s:s, s:s}", "name", d->name, "pid", (int)d->pid, "grpc",
                     d->grpc, "raft", d->raft, "http", d->http, "dir", d->dir);
}

static json_t *write_list(const struct ctl_daemon *daemons, unsigned n)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < n; i++) {
        CB_ASSERT(json_array_append_new(list, write_daemon(&daemons[i])) == 0);
    }
    return list;
}

bool ctl_cluster_save(const struct ctl_cluster *c, struct cb_buf *error)
{
    char path[PATH_MAX];
    char temp[PATH_MAX];
    if (!path_in(path, c->dir, "cluster.json") || !path_in(temp, c->dir, "cluster.json.new")) {
        cb_buf_printf(error, "the path %s is too long", c->dir);
        return false;
    }
    json_t *root = json_pack(
        "{s:s, s:o, s:o}", "listen", c->n_proxies > 0 ? c->proxies[0].listen : "", "nodes",
        write_list(c->nodes, c->n_nodes), "proxies", write_list(c->proxies, c->n_proxies));
    CB_ASSERT(root != NULL);
    bool ok = json_dump_file(root, temp, JSON_INDENT(2)) == 0 && rename(temp, path) == 0;
    if (!ok) {
        cb_buf_printf(error, "cannot write %s: %s", path, strerror(errno));
    }
    json_decref(root);
    return ok;
}

struct ctl_daemon *ctl_cluster_find(struct ctl_cluster *c, const char *name)
{
    for (unsigned i = 0; i < c->n_nodes; i++) {
        if (strcmp(c->nodes[i].name, name) == 0) {
            return &c->nodes[i];
        }
    }
    for (unsigned i = 0; i < c->n_proxies; i++) {
        if (strcmp(c->proxies[i].name, name) == 0) {
            return &c->proxies[i];
        }
    }
    return NULL;
}
