#include "ctl/ctl_targets.h"

#include <string.h>

#include "common/sys/cb_addr.h"
#include "ctl/ctl_cluster.h"

static bool add_target(struct ctl_targets *t, const char *text, size_t len, struct cb_buf *error)
{
    struct cb_addr a;
    if (t->n == CB_CLUSTER_NODES_MAX || len >= CB_ADDRESS_MAX) {
        cb_buf_printf(error, "--nodes takes at most %d addresses HOST:PORT", CB_CLUSTER_NODES_MAX);
        return false;
    }
    char *out = t->text[t->n];
    memcpy(out, text, len);
    out[len] = '\0';
    enum cb_addr_result r = cb_addr_parse(&a, out);
    if (r != CB_ADDR_OK || a.port == 0) {
        cb_buf_printf(error, "--nodes: '%s': %s", out,
                      r != CB_ADDR_OK ? cb_addr_strerror(r) : "a port is needed");
        return false;
    }
    t->v[t->n++] = out;
    return true;
}

static bool of_list(struct ctl_targets *t, const char *list, struct cb_buf *error)
{
    for (const char *p = list;; p++) {
        size_t len = strcspn(p, ",");
        if (!add_target(t, p, len, error)) {
            return false;
        }
        p += len;
        if (*p == '\0') {
            return true;
        }
    }
}

static bool of_dir(struct ctl_targets *t, const char *dir, struct cb_buf *error)
{
    struct ctl_cluster c;
    if (!ctl_cluster_load(&c, dir, error)) {
        return false;
    }
    for (unsigned i = 0; i < c.n_nodes; i++) {
        if (!add_target(t, c.nodes[i].grpc, strlen(c.nodes[i].grpc), error)) {
            return false;
        }
    }
    return true;
}

int ctl_targets_find(struct ctl_targets *t,
                     const char *dir,
                     const char *nodes,
                     struct cb_buf *error)
{
    char default_dir[PATH_MAX];
    *t = (struct ctl_targets){.n = 0};
    if (nodes != NULL && dir != NULL) {
        cb_buf_append_str(error, "give --dir or --nodes, not both");
        return 2;
    }
    if (nodes != NULL) {
        return of_list(t, nodes, error) ? 0 : 2;
    }
    ctl_default_dir(default_dir);
    return of_dir(t, dir != NULL ? dir : default_dir, error) ? 0 : 1;
}
