#include "common/base/cb_tube_name.h"

#include "common/base/cb_limits.h"

static bool is_name_byte(uint8_t c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) {
        return true;
    }
    switch (c) {
    case '-':
    case '+':
    case '/':
    case ';':
    case '.':
    case '$':
    case '_':
    case '(':
    case ')':
        return true;
    default:
        return false;
    }
}

size_t cb_tube_name_prefix(struct cb_span s)
{
    size_t n = 0;
    while (n < s.len && is_name_byte(s.ptr[n])) {
        n++;
    }
    return n;
}

bool cb_tube_name_is_valid(struct cb_span name)
{
    return name.len > 0 && name.len <= CB_TUBE_NAME_MAX && name.ptr[0] != '-' &&
           cb_tube_name_prefix(name) == name.len;
}
