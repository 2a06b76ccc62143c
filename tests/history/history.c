#include "history/history.h"

#include <stdio.h>
#include <string.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_hash.h"
#include "common/base/cb_map.h"
#include "common/base/cb_mem.h"

#define TOKEN_SALT UINT64_C(0x9e3779b97f4a7c15)
#define TOKEN_DIGITS 32

struct tube_name {
    struct tube_name *next; /* of the same hash */
    uint32_t number;
    char *name;
};

struct history {
    struct hist_record *records;
    size_t count;
    size_t cap;
    struct tube_name **tubes; /* by number - 1 */
    uint32_t tubes_count;
    uint32_t tubes_cap;
    struct cb_map by_hash; /* of the name: the first with it */
};

bool hist_op_needs_tube(enum hist_op op)
{
    return op == HIST_PUT || op == HIST_USE || op == HIST_WATCH || op == HIST_IGNORE ||
           op == HIST_KICK || op == HIST_PAUSE_TUBE || op == HIST_PEEK_READY ||
           op == HIST_PEEK_DELAYED || op == HIST_PEEK_BURIED || op == HIST_STATS_TUBE;
}

struct history *history_create(void)
{
    struct history *h = cb_calloc(1, sizeof(*h));
    cb_map_init(&h->by_hash);
    CB_ASSERT(history_tube(h, "default") == HIST_TUBE_DEFAULT);
    return h;
}

void history_destroy(struct history *h)
{
    if (h == NULL) {
        return;
    }
    for (uint32_t i = 0; i < h->tubes_count; i++) {
        cb_free(h->tubes[i]->name);
        cb_free(h->tubes[i]);
    }
    cb_free(h->tubes);
    cb_map_fini(&h->by_hash);
    cb_free(h->records);
    cb_free(h);
}

static uint32_t tube_add(struct history *h, const char *name, uint64_t hash)
{
    if (h->tubes_count == h->tubes_cap) {
        h->tubes_cap = h->tubes_cap == 0 ? 16 : 2 * h->tubes_cap;
        h->tubes = cb_realloc(h->tubes, h->tubes_cap * sizeof(*h->tubes));
    }
    struct tube_name *t = cb_malloc(sizeof(*t));
    *t = (struct tube_name){cb_map_remove(&h->by_hash, hash), h->tubes_count + 1, cb_strdup(name)};
    cb_map_put(&h->by_hash, hash, t);
    h->tubes[h->tubes_count++] = t;
    return t->number;
}

uint32_t history_tube(struct history *h, const char *name)
{
    uint64_t hash = cb_hash(name, strlen(name));
    for (const struct tube_name *t = cb_map_get(&h->by_hash, hash); t != NULL; t = t->next) {
        if (strcmp(t->name, name) == 0) {
            return t->number;
        }
    }
    return tube_add(h, name, hash);
}

const char *history_tube_name(const struct history *h, uint32_t tube)
{
    CB_ASSERT(tube >= 1 && tube <= h->tubes_count);
    return h->tubes[tube - 1]->name;
}

uint32_t history_tube_count(const struct history *h)
{
    return h->tubes_count;
}

size_t history_invoke(struct history *h, const struct hist_record *r)
{
    CB_ASSERT(r->tube <= h->tubes_count && (r->tube != 0 || !hist_op_needs_tube(r->op)));
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 1024 : 2 * h->cap;
        h->records = cb_realloc(h->records, h->cap * sizeof(*h->records));
    }
    h->records[h->count] = *r;
    h->records[h->count].complete_ns = HIST_NEVER;
    h->records[h->count].result = HIST_UNKNOWN;
    return h->count++;
}

struct hist_record *history_at(struct history *h, size_t place)
{
    CB_ASSERT(place < h->count);
    return &h->records[place];
}

size_t history_count(const struct history *h)
{
    return h->count;
}

const struct hist_record *history_records(const struct history *h)
{
    return h->records;
}

/* Both halves are bijections of `n`, so two tokens differ in each. */
void history_token(uint64_t n, uint64_t token[2])
{
    token[0] = cb_hash_u64(n + TOKEN_SALT);
    token[1] = cb_hash_u64(~n);
}

void history_token_text(const uint64_t token[2], char text[33])
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < TOKEN_DIGITS; i++) {
        text[i] = digits[token[i / 16] >> (60 - 4 * (i % 16)) & 15];
    }
    text[TOKEN_DIGITS] = '\0';
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool history_token_parse(const char *text, size_t len, uint64_t token[2])
{
    uint64_t value[2] = {0, 0};
    if (len < TOKEN_DIGITS) {
        return false;
    }
    for (unsigned i = 0; i < TOKEN_DIGITS; i++) {
        int digit = digit_value(text[i]);
        if (digit < 0) {
            return false;
        }
        value[i / 16] = value[i / 16] << 4 | (uint64_t)digit;
    }
    memcpy(token, value, sizeof(value));
    return true;
}
