/* A segment, as libraft's uv_segment.c and uv_encoding.c write it (little-endian):
 *
 *     u64 1, the format | batches, one behind the other up to the end of the file:
 *       u32 crc of the head | u32 crc of the data
 *       head: u64 n | n times { u64 term | u8 kind | 3 bytes | u32 size }
 *       data: the n entries, sizes as said
 */
#include "node/replica/replica_scrub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cb_bytes.h"
#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"

#define FORMAT 1
#define PIECE (256 * CB_KIB)
#define ALIGNMENT 4096
#define FILE_MAX (64 * CB_MIB) /* far above CB_RAFT_SEGMENT_SIZE */
#define NAME_LEN 33            /* two indexes of 16 digits */
#define BATCH_HEAD 8           /* the two checksums */
#define ENTRY_HEAD 16
#define CRC_POLYNOMIAL 0x04c11db7u
#define ENTRIES_MAX (8 * CB_MIB / 32) /* libraft's max_n: of a batch, when it is loaded */

struct segment {
    char path[PATH_MAX];
    uint64_t first, last; /* as it is named */
    const uint8_t *bytes;
    size_t len;
};

struct scrub {
    const struct replica_scrub_env *env;
    uint32_t crc_table[256];
    uint8_t *buf;
    size_t cap;
    char sentence[REPLICA_SCRUB_TEXT_MAX];
};

/* ---- checksums ---- */

static void make_crc_table(uint32_t table[static 256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i << 24;
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = (crc & 0x80000000u) != 0 ? crc << 1 ^ CRC_POLYNOMIAL : crc << 1;
        }
        table[i] = crc;
    }
}

static uint32_t crc_of(const struct scrub *s, const uint8_t *p, size_t len)
{
    uint32_t crc = 0;
    for (size_t i = 0; i < len; i++) {
        crc = crc << 8 ^ s->crc_table[(crc >> 24 ^ p[i]) & 255];
    }
    return crc;
}

/* ---- one segment ---- */

static bool damaged(struct scrub *s, const struct segment *g, size_t at, const char *what)
{
    (void)snprintf(s->sentence, sizeof(s->sentence), "%s, at byte %zu: %s", g->path, at, what);
    return false;
}

static size_t entries_size(const uint8_t *head, uint64_t n)
{
    size_t size = 0;
    for (uint64_t i = 0; i < n; i++) {
        size += (size_t)cb_load_le(head + 8 + i * ENTRY_HEAD + 12, 4);
    }
    return size;
}

/* The batch at `*at`, which moves behind it; its entries are added to `*count`. */
static bool check_batch(struct scrub *s, const struct segment *g, size_t *at, uint64_t *count)
{
    const uint8_t *p = g->bytes + *at;
    size_t left = g->len - *at;
    uint64_t n = left >= BATCH_HEAD + 8 ? cb_load_le(p + BATCH_HEAD, 8) : 0;
    if (n == 0 || n > (left - BATCH_HEAD - 8) / ENTRY_HEAD) {
        return damaged(s, g, *at, "no batch of entries begins there");
    }
    const uint8_t *head = p + BATCH_HEAD;
    size_t head_len = 8 + (size_t)n * ENTRY_HEAD;
    if (crc_of(s, head, head_len) != cb_load_le(p, 4)) {
        return damaged(s, g, *at, "the head of a batch does not match its checksum");
    }
    size_t size = entries_size(head, n);
    if (size > left - BATCH_HEAD - head_len) {
        return damaged(s, g, *at, "a batch goes on behind the end of the file");
    }
    if (crc_of(s, head + head_len, size) != cb_load_le(p + 4, 4)) {
        return damaged(s, g, *at, "the entries of a batch do not match their checksum");
    }
    *at += BATCH_HEAD + head_len + size;
    *count += n;
    return true;
}

