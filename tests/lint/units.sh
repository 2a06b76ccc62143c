#!/bin/sh
# systemd accepts the units as they are installed, and rates their exposure at 1.5 or less of 10; the
# examples name the same options file variables as the units.
#
# usage: units.sh UNIT_DIR EXAMPLES_DIR | --self-test UNIT_DIR EXAMPLES_DIR
set -eu
THRESHOLD=15 # tenths

# check UNIT_DIR EXAMPLES_DIR
check()
{
    rm -rf "$work/root"
    mkdir -p "$work/root/etc" "$work/root/usr/lib/systemd/system"
    # Only what these units name is in the root, so that systemd speaks about these units alone.
    for name in network-online network basic sysinit multi-user shutdown; do
        printf '[Unit]\nDescription=%s\nDefaultDependencies=no\n' "$name" \
            >"$work/root/usr/lib/systemd/system/$name.target"
    done
    for slice in system -; do
        printf '[Unit]\nDescription=slice\nDefaultDependencies=no\n' \
            >"$work/root/usr/lib/systemd/system/$slice.slice"
    done
    status=0
    for unit in coolbeans-node coolbeans-proxy; do
        cp "$1/$unit.service" "$work/root/usr/lib/systemd/system/"
        program=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$1/$unit.service")
        mkdir -p "$work/root$(dirname "$program")"
        printf '#!/bin/sh\n' >"$work/root$program"
        chmod 755 "$work/root$program"
    done
    for unit in coolbeans-node coolbeans-proxy; do
        systemd-analyze verify --root="$work/root" --man=no --recursive-errors=no \
            "$work/root/usr/lib/systemd/system/$unit.service" >"$work/said" 2>&1 || status=1
        # Words about a setting are only printed, not counted, by systemd.
        if grep "$unit.service" "$work/said"; then
            status=1
        fi
        if ! systemd-analyze security --offline=true --root="$work/root" --threshold="$THRESHOLD" \
            --no-pager "$unit.service" >"$work/said" 2>&1; then
            grep -v '✓' "$work/said" | tail -n 20
            echo "$unit.service: exposure over $THRESHOLD tenths"
            status=1
        fi
        variable=$(sed -n 's/^ExecStart=.*\$\([A-Z_]*\)$/\1/p' "$1/$unit.service")
        kind=${unit#coolbeans-}
        for example in "$2/three-hosts/$kind"*.env; do
            if ! grep -q "^$variable=" "$example"; then
                echo "$example does not set $variable, which $unit.service passes on"
                status=1
            fi
        done
    done
    return "$status"
}

# planted NAME FILE SED: the check must refuse the units after this change.
planted()
{
    rm -rf "$work/units" "$work/examples"
    cp -r "$units" "$work/units"
    cp -r "$examples" "$work/examples"
    sed -i "$3" "$work/$2"
    if check "$work/units" "$work/examples" >/dev/null; then
        echo "self-test: $1 went through"
        exit 1
    fi
}

command -v systemd-analyze >/dev/null || {
    echo 'there is no systemd-analyze (package systemd)'
    exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $1 in
--self-test)
    units=$2 examples=$3
    planted 'a setting that does not exist' units/coolbeans-node.service 's/^ProtectClock=/ProtectClocks=/'
    planted 'a program that is not named in full' units/coolbeans-node.service 's/^ExecStart=.*/ExecStart=node/'
    planted 'a unit with all capabilities' units/coolbeans-proxy.service '/^CapabilityBoundingSet=/d'
    planted 'another name of the options' examples/three-hosts/node-n2.env 's/NODE_OPTIONS/OPTIONS/'
    echo 'self-test: 4 of 4 as wanted'
    ;;
*) check "$1" "$2" ;;
esac
