#include "node/replica/replica_uv.h"

#include <raft.h>
#include <raft/uv.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/base/cb_mem.h"
#include "node/replica/replica_internal.h"
#include "node/replica/replica_net.h"
#include "node/replica/replica_scrub.h"
#include "node/replica/replica_vote.h"

/* libraft's retry of a failed write corrupts memory; the watchdog must come first. */
#define DISK_RETRY_AFTER_WATCHDOG_MS 5000
/* But the making of a segment, all that a full disk makes fail, may be tried again soon. */
#define DISK_RETRY_WHEN_FULL_MS 1000
#define DISK_LOOK_EVERY_MS 100
/* libraft counts the room of its two prepared files in KiB, in 16 bits. */
#define SEGMENT_SIZE_MAX (16 * CB_MIB)

struct replica_uv {
    struct uv_loop_s *loop;
    struct replica *r;
    struct replica_net net;
    struct replica_vote vote;
    uv_check_t check;
    unsigned disk_retry_ms; /* of a disk that is not full */
    uint64_t looked_ms;     /* when it was last asked whether it is */
    int lock_fd;
    char dir[PATH_MAX];
    char listen[CB_ADDRESS_MAX];
};

/* --- directories --- */

static void join(char out[static PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    if (n < 0 || n >= PATH_MAX) {
        cb_die("the path %s/%s is too long", dir, name);
    }
}

/* Calls `fn` for each file of `path`; false when there is no such directory. */
static bool for_each_file(const char *path,
                          void (*fn)(const char *path, const char *name, void *ctx),
                          void *ctx)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        if (errno == ENOENT) {
            return false;
        }
        cb_die("cannot read the directory %s: %s", path, strerror(errno));
    }
    const struct dirent *e;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            fn(path, e->d_name, ctx);
        }
    }
    closedir(d);
    return true;
}

static void count_file(const char *path, const char *name, void *ctx)
{
    (void)path;
    (void)name;
    (*(size_t *)ctx)++;
}

static void remove_file(const char *path, const char *name, void *ctx)
{
    (void)ctx;
    char file[PATH_MAX];
    join(file, path, name);
    if (unlink(file) != 0) {
        cb_die("cannot remove %s: %s", file, strerror(errno));
    }
}

bool replica_uv_is_empty(const char *dir)
{
    char path[PATH_MAX];
    join(path, dir, "raft");
    size_t files = 0;
    return !for_each_file(path, count_file, &files) || files == 0;
}

static void make_dir(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        cb_die("cannot make the directory %s: %s", path, strerror(errno));
    }
}

static void sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        cb_die("cannot sync the directory %s: %s", path, strerror(errno));
    }
    close(fd);
}

/* libraft makes its snapshots of unnamed files, and where there are none it tries for ever. */
static void check_unnamed_files(const char *path)
{
    int fd = open(path, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0) {
        close(fd);
    } else if (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL) {
        cb_die(
            "the file system of %s has no unnamed files (O_TMPFILE), which the raft log needs; put "
            "the data directory on ext4, xfs, btrfs or tmpfs",
            path);
    }
}

static int lock_dir(const char *dir)
{
    char path[PATH_MAX];
    join(path, dir, "raft.lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        cb_die("cannot open %s: %s", path, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        cb_die("the directory %s is in use by another process (%s: %s); stop that one first", dir,
               path, strerror(errno));
    }
    return fd;
}

static uint64_t free_bytes(void *data)
{
    const struct replica_uv *u = data;
    struct statvfs s;
    if (statvfs(u->dir, &s) != 0) {
        return UINT64_MAX; /* a disk that does not answer is broken, not full */
    }
    return (uint64_t)s.f_bavail * s.f_frsize;
}

/* --- term and vote --- */

static struct replica_vote *vote_of(struct raft_io *io)
{
    return &CB_CONTAINER(io, struct replica_uv, net.io)->vote;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    return replica_vote_init(vote_of(io), io, id, address);
}