static bool check_segment(struct scrub *s, const struct segment *g)
{
    size_t at = 8;
    uint64_t count = 0;
    if (g->len < at || cb_load_le(g->bytes, 8) != FORMAT) {
        return damaged(s, g, 0, "it does not begin as a segment of the log");
    }
    while (at < g->len) {
        if (!check_batch(s, g, &at, &count)) {
            return false;
        }
    }
    return count == g->last - g->first + 1 ||
           damaged(s, g, at, "it has not the entries of its name");
}

/* ---- an open one ---- */

static bool is_zero(const struct segment *g, size_t from)
{
    for (size_t i = from; i < g->len; i++) {
        if (g->bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Fewer bytes than a batch begins with. libraft fills a segment up to its last byte, so that a
 * crash can leave 8 zeros, and it frees a buffer twice there: without them it reads the file. */
static bool check_rest(struct scrub *s, const struct segment *g, size_t at)
{
    if (!is_zero(g, at)) {
        return damaged(s, g, at, "a batch goes on behind the end of the file");
    }
    return truncate(g->path, (off_t)at) == 0 || damaged(s, g, at, strerror(errno));
}

/* As uvLoadEntriesBatch does it: the batch at `*at`, which moves behind it, to the end of the file
 * where libraft takes what follows for a write that a crash has cut off. */
static bool check_open_batch(struct scrub *s, const struct segment *g, size_t *at)
{
    const uint8_t *p = g->bytes + *at;
    size_t left = g->len - *at;
    if (left < BATCH_HEAD + 8) {
        bool is_sound = check_rest(s, g, *at);
        *at = g->len;
        return is_sound;
    }
    const uint8_t *head = p + BATCH_HEAD;
    uint64_t n = cb_load_le(head, 8);
    if (n == 0 || n > ENTRIES_MAX) {
        *at = g->len;
        return true;
    }
    size_t head_len = 8 + (size_t)n * ENTRY_HEAD;
    if (head_len > left - BATCH_HEAD) {
        return damaged(s, g, *at, "a batch goes on behind the end of the file");
    }
    if (crc_of(s, head, head_len) != cb_load_le(p, 4)) {
        *at = g->len;
        return true;
    }
    size_t size = entries_size(head, n);
    if (size > left - BATCH_HEAD - head_len) {
        return damaged(s, g, *at, "a batch goes on behind the end of the file");
    }
    bool is_whole = crc_of(s, head + head_len, size) == cb_load_le(p + 4, 4);
    *at = is_whole ? *at + BATCH_HEAD + head_len + size : g->len;
    return true;
}

static bool check_open_segment(struct scrub *s, const struct segment *g)
{
    size_t at = 8;
    if (g->len == 0 || (g->len >= at && is_zero(g, 0))) {
        return true; /* prepared, or a crash has cut that off */
    }
    if (g->len <= at || cb_load_le(g->bytes, 8) != FORMAT) {
        return damaged(s, g, 0, "it does not begin as a segment of the log");
    }
    while (at < g->len) {
        if (!check_open_batch(s, g, &at)) {
            return false;
        }
    }
    return true;
}

/* ---- its file ---- */

enum read_result { READ_ALL, READ_GONE, READ_DAMAGED, READ_ENOUGH };

static bool make_room(struct scrub *s, size_t size)
{
    size_t cap = (size / PIECE + 2) * PIECE;
    if (s->cap >= cap) {
        return true;
    }
    free(s->buf);
    s->buf = aligned_alloc(ALIGNMENT, cap);
    s->cap = s->buf != NULL ? cap : 0;
    return s->buf != NULL;
}

static enum read_result read_fd(struct scrub *s, struct segment *g, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || (uint64_t)st.st_size > FILE_MAX ||
        !make_room(s, (size_t)st.st_size)) {
        damaged(s, g, 0, "its size is impossible");
        return READ_DAMAGED;
    }
    g->len = 0;
    for (;;) {
        ssize_t n = pread(fd, s->buf + g->len, PIECE, (off_t)g->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            damaged(s, g, g->len, strerror(errno));
            return READ_DAMAGED;
        }
        g->len += (size_t)n;
        if ((size_t)n < PIECE) {
            g->bytes = s->buf;
            return READ_ALL;
        }
        if (!s->env->pace(s->env->data, PIECE)) {
            return READ_ENOUGH;
        }
        if (g->len + PIECE > s->cap) {
            damaged(s, g, g->len, "it grows"); /* closed ones do not */
            return READ_DAMAGED;
        }
    }
}

/* Past the page cache, where the file system can. */
static enum read_result read_segment(struct scrub *s, struct segment *g)
{
    int fd = open(g->path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    if (fd < 0 && errno == EINVAL) {
        fd = open(g->path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0) {
        if (errno == ENOENT) {
            return READ_GONE;
        }
        damaged(s, g, 0, strerror(errno));
        return READ_DAMAGED;
    }
    enum read_result r = read_fd(s, g, fd);
    (void)close(fd); /* opened for reading */
    return r;
}

/* False: enough. */
static bool scrub_segment(struct scrub *s, struct segment *g)
{
    enum read_result r = read_segment(s, g);
    bool is_sound = r != READ_DAMAGED && (r != READ_ALL || check_segment(s, g));
    if (r == READ_ENOUGH) {
        return false;
    }
    if (!is_sound && access(g->path, F_OK) == 0) {
        s->env->damaged(s->env->data, s->sentence);
    }
    return s->env->pace(s->env->data, g->len % PIECE);
}

/* ---- all of them ---- */

static bool parse_name(const char *name, struct segment *g)
{
    if (strlen(name) != NAME_LEN || strspn(name, "0123456789-") != NAME_LEN ||
        sscanf(name, "%16" SCNu64 "-%16" SCNu64, &g->first, &g->last) != 2) {
        return false;
    }
    return g->first != 0 && g->first <= g->last;
}

/* "open-N", as libraft knows them. */
static bool parse_open_name(const char *name)
{
    return strncmp(name, "open-", 5) == 0 && name[5] != 0 && strlen(name) <= NAME_LEN &&
           strspn(name + 5, "0123456789") == strlen(name + 5);
}

/* Calls `fn` for each segment that `is_open` says, until it returns false. */
static bool for_each_segment(const char *dir,
                             struct scrub *s,
                             bool is_open,
                             bool (*fn)(struct scrub *s, struct segment *g))
{
    char path[PATH_MAX - NAME_LEN - 2];
    struct segment g;
    if (snprintf(path, sizeof(path), "%s/raft", dir) >= (int)sizeof(path)) {
        return true; /* replica_uv has refused such a path */
    }
    DIR *d = opendir(path);
    if (d == NULL) {
        return true; /* there is no log yet */
    }
    make_crc_table(s->crc_table);
    bool go_on = true;
    const struct dirent *e;
    while (go_on && (e = readdir(d)) != NULL) {
        g = (struct segment){.len = 0};
        if (is_open ? parse_open_name(e->d_name) : parse_name(e->d_name, &g)) {
            (void)snprintf(g.path, sizeof(g.path), "%s/%.*s", path, NAME_LEN, e->d_name); /* fits */
            go_on = fn(s, &g);
        }
    }
    (void)closedir(d);
    free(s->buf);
    return go_on;
}

bool replica_scrub_segments(const char *dir, const struct replica_scrub_env *env)
{
    struct scrub s = {.env = env};
    return for_each_segment(dir, &s, false, scrub_segment);
}

static bool look_at_open(struct scrub *s, struct segment *g)
{
    return read_segment(s, g) == READ_ALL && check_open_segment(s, g);
}

static bool no_pace(void *data, size_t bytes)
{
    (void)data;
    (void)bytes;
    return true;
}

bool replica_scrub_open_segments(const char *dir, char sentence[static REPLICA_SCRUB_TEXT_MAX])
{
    const struct replica_scrub_env env = {.pace = no_pace};
    struct scrub s = {.env = &env};
    bool is_sound = for_each_segment(dir, &s, true, look_at_open);
    memcpy(sentence, s.sentence, sizeof(s.sentence));
    return is_sound;
}
