#!/bin/sh
# A seed is the same run each time: whatever the heap holds, wherever it lies, how many runs there are
# at once, and whether its trace is shown.
#
# usage: determinism.sh BINARY [FILE]
#
# The sum of the digests goes to FILE: builds of other kinds must have the same.
set -eu
binary=$1
first=101 # the six of them have LMDB, one, three and five nodes
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ $# = 1 ] || rm -f "$2"

# digest NAME COMMAND...: runs it with its JSON in the work folder, and says the sum of the digests.
digest()
{
    name=$1
    shift
    "$@" --json "$work/$name.json" >"$work/$name.out" 2>"$work/$name.err" || {
        cat "$work/$name.err"
        echo "$name: a seed failed"
        exit 1
    }
    sed -n 's/.*"digest": "\([0-9a-f]*\)".*/\1/p' "$work/$name.json"
}

wanted=$(digest plain "$binary" --first $first --count 6 --cut 30000 --jobs 2)
same()
{
    got=$(digest "$@")
    [ "$got" = "$wanted" ] || {
        echo "$1: the digest is $got, and was $wanted"
        exit 1
    }
}
same again "$binary" --first $first --count 6 --cut 30000 --jobs 2
same another_heap env MALLOC_PERTURB_=165 MALLOC_ARENA_MAX=1 MALLOC_TOP_PAD_=1048576 \
    FILLER="$(printf '%05000d' 0)" TZ=Pacific/Kiritimati "$binary" --first $first --count 6 --cut 30000 --jobs 1
same with_trace "$binary" --first $first --count 6 --cut 30000 --jobs 1 -v

# The trace itself, byte for byte.
for n in 1 2; do
    "$binary" --seed $first -v -q | grep -a -v ' x real time ' >"$work/trace.$n"
done
cmp "$work/trace.1" "$work/trace.2"
[ $# = 1 ] || echo "$wanted" >"$2"
echo "six seeds, four times: $wanted; a trace of $(wc -l <"$work/trace.1") lines, twice"