static int io_load(struct raft_io *io,
                   raft_term *term,
                   raft_id *voted_for,
                   struct raft_snapshot **snapshot,
                   raft_index *start_index,
                   struct raft_entry *entries[],
                   size_t *n_entries)
{
    return replica_vote_load(vote_of(io), io, term, voted_for, snapshot, start_index, entries,
                             n_entries);
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    return replica_vote_set_term(vote_of(io), io, term);
}

static int io_set_vote(struct raft_io *io, raft_id id)
{
    return replica_vote_set_vote(vote_of(io), io, id);
}

static void wrap_vote(struct replica_uv *u, const char *path)
{
    struct raft_io *io = &u->net.io;
    replica_vote_open(&u->vote, io, path);
    io->init = io_init;
    io->load = io_load;
    io->set_term = io_set_term;
    io->set_vote = io_set_vote;
}

/* --- open and start --- */

static void init_io(struct replica_uv *u,
                    const struct replica_uv_config *uv,
                    const struct replica_config *config)
{
    char path[PATH_MAX];
    join(path, u->dir, "raft");
    make_dir(path);
    check_unnamed_files(path);
    struct raft_io *io = &u->net.io;
    replica_net_stub(&u->net.transport);
    int rv = raft_uv_init(io, u->loop, path, &u->net.transport);
    if (rv != 0) {
        cb_die("cannot use %s for the raft log: %s (%s)", path, io->errmsg, raft_strerror(rv));
    }
    size_t segment = uv->segment_size == 0 ? CB_RAFT_SEGMENT_SIZE : uv->segment_size;
    CB_ASSERT(segment <= SEGMENT_SIZE_MAX);
    raft_uv_set_segment_size(io, segment);
    u->disk_retry_ms = config->disk_timeout_ms + DISK_RETRY_AFTER_WATCHDOG_MS;
    raft_uv_set_disk_retry(io, u->disk_retry_ms);
    raft_uv_set_auto_recovery(io, false); /* it would drop acknowledged entries */
    raft_uv_set_tracer(io, NULL);
    wrap_vote(u, path);
}

static void init_net(struct replica_uv *u,
                     const struct replica_uv_config *uv,
                     const struct replica_config *config)
{
    const struct replica_member *self = &config->members[config->self];
    const struct link_config link = {
        .cluster = uv->cluster, .self = self->id, .address = self->address};
    const char *listen = uv->listen == NULL ? self->address : uv->listen;
    snprintf(u->listen, sizeof u->listen, "%s", listen);
    replica_net_init(&u->net, u->loop, &link);
}

/* Seldom tries would let a log that has room again wait for longer than the watchdog does. */
static void pace_retries(struct replica_uv *u)
{
    uint64_t now_ms = uv_now(u->loop);
    if (now_ms - u->looked_ms >= DISK_LOOK_EVERY_MS) {
        bool is_full = free_bytes(u) < CB_RAFT_DISK_FULL_BELOW;
        raft_uv_set_disk_retry(&u->net.io, is_full ? DISK_RETRY_WHEN_FULL_MS : u->disk_retry_ms);
        u->looked_ms = now_ms;
    }
}

static void on_check(uv_check_t *check)
{
    struct replica_uv *u = check->data;
    pace_retries(u);
    link_flush(u->net.link); /* what answers to what was read does not wait for a batch */
    replica_turn(u->r);
    link_flush(u->net.link);
}

struct replica_uv *replica_uv_open(struct uv_loop_s *loop,
                                   const struct replica_uv_config *uv,
                                   const struct replica_config *config,
                                   const struct replica_events *events)
{
    /* The simulation alone may go lower, to find out what that breaks (design D7). */
    CB_ASSERT(config->snapshot_threshold >= CB_RAFT_SNAPSHOT_THRESHOLD);
    CB_ASSERT(config->snapshot_trailing >= CB_RAFT_SNAPSHOT_TRAILING);
    CB_ASSERT(config->snapshot_trailing > 4 * config->inflight_max);
    /* libuv writes to sockets whose other end may be gone: an error there, not the end here. */
    signal(SIGPIPE, SIG_IGN);
    struct replica_uv *u = cb_calloc(1, sizeof *u);
    u->loop = loop;
    u->lock_fd = lock_dir(uv->dir);
    snprintf(u->dir, sizeof u->dir, "%s", uv->dir);
    init_io(u, uv, config);
    init_net(u, uv, config);
    struct replica_env env = {.data = u, .free_bytes = free_bytes};
    u->r = replica_create(config, events, &env, &u->net.io);
    u->net.replica = u->r;
    return u;
}

