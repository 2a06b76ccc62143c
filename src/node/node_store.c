/* Where the store lies, and what else is noted there: the phase of the bootstrap rule. */
#include "node/node_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/sys/cb_log.h"
#include "node/store/store_lmdb.h"

#define PHASE_KEY "bootstrap"

static void on_commit(void *data)
{
    node_core_wake(data);
}

static void make_dir(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        cb_die("cannot make the directory %s: %s", path, strerror(errno));
    }
}

static void open_store(struct node *n)
{
    char dir[PATH_MAX];
    char cluster[32];
    int len = snprintf(dir, sizeof(dir), "%s/state", n->options->data_dir);
    if (len < 0 || (size_t)len >= sizeof(dir)) {
        cb_die("--data-dir: the path %s is too long", n->options->data_dir);
    }
    snprintf(cluster, sizeof(cluster), "%016" PRIx64, n->options->cluster);
    make_dir(n->options->data_dir);
    const struct store_lmdb_options options = {
        .dir = dir,
        .node = n->options->name,
        .cluster = cluster,
        .notify = on_commit,
        .notify_data = n,
    };
    struct store_error err;
    if (store_lmdb_open(&options, &n->store, &err) != STORE_OK) {
        cb_die("%s", err.text);
    }
}

static void load_phase(struct node *n)
{
    static const char *const names[] = {"", "prepared", "bootstrapped"};
    struct cb_buf value;
    struct store_error err;
    cb_buf_init(&value);
    enum store_result r = store_get_local(n->store, PHASE_KEY, &value, &err);
    if (r != STORE_OK && r != STORE_NOT_FOUND) {
        cb_die("%s", err.text);
    }
    n->phase = NODE_EMPTY;
    for (enum node_phase p = NODE_PREPARED; p <= NODE_BOOTSTRAPPED; p++) {
        if (cb_span_eq(cb_buf_span(&value), cb_span_str(names[p]))) {
            n->phase = p;
        }
    }
    if (r == STORE_OK && n->phase == NODE_EMPTY) {
        cb_die("the note \"" PHASE_KEY
               "\" in %s/state is unknown: a later version wrote it; run that one",
               n->options->data_dir);
    }
    cb_buf_fini(&value);
}

void node_store_set_phase(struct node *n, enum node_phase phase)
{
    struct store_error err;
    const char *name = phase == NODE_PREPARED ? "prepared" : "bootstrapped";
    if (store_set_local(n->store, PHASE_KEY, cb_span_str(name), &err) != STORE_OK) {
        cb_die("%s", err.text);
    }
    n->phase = phase;
    cb_log(CB_LOG_INFO, "node.phase", "phase=%s", name);
}

void node_store_open(struct node *n)
{
    open_store(n);
    load_phase(n);
}
