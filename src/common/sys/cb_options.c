#include "common/sys/cb_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/base/cb_limits.h"
#include "common/base/cb_mem.h"
#include "common/sys/cb_addr.h"

#define LONG_BASE 256  /* getopt values of options: LONG_BASE + index in the table */
#define HELP_COLUMN 30 /* where the help text begins */

static bool takes_argument(const struct cb_option *o)
{
    return o->kind != CB_OPTION_FLAG && o->kind != CB_OPTION_COUNT && o->kind != CB_OPTION_HELP &&
           o->kind != CB_OPTION_VERSION;
}

/* "-p, --port" or the one there is. */
static void put_names(const struct cb_option *o, struct cb_buf *out)
{
    if (o->short_name != 0) {
        cb_buf_printf(out, "-%c%s", o->short_name, o->long_name != NULL ? ", " : "");
    }
    if (o->long_name != NULL) {
        cb_buf_printf(out, "--%s", o->long_name);
    }
}

/* The name that an error message uses. */
static void put_name(const struct cb_option *o, struct cb_buf *out)
{
    if (o->long_name != NULL) {
        cb_buf_printf(out, "--%s", o->long_name);
    } else {
        cb_buf_printf(out, "-%c", o->short_name);
    }
}

/* --- values --- */

struct unit {
    const char *suffix;
    uint64_t factor;
};

static const struct unit number_units[] = {{"", 1}, {NULL, 0}};
static const struct unit size_units[] = {
    {"", 1},       {"k", CB_KIB},        {"K", CB_KIB},        {"m", CB_MIB},
    {"M", CB_MIB}, {"g", 1024 * CB_MIB}, {"G", 1024 * CB_MIB}, {NULL, 0},
};
static const struct unit duration_units[] = {
    {"", CB_NS_PER_S},       {"ms", CB_NS_PER_MS},      {"s", CB_NS_PER_S},
    {"m", 60 * CB_NS_PER_S}, {"h", 3600 * CB_NS_PER_S}, {NULL, 0},
};

static const struct unit *units_of(enum cb_option_kind kind)
{
    if (kind == CB_OPTION_SIZE) {
        return size_units;
    }
    return kind == CB_OPTION_DURATION ? duration_units : number_units;
}

/* Digits, then one of the suffixes; false also on overflow. */
static bool parse_scaled(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; text[i] >= '0' && text[i] <= '9'; i++) {
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v)) {
            return false;
        }
    }
    for (; i > 0 && units->suffix != NULL; units++) {
        if (strcmp(text + i, units->suffix) == 0) {
            return !__builtin_mul_overflow(v, units->factor, out);
        }
    }
    return false;
}

/* The value in the largest unit that divides it, as it may be written on the command line. */
static void put_scaled(uint64_t v, const struct unit *units, struct cb_buf *out)
{
    const struct unit *best = NULL;
    for (const struct unit *u = units; u->suffix != NULL; u++) {
        if (v % u->factor == 0 && (best == NULL || (v != 0 && u->factor >= best->factor))) {
            best = u;
        }
    }
    if (best == NULL) {
        best = &units[1]; /* only durations: nanoseconds are shown as whole milliseconds */
    }
    cb_buf_printf(out, "%llu%s", (unsigned long long)(v / best->factor), best->suffix);
}

static void put_range_error(const struct cb_option *o, const char *text, struct cb_buf *error)
{
    const struct unit *units = units_of(o->kind);
    put_name(o, error);
    cb_buf_printf(error, " got '%s', but needs ", text);
    cb_buf_append_str(error, o->kind == CB_OPTION_DURATION ? "a time" : "a number");
    if (o->max != 0) {
        cb_buf_append_str(error, " from ");
        put_scaled(o->min, units, error);
        cb_buf_append_str(error, " to ");
        put_scaled(o->max, units, error);
    } else if (o->min != 0) {
        cb_buf_append_str(error, " of at least ");
        put_scaled(o->min, units, error);
    }
    if (o->kind == CB_OPTION_SIZE) {
        cb_buf_append_str(error, " (bytes; k, m and g multiply by 1024)");
    } else if (o->kind == CB_OPTION_DURATION) {
        cb_buf_append_str(error, " (such as 500ms, 30s, 5m or 1h)");
    }
}

static bool set_number(const struct cb_option *o, const char *text, void *at, struct cb_buf *error)
{
    uint64_t v;
    if (!parse_scaled(text, units_of(o->kind), &v) || v < o->min || (o->max != 0 && v > o->max)) {
        put_range_error(o, text, error);
        return false;
    }
    memcpy(at, &v, sizeof v);
    return true;
}