struct replica *replica_uv_replica(struct replica_uv *u)
{
    return u->r;
}

const struct link_counters *replica_uv_link_counters(const struct replica_uv *u)
{
    return link_counters_get(u->net.link);
}

static void listen_for_others(struct replica_uv *u)
{
    struct cb_buf error = CB_BUF_NULL;
    if (!link_listen(u->net.link, u->listen, &error)) {
        cb_die("%.*s (raft)", (int)cb_buf_len(&error), (const char *)cb_buf_span(&error).ptr);
    }
}

/* libraft frees a buffer twice where a batch goes on behind the end of an open segment. */
static void check_open_segments(const struct replica_uv *u)
{
    char sentence[REPLICA_SCRUB_TEXT_MAX];
    if (!replica_scrub_open_segments(u->dir, sentence)) {
        cb_die("cannot start from the raft log: %s; if it is damaged, this member must be added "
               "again under a new id with an empty directory",
               sentence);
    }
}

enum replica_start_result replica_uv_start(struct replica_uv *u)
{
    check_open_segments(u);
    listen_for_others(u);
    /* libuv runs check handles last started first: ours has to run after raft_uv's. */
    int rv = uv_check_init(u->loop, &u->check);
    CB_ASSERT(rv == 0);
    u->check.data = u;
    rv = uv_check_start(&u->check, on_check);
    CB_ASSERT(rv == 0);
    return replica_start(u->r);
}

/* --- the first start of a cluster --- */

struct bootstrap {
    uv_loop_t loop;
    struct raft_io io;
    struct raft_uv_transport transport;
    struct raft_fsm fsm;
    struct raft raft;
};

static void bootstrap_in(const char *path, const struct replica_config *config)
{
    struct bootstrap *b = cb_calloc(1, sizeof *b);
    const struct replica_member *self = &config->members[config->self];
    struct raft_configuration conf;
    replica_configuration(config, &conf);
    replica_net_stub(&b->transport);
    b->fsm.version = 1;
    int rv = uv_loop_init(&b->loop);
    CB_ASSERT(rv == 0);
    rv = raft_uv_init(&b->io, &b->loop, path, &b->transport);
    rv = rv != 0 ? rv : raft_init(&b->raft, &b->io, &b->fsm, self->id, self->address);
    b->raft.tracer = NULL;
    rv = rv != 0 ? rv : raft_bootstrap(&b->raft, &conf);
    if (rv != 0) {
        cb_die("cannot write the first configuration below %s: %s (%s)", path, b->io.errmsg,
               raft_strerror(rv));
    }
    raft_configuration_close(&conf);
    raft_close(&b->raft, NULL);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    raft_uv_close(&b->io);
    rv = uv_loop_close(&b->loop);
    CB_ASSERT(rv == 0);
    cb_free(b);
}

void replica_uv_bootstrap(const char *dir, const struct replica_config *config)
{
    CB_ASSERT(replica_uv_is_empty(dir));
    int lock = lock_dir(dir);
    char made[PATH_MAX];
    char path[PATH_MAX];
    join(made, dir, "raft.new");
    join(path, dir, "raft");
    make_dir(made);
    for_each_file(made, remove_file, NULL); /* of an attempt that was cut off */
    bootstrap_in(made, config);
    replica_vote_create(made, 1); /* as raft_bootstrap has */
    sync_dir(made);
    if (rename(made, path) != 0) {
        cb_die("cannot rename %s to %s: %s", made, path, strerror(errno));
    }
    sync_dir(dir);
    close(lock);
}
