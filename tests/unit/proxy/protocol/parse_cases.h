/* Inputs of one connection and what the parser must make of them, one row per case of the behaviour
 * that beanstalkd has. The rows were compared with a running beanstalkd 1.12; where it differs (a
 * number that reserve-with-timeout does not take, lines of 223 bytes, a CR inside a line), a
 * comment says so. */
#ifndef CB_UNIT_PROXY_PROTOCOL_PARSE_CASES_H
#define CB_UNIT_PROXY_PROTOCOL_PARSE_CASES_H

#include "common/base/cb_span.h"

/* The parser of a case is made with this limit. */
#define PARSE_CASE_JOB_SIZE_MAX 10

struct parse_case {
    struct cb_span input;
    const char *outcomes; /* as transcript.h writes them */
};

extern const struct parse_case parse_cases[];
extern const size_t parse_cases_len;

#endif
