#!/bin/sh
# Every C file of the tree looks as clang-format 14 writes it.
#
# usage: format.sh [ROOT] | --self-test
# Another version formats differently, so without version 14 this is a skip (exit 77).
set -eu

find_formatter()
{
    for formatter in clang-format-14 clang-format; do
        case $("$formatter" --version 2>/dev/null || true) in
        *'version 14.'*) return 0 ;;
        esac
    done
    echo 'no clang-format 14 here: skipped'
    exit 77
}

# check ROOT
check()
{
    cd "$1"
    if git -c safe.directory='*' rev-parse --git-dir >/dev/null 2>&1; then
        git -c safe.directory='*' ls-files -z --cached --others --exclude-standard '*.c' '*.h'
    else
        find . -name '*.[ch]' -print0
    fi | xargs -0 -r ls -d 2>/dev/null | xargs -r "$formatter" --style=file --dry-run -Werror
}

self_test()
{
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    cp "$root/.clang-format" "$folder"
    printf 'int f(void)\n{\n    return 0;\n}\n' >"$folder/a.c"
    (check "$folder") || {
        echo 'self-test: a well formatted file was refused'
        exit 1
    }
    printf 'int f(void) { return 0; }\n' >"$folder/a.c"
    if (check "$folder") 2>/dev/null; then
        echo 'self-test: a badly formatted file went through'
        exit 1
    fi
    echo 'self-test: 2 of 2 as wanted'
}

root=$(cd "$(dirname "$0")/../.." && pwd)
find_formatter
case ${1-} in
--self-test) self_test ;;
*) check "${1-$root}" ;;
esac
