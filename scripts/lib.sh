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

# logged NAME COMMAND...: runs it with its output in build/logs/NAME.log, a sign of life every 15
# seconds, and the end of the log when it fails.
logged()
{
    local name=$1 log=$LOGS/$1.log
    shift
    mkdir -p "$LOGS"
    "$@" >"$log" 2>&1 &
    local pid=$! began=$SECONDS status=0 shown=0
    while kill -0 "$pid" 2>/dev/null; do
        sleep 0.2
        if ((SECONDS - began >= shown + 15)); then
            shown=$((SECONDS - began))
            say "  $name: ${shown} s, $(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-80)"
        fi
    done
    wait "$pid" || status=$?
    if ((status != 0)); then
        tail -n 40 "$log" >&2
        printf '%s: "%s" failed (status %d); the whole output is in %s\n' \
            "$(basename "$0")" "$name" "$status" "${log#"$ROOT"/}" >&2
    fi
    return "$status"
}
