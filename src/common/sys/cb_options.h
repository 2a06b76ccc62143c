/* The command line of a program, from one table: parsing, defaults, checks and --help come from the
 * same rows, so that they cannot differ.
 *
 *     struct config { bool verbose; uint64_t port; const char *name; };
 *     static const struct cb_option options[] = {
 *         {.short_name = 'p', .long_name = "port", .kind = CB_OPTION_NUMBER, .arg = "PORT",
 *          .def = "11300", .min = 0, .max = 65535, .offset = offsetof(struct config, port),
 *          .help = "listen on PORT"},
 *     };
 *
 * Built on getopt_long(3): short options combine (-Vp11300), long ones take "=VALUE" or the next
 * word and may be shortened while they stay unique; "--" ends the options. An option that is given
 * twice keeps its last value, except a CB_OPTION_LIST.
 *
 * Owns:     nothing; strings in the result are those of argv or of the table.
 * Threads:  one, because of getopt's globals; called at start.
 * Errors:   one line that says what is wrong and how to mend it. */
#ifndef CB_COMMON_SYS_CB_OPTIONS_H
#define CB_COMMON_SYS_CB_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/cb_assert.h"
#include "common/base/cb_buf.h"

/* What lies at `offset` in the program's struct. */
enum cb_option_kind {
    CB_OPTION_FLAG,     /* bool; takes no argument */
    CB_OPTION_COUNT,    /* uint64_t: how often it was given; takes no argument */
    CB_OPTION_STRING,   /* const char *; NULL without a default */
    CB_OPTION_LIST,     /* struct cb_option_list; may be given several times */
    CB_OPTION_NUMBER,   /* uint64_t within [min, max] */
    CB_OPTION_SIZE,     /* uint64_t bytes within [min, max]; KiB, MiB, GiB as k, m, g */
    CB_OPTION_DURATION, /* uint64_t ns within [min, max]; ms, s, m, h; a bare number is seconds */
    CB_OPTION_ADDRESS,  /* const char *, which cb_addr_parse accepts */
    CB_OPTION_HELP,     /* ends parsing with CB_OPTIONS_HELP */
    CB_OPTION_VERSION,  /* ends parsing with CB_OPTIONS_VERSION */
};

#define CB_OPTION_LIST_MAX 16

struct cb_option_list {
    const char *items[CB_OPTION_LIST_MAX];
    size_t len;
};

struct cb_option {
    char short_name;       /* 0: none */
    const char *long_name; /* NULL: none; at least one of the two */
    enum cb_option_kind kind;
    const char *arg;  /* the argument's name in --help; NULL for kinds without one */
    const char *def;  /* as it would be written on the command line; NULL: zero or NULL */
    bool required;    /* must be given */
    uint64_t min;     /* in the kind's unit */
    uint64_t max;     /* in the kind's unit; 0 means no bound */
    size_t offset;    /* of the value in the program's struct; unused for HELP and VERSION */
    const char *help; /* lower case, no full stop; NULL hides the option from --help */
};

struct cb_options {
    const char *program;  /* as in the usage line */
    const char *summary;  /* one sentence for --help */
    const char *operands; /* in the usage line, e.g. "COMMAND [ARG...]"; NULL: none are allowed */
    bool stop_at_operand; /* what follows the first operand belongs to a sub-command */
    const struct cb_option *options;
    size_t count;
};

enum cb_options_result {
    CB_OPTIONS_OK,
    CB_OPTIONS_HELP,
    CB_OPTIONS_VERSION,
    CB_OPTIONS_ERROR,
};

/* Writes defaults, then what the command line says, into the struct at `config`, which the caller
 * has zeroed. `*first_operand` (may be NULL) becomes the index in argv of the first word that is no
 * option; argv is permuted so that all of them stand from there. On CB_OPTIONS_ERROR `error` holds
 * one line without a newline. */
CB_MUST_USE enum cb_options_result cb_options_parse(const struct cb_options *spec,
                                                    int argc,
                                                    char **argv,
                                                    void *config,
                                                    int *first_operand,
                                                    struct cb_buf *error);

/* Appends the text of --help. */
void cb_options_help(const struct cb_options *spec, struct cb_buf *out);

#endif