static bool set_address(const struct cb_option *o, const char *text, void *at, struct cb_buf *error)
{
    struct cb_addr addr;
    enum cb_addr_result r = cb_addr_parse(&addr, text);
    if (r != CB_ADDR_OK) {
        put_name(o, error);
        cb_buf_printf(error, " got '%s': %s", text, cb_addr_strerror(r));
        return false;
    }
    memcpy(at, &text, sizeof text);
    return true;
}

static bool add_item(const struct cb_option *o, const char *text, void *at, struct cb_buf *error)
{
    struct cb_option_list *list = at;
    if (list->len == CB_OPTION_LIST_MAX) {
        put_name(o, error);
        cb_buf_printf(error, " is given more than %d times; give it fewer", CB_OPTION_LIST_MAX);
        return false;
    }
    list->items[list->len++] = text;
    return true;
}

/* `text` is NULL for kinds without an argument. */
static bool
set_value(const struct cb_option *o, const char *text, void *config, struct cb_buf *error)
{
    void *at = (char *)config + o->offset;
    switch (o->kind) {
    case CB_OPTION_FLAG:
        *(bool *)at = true;
        return true;
    case CB_OPTION_COUNT:
        *(uint64_t *)at += 1;
        return true;
    case CB_OPTION_STRING:
        memcpy(at, &text, sizeof text);
        return true;
    case CB_OPTION_LIST:
        return add_item(o, text, at, error);
    case CB_OPTION_NUMBER:
    case CB_OPTION_SIZE:
    case CB_OPTION_DURATION:
        return set_number(o, text, at, error);
    case CB_OPTION_ADDRESS:
        return set_address(o, text, at, error);
    case CB_OPTION_HELP:
    case CB_OPTION_VERSION:
        break;
    }
    CB_UNREACHABLE("cb_option_kind");
}

static void set_defaults(const struct cb_options *spec, void *config)
{
    for (size_t i = 0; i < spec->count; i++) {
        const struct cb_option *o = &spec->options[i];
        if (o->def != NULL) {
            struct cb_buf error = CB_BUF_NULL;
            bool ok = takes_argument(o) && set_value(o, o->def, config, &error);
            CB_ASSERT(ok); /* the table's own fault */
            cb_buf_fini(&error);
        }
    }
}

/* --- parsing --- */

struct parser {
    const struct cb_options *spec;
    struct cb_buf shorts; /* getopt's short options, NUL-terminated */
    struct option *longs; /* getopt's long options */
    bool *given;          /* by index in the table */
};

static void parser_init(struct parser *p, const struct cb_options *spec)
{
    p->spec = spec;
    cb_buf_init(&p->shorts);
    p->longs = cb_calloc(spec->count + 1, sizeof *p->longs);
    p->given = cb_calloc(spec->count + 1, sizeof *p->given);
    size_t longs = 0;
    /* "+": stop at the first operand. ":": tell a missing argument from an unknown option. */
    cb_buf_append_str(&p->shorts, spec->stop_at_operand ? "+:" : ":");
    for (size_t i = 0; i < spec->count; i++) {
        const struct cb_option *o = &spec->options[i];
        CB_ASSERT(o->short_name != 0 || o->long_name != NULL);
        if (o->short_name != 0) {
            cb_buf_printf(&p->shorts, "%c%s", o->short_name, takes_argument(o) ? ":" : "");
        }
        if (o->long_name != NULL) {
            p->longs[longs++] = (struct option){
                .name = o->long_name,
                .has_arg = takes_argument(o) ? required_argument : no_argument,
                .val = LONG_BASE + (int)i,
            };
        }
    }
    cb_buf_append(&p->shorts, "", 1);
}

static void parser_fini(struct parser *p)
{
    cb_buf_fini(&p->shorts);
    cb_free(p->longs);
    cb_free(p->given);
}

/* NULL when `val` is no option of the table. */
static const struct cb_option *find(const struct parser *p, int val)
{
    if (val >= LONG_BASE) {
        return &p->spec->options[val - LONG_BASE];
    }
    for (size_t i = 0; i < p->spec->count; i++) {
        if (val != 0 && p->spec->options[i].short_name == (char)val) {
            return &p->spec->options[i];
        }
    }
    return NULL;
}

static void put_missing_argument(const struct cb_option *o, struct cb_buf *error)
{
    put_name(o, error);
    cb_buf_printf(error, " needs an argument: ");
    put_name(o, error);
    cb_buf_printf(error, " %s", o->arg != NULL ? o->arg : "VALUE");
}

