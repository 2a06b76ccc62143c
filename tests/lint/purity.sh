#!/bin/sh
# A pure library calls nothing but itself, the libraries named after it, and the string functions of the
# C library: no allocator, clock, file, random or printf reaches the state machine but through cb_*.
#
# usage: purity.sh LIBRARY.a [ALLOWED.a ...] | --self-test [CC]
# For the plain debug build: sanitizers and hardening add symbols of their own.
set -eu

# What a pure function may call outside. Compilers put calls of the mem* family in by themselves. Where no
# two elements are equal (arrival and sequence numbers), every qsort gives the same order.
LIBC='memcpy memmove memset memcmp memchr memrchr strlen strnlen strcmp strncmp strchr qsort
_GLOBAL_OFFSET_TABLE_ __stack_chk_fail'

# check LIBRARY [ALLOWED...]
check()
{
    if [ ! -e "$1" ]; then
        echo "$1 is not built"
        return 1
    fi
    {
        echo "$LIBC" | tr ' ' '\n'
        nm --defined-only --extern-only --format=posix "$@" 2>/dev/null | awk 'NF > 1 { print $1 }'
    } | sort -u >"$work/allowed"
    nm --undefined-only --format=posix "$1" 2>/dev/null | awk 'NF > 1 { print $1 }' |
        sort -u >"$work/used"
    comm -23 "$work/used" "$work/allowed" >"$work/impure"
    sed "s|^|$(basename "$1") calls |" "$work/impure"
    [ ! -s "$work/impure" ]
}

# library NAME SOURCE
library()
{
    printf '%s\n' "$2" >"$work/$1.c"
    "$cc" -c -fno-builtin -o "$work/$1.o" "$work/$1.c"
    ar rcs "$work/lib$1.a" "$work/$1.o"
}

self_test()
{
    library base 'void *malloc(unsigned long); void *cb_malloc(unsigned long n) { return malloc(n); }'
    library good 'void *cb_malloc(unsigned long); void *good(void) { return cb_malloc(1); }'
    library bad 'long time(long *); long bad(void) { return time(0); }'
    check "$work/libgood.a" "$work/libbase.a" || {
        echo 'self-test: a pure library was refused'
        return 1
    }
    if check "$work/libbad.a" "$work/libbase.a" >/dev/null; then
        echo 'self-test: a library that reads the clock went through'
        return 1
    fi
    if check "$work/libnone.a" >/dev/null; then
        echo 'self-test: a library that is not there went through'
        return 1
    fi
    echo 'self-test: 3 of 3 as wanted'
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$1" = --self-test ]; then
    cc=${2-cc}
    self_test
else
    check "$@"
fi
