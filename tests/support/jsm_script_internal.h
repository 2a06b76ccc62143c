/* What the files of jsm_script share. */
#ifndef CB_TESTS_SUPPORT_JSM_SCRIPT_INTERNAL_H
#define CB_TESTS_SUPPORT_JSM_SCRIPT_INTERNAL_H

#include "support/jsm_script.h"
#include "support/jsm_store.h"

enum { PROXIES = 3, CONNS = 64, WORDS = 40, LINE = 1024 };

struct jsm_script {
    struct jsm *machine;
    struct jsm_store store;
    bool reload;
    uint32_t steps; /* 0: as in a node */
    uint64_t index, now;
    uint64_t session[PROXIES];
    bool opened[PROXIES][CONNS];
    uint64_t seen[PROXIES][CONNS]; /* results up to this number were looked at */
    char line[LINE];               /* being run, for messages */
    char *word[WORDS];
    int n_words;
};

/* A connection as written: c1 is {0, 1}, d7 is {1, 7}. */
struct who {
    int proxy;
    uint64_t conn;
};

/* Word i of the statement being run; fails the test when it is missing. */
const char *jsm_script_word(struct jsm_script *s, int i);
uint64_t jsm_script_number(struct jsm_script *s, int i);
/* "1.5" is 1.5 s in ns, without floating point. */
uint64_t jsm_script_seconds(const char *text);
struct who jsm_script_who(struct jsm_script *s, const char *text);
/* Runs the statement when it is one that reads and compares; false when it is none. */
bool jsm_script_read(struct jsm_script *s);

#endif
