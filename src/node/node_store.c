/* Where the store lies, and what else is noted there: who this node is, and the phase of the
 * bootstrap rule. */
#include "node/node_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sys/cb_log.h"
#include "node/store/store_lmdb.h"

#define PHASE_KEY "bootstrap"
#define ID_KEY "id"

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

/* The cluster's identity as the store's directory has it. */
static void state_dir(const struct node *n, char out[static PATH_MAX])
{
    int len = snprintf(out, PATH_MAX, "%s/state", n->options->data_dir);
    if (len < 0 || len >= PATH_MAX) {
        cb_die("--data-dir: the path %s is too long", n->options->data_dir);
    }
}

bool node_store_find_cluster(struct node *n)
{
    char dir[PATH_MAX];
    struct store_identity whose;
    struct store_error err;
    state_dir(n, dir);
    enum store_result result = store_lmdb_identity(dir, &whose, &err);
    if (result == STORE_NOT_FOUND) {
        return false;
    }
    if (result != STORE_OK) {
        cb_die("%s", err.text);
    }
    if (strcmp(whose.node, n->options->name) != 0) {
        cb_die("%s is the directory of node \"%s\", not of \"%s\": give --name %s, or another "
               "--data-dir",
               n->options->data_dir, whose.node, n->options->name, whose.node);
    }
    char *end;
    n->cluster = strtoull(whose.cluster, &end, 16);
    if (*end != '\0' || n->cluster == 0) {
        cb_die("%s/identity: \"%s\" is no cluster", dir, whose.cluster);
    }
    return true;
}

static void open_store(struct node *n)
{
    char dir[PATH_MAX];
    char cluster[32];
    state_dir(n, dir);
    snprintf(cluster, sizeof(cluster), "%016" PRIx64, n->cluster);
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

bool node_store_get_note(struct node *n, const char *name, struct cb_buf *out)
{
    struct store_error err;
    cb_buf_clear(out);
    enum store_result r = store_get_local(n->store, name, out, &err);
    if (r != STORE_OK && r != STORE_NOT_FOUND) {
        cb_die("%s", err.text);
    }
    return r == STORE_OK;
}

void node_store_set_note(struct node *n, const char *name, struct cb_span value)
{
    struct store_error err;
    if (store_set_local(n->store, name, value, &err) != STORE_OK) {
        cb_die("%s", err.text);
    }
}

static const char *const phase_names[] = {
    [NODE_EMPTY] = "",          [NODE_PREPARED] = "prepared", [NODE_BOOTSTRAPPED] = "bootstrapped",
    [NODE_JOINING] = "joining", [NODE_JOINED] = "joined",
};

static void load_phase(struct node *n)
{
    struct cb_buf value = CB_BUF_NULL;
    n->phase = NODE_EMPTY;
    bool is_noted = node_store_get_note(n, PHASE_KEY, &value);
    for (enum node_phase p = NODE_PREPARED; p <= NODE_JOINED; p++) {
        if (cb_span_eq(cb_buf_span(&value), cb_span_str(phase_names[p]))) {
            n->phase = p;
        }
    }
    if (is_noted && n->phase == NODE_EMPTY) {
        cb_die("the note \"" PHASE_KEY
               "\" in %s/state is unknown: a later version wrote it; run that one",
               n->options->data_dir);
    }
    cb_buf_fini(&value);
}

void node_store_set_phase(struct node *n, enum node_phase phase)
{
    node_store_set_note(n, PHASE_KEY, cb_span_str(phase_names[phase]));
    n->phase = phase;
    cb_log(CB_LOG_INFO, "node.phase", "phase=%s", phase_names[phase]);
}

/* Bound to this directory: whoever has lost it is somebody else to the cluster (design D12). No
 * member of a first list has one as large. */
static uint64_t draw_id(void)
{
    uint64_t id = 0;
    if (getentropy(&id, sizeof(id)) != 0) {
        cb_die("cannot draw an id for this node: getentropy: %s", strerror(errno));
    }
    return (id & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52; /* below 2^53 */
}

/* While the directory is empty nobody was told of an id. */
static uint64_t first_id(const struct node *n)
{
    return n->options->join_text != NULL ? draw_id() : n->options->self + 1;
}

static void load_id(struct node *n)
{
    struct cb_buf value = CB_BUF_NULL;
    char text[24];
    if (n->phase == NODE_EMPTY) {
        n->id = first_id(n);
        (void)snprintf(text, sizeof(text), "%" PRIu64, n->id);
        node_store_set_note(n, ID_KEY, cb_span_str(text));
    } else if (node_store_get_note(n, ID_KEY, &value)) {
        cb_buf_append(&value, "", 1);
        n->id = strtoull((const char *)cb_buf_span(&value).ptr, NULL, 10);
    }
    cb_buf_fini(&value);
    if (n->id == 0) {
        cb_die("the note \"" ID_KEY "\" in %s/state is damaged or missing; this node must be added "
               "under a new name",
               n->options->data_dir);
    }
}

void node_store_open(struct node *n)
{
    open_store(n);
    load_phase(n);
    load_id(n);
    if (n->phase == NODE_EMPTY && n->options->join_text != NULL) {
        node_store_set_phase(n, NODE_JOINING);
    }
}
