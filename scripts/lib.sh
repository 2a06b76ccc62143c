# Shared by the scripts of this folder: sourced, never run.
# shellcheck shell=bash
set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LOGS=$ROOT/build/logs
# Debian's own tools first: a python3 or ruby from elsewhere does not see Debian's client libraries.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
SECONDS=0

# say TEXT: one line with the seconds since the script began, so that a long step shows that it moves.
say()
{
    printf '[%4ds] %s\n' "$SECONDS" "$*"
}

# die TEXT: one sentence that says what failed and how to mend it.
die()
{
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# signs_of_life NAME LOG: every 15 seconds the last line of the log, for as long as this script lives.
signs_of_life()
{
    local began=$SECONDS shown=15
    while sleep 1 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
        if ((SECONDS - began >= shown)); then
            say "  $1: $shown s, $(tail -n 1 "$2" | tr -cd '[:print:]' | cut -c 1-80)"
            shown=$((shown + 15))
        fi
    done
}

# logged NAME COMMAND...: runs it with its output in build/logs/NAME.log, and shows the end of that when
# it fails. The command is in the foreground, so that Ctrl-C ends it too.
logged()
{
    local name=$1 log=$LOGS/$1.log status=0 signs
    shift
    mkdir -p "$LOGS"
    : >"$log"
    signs_of_life "$name" "$log" &
    signs=$!
    "$@" >"$log" 2>&1 || status=$?
    kill "$signs" 2>/dev/null || true
    wait "$signs" 2>/dev/null || true
    if ((status != 0)); then
        tail -n 40 "$log" >&2
        printf '%s: "%s" failed (status %d); the whole output is in %s\n' \
            "$(basename "$0")" "$name" "$status" "${log#"$ROOT"/}" >&2
    fi
    return "$status"
}
