#include "proxy/protocol/bs_word.h"

#include "common/base/cb_assert.h"

struct command {
    struct cb_span word;
    enum bs_args args;
    enum bs_counter counter;
};

static const struct command commands[BS_OP_COUNT] = {
#define BS_COMMAND(op, word, arguments, counter)                                                   \
    [BS_OP_##op] = {                                                                               \
        {(const uint8_t *)(word), sizeof(word) - 1}, BS_ARGS_##arguments, BS_COUNTER_##counter},
#include "proxy/protocol/bs_word.def"
};

static const struct cb_span replies[] = {
#define BS_REPLY(word) [BS_REPLY_##word] = {(const uint8_t *)#word, sizeof(#word) - 1},
#include "proxy/protocol/bs_word.def"
};

enum bs_op bs_word_match(struct cb_span line, size_t *args_at)
{
    /* One comparison with a constant per word: cheaper than a search, in the order of the list. */
#define BS_COMMAND(op, word, arguments, counter)                                                   \
    if (line.len >= sizeof(word) - 1 && memcmp(line.ptr, word, sizeof(word) - 1) == 0) {           \
        *args_at = sizeof(word) - 1;                                                               \
        return BS_OP_##op;                                                                         \
    }
#include "proxy/protocol/bs_word.def"
    *args_at = 0;
    return BS_OP_NONE;
}

static const struct command *command_of(enum bs_op op)
{
    CB_ASSERT(op > BS_OP_NONE && (size_t)op < BS_OP_COUNT);
    return &commands[op];
}

enum bs_args bs_word_args(enum bs_op op)
{
    return command_of(op)->args;
}

struct cb_span bs_word_name(enum bs_op op)
{
    struct cb_span word = command_of(op)->word;
    if (word.ptr[word.len - 1] == ' ') {
        word.len--;
    }
    return word;
}

enum bs_counter bs_word_counter(enum bs_op op)
{
    return op == BS_OP_NONE ? BS_COUNTER_NONE : command_of(op)->counter;
}

struct cb_span bs_word_reply(enum bs_reply reply)
{
    CB_ASSERT(reply > BS_REPLY_NONE && (size_t)reply < sizeof(replies) / sizeof(replies[0]));
    return replies[reply];
}
