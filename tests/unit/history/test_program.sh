#!/bin/sh
# Proves that history_check exits with 0 for a good history, 1 for a bad one, and 2 for none.
#
# usage: test_program.sh PROGRAM FOLDER
set -eu

# expect STATUS ARGUMENT...
expect()
{
    wanted=$1
    shift
    status=0
    "$program" "$@" >/dev/null 2>&1 || status=$?
    if [ "$status" -ne "$wanted" ]; then
        echo "history_check $*: exit status $status, not $wanted"
        exit 1
    fi
}

program=$1
folder=$2
expect 0 --drained --closes-allowed=0 "$folder/held.history"
expect 1 --drained "$folder/lost.history"
expect 1 "$folder/lost.history"
# A client library computes no hash; the length is told all the same.
sed '/put/s/hash=2a //' "$folder/held.history" | expect 0 /dev/stdin
sed '/put/s/hash=2a //; /reserve/s/len=40/len=41/' "$folder/held.history" | expect 1 /dev/stdin
sed '/put/s/hash=2a /hash=2b /' "$folder/held.history" | expect 1 /dev/stdin
expect 2 "$0"
expect 2 "$folder/none.history"
expect 2 --clock-error=x "$folder/held.history"
expect 2