static void put_unknown(const struct parser *p, const char *word, struct cb_buf *error)
{
    const struct cb_option *o = find(p, optopt);
    if (o != NULL) {
        put_name(o, error);
        cb_buf_append_str(error, " takes no argument; leave out what follows the '='");
    } else if (optopt != 0) {
        cb_buf_printf(error, "unknown option -%c; see %s --help", optopt, p->spec->program);
    } else {
        cb_buf_printf(error, "unknown or ambiguous option %s; see %s --help", word,
                      p->spec->program);
    }
}

static bool check_required(const struct parser *p, struct cb_buf *error)
{
    for (size_t i = 0; i < p->spec->count; i++) {
        const struct cb_option *o = &p->spec->options[i];
        if (o->required && !p->given[i]) {
            put_name(o, error);
            cb_buf_append_str(error, " is missing; give it as ");
            put_name(o, error);
            cb_buf_printf(error, " %s", o->arg != NULL ? o->arg : "");
            return false;
        }
    }
    return true;
}

static enum cb_options_result
parse_all(struct parser *p, int argc, char **argv, void *config, struct cb_buf *error)
{
    opterr = 0;
    optind = 0; /* GNU: forget an earlier scan altogether */
    for (;;) {
        int val =
            getopt_long(argc, argv, (const char *)cb_buf_span(&p->shorts).ptr, p->longs, NULL);
        if (val == -1) {
            return check_required(p, error) ? CB_OPTIONS_OK : CB_OPTIONS_ERROR;
        }
        if (val == ':') {
            put_missing_argument(find(p, optopt), error);
            return CB_OPTIONS_ERROR;
        }
        const struct cb_option *o = val == '?' ? NULL : find(p, val);
        if (o == NULL) {
            put_unknown(p, argv[optind - 1], error);
            return CB_OPTIONS_ERROR;
        }
        if (o->kind == CB_OPTION_HELP || o->kind == CB_OPTION_VERSION) {
            return o->kind == CB_OPTION_HELP ? CB_OPTIONS_HELP : CB_OPTIONS_VERSION;
        }
        p->given[o - p->spec->options] = true;
        if (!set_value(o, takes_argument(o) ? optarg : NULL, config, error)) {
            return CB_OPTIONS_ERROR;
        }
    }
}

enum cb_options_result cb_options_parse(const struct cb_options *spec,
                                        int argc,
                                        char **argv,
                                        void *config,
                                        int *first_operand,
                                        struct cb_buf *error)
{
    struct parser p;
    parser_init(&p, spec);
    set_defaults(spec, config);
    enum cb_options_result r = parse_all(&p, argc, argv, config, error);
    if (r == CB_OPTIONS_OK && spec->operands == NULL && optind < argc) {
        cb_buf_printf(error, "unexpected '%s'; see %s --help", argv[optind], spec->program);
        r = CB_OPTIONS_ERROR;
    }
    if (first_operand != NULL) {
        *first_operand = optind;
    }
    parser_fini(&p);
    return r;
}

/* --- help --- */

static void put_help_row(const struct cb_option *o, struct cb_buf *out)
{
    size_t begin = cb_buf_len(out);
    cb_buf_append_str(out, o->short_name == 0 ? "      " : "  ");
    put_names(o, out);
    if (takes_argument(o)) {
        cb_buf_printf(out, " %s", o->arg != NULL ? o->arg : "VALUE");
    }
    size_t width = cb_buf_len(out) - begin;
    if (width + 2 > HELP_COLUMN) {
        cb_buf_append_str(out, "\n");
        width = 0;
    }
    cb_buf_printf(out, "%*s%s", (int)(HELP_COLUMN - width), "", o->help);
    if (o->def != NULL) {
        cb_buf_printf(out, " (default: %s)", o->def);
    } else if (o->required) {
        cb_buf_append_str(out, " (required)");
    }
    cb_buf_append_str(out, "\n");
}

void cb_options_help(const struct cb_options *spec, struct cb_buf *out)
{
    cb_buf_printf(out, "usage: %s [OPTION...]%s%s\n", spec->program,
                  spec->operands != NULL ? " " : "", spec->operands != NULL ? spec->operands : "");
    if (spec->summary != NULL) {
        cb_buf_printf(out, "%s\n", spec->summary);
    }
    cb_buf_append_str(out, "\n");
    for (size_t i = 0; i < spec->count; i++) {
        if (spec->options[i].help != NULL) {
            put_help_row(&spec->options[i], out);
        }
    }
}
