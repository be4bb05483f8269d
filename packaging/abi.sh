#!/usr/bin/env bash
# The ABI that programs rely on, as libabigail sees it: every function of memoman.h with the layout of its types.
#   abi.sh check     compares the header with the recorded ABI (packaging/abi); fails on any difference
#   abi.sh record    records it anew: refused while something that is recorded has changed or gone, unless FORCE=1
# The shipped library has no debug information. Its functions are the header's (scripts/check-artifacts.sh), and so the
# ABI is taken from a library of the same SONAME whose functions are the header's declarations with empty bodies.
set -euo pipefail
cd "$(dirname "$0")/.."
header=${HEADER:-include/memoman.h}
recorded=packaging/abi/memoman_0-$(gcc -dumpmachine | cut -d- -f1).abi

case "${1:-}" in
    check | record) ;;
    *) sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{
    # Comments away, and a body to each declaration.
    gcc -fpreprocessed -dD -E -P -x c "$header" | sed -E '/^(typedef|#)/! s/^([a-z].*\bmm_[a-z_]+\(.*\));$/\1 { __builtin_unreachable(); }/'
} >"$work/functions.c"
{
    echo 'MEMOMAN_0 { global:'
    scripts/header-functions.sh "$header" | sed 's/$/;/'
    echo 'local: *; };'
} >"$work/memoman.map"
gcc -g -w -shared -fPIC -Wl,-soname,libmemoman.so.0 -Wl,--version-script="$work/memoman.map" "$work/functions.c" -o "$work/libmemoman.so.0"
declared=$(scripts/header-functions.sh "$header" | wc -l)
defined=$(nm -D --defined-only "$work/libmemoman.so.0" | grep -c ' T mm_')
[ "$declared" -eq "$defined" ] || {
    echo "abi.sh: $declared functions are declared, $defined were understood" >&2
    exit 1
}
abidw --no-comp-dir-path --no-corpus-path --short-locs --no-show-locs --type-id-style hash "$work/libmemoman.so.0" >"$work/now.abi"

if [ ! -e "$recorded" ]; then
    if [ "$1" = check ]; then
        echo "abi.sh: no ABI is recorded for this machine: make abi" >&2
        exit 1
    fi
    cp "$work/now.abi" "$recorded"
    echo "abi.sh: recorded in $recorded"
    exit 0
fi

# abidiff's status: bit 2 a difference, bit 3 one that breaks programs for certain, below that an error of its own.
status=0
abidiff --suppressions packaging/abi/growing.abignore "$recorded" "$work/now.abi" >"$work/difference" 2>&1 || status=$?
incompatible=no
if [ $((status & 3)) -ne 0 ]; then
    cat "$work/difference" >&2
    echo "abi.sh: abidiff failed" >&2
    exit 1
elif [ $((status & 8)) -ne 0 ] || grep -qE 'Functions changes summary: [1-9][0-9]* Removed|Removed, [1-9][0-9]* Changed' "$work/difference"; then
    incompatible=yes
fi
if [ "$1" = record ]; then
    if [ "$incompatible" = yes ] && [ "${FORCE:-}" != 1 ]; then
        cat "$work/difference" >&2
        echo "abi.sh: something recorded has changed: programs would break. A new SONAME is due; FORCE=1 records it all the same" >&2
        exit 1
    fi
    cp "$work/now.abi" "$recorded"
    echo "abi.sh: recorded in $recorded"
elif [ "$status" -ne 0 ]; then
    cat "$work/difference" >&2
    if [ "$incompatible" = yes ]; then
        echo "abi.sh: programs built for the recorded ABI would break: restore what has changed, or give the library a new SONAME" >&2
    else
        echo "abi.sh: the ABI has grown: record it with \`make abi\` and commit $recorded" >&2
    fi
    exit 1
fi
