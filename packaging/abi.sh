#!/usr/bin/env bash
# The ABI that programs rely on, by libabigail: the functions of memoman.h, the layout of its types.
#
#   packaging/abi.sh check   compares the header with the recorded ABI (packaging/abi); fails on any
#                            difference
#   packaging/abi.sh record  records it anew: refused if a recorded function or type has changed or
#                            gone, unless FORCE=1
#
# HEADER names another header. The shipped library has no debug information. Its functions are the
# header's (scripts/check-artifacts.sh), and so the ABI is taken from a library of the same SONAME
# whose functions are the header's declarations with empty bodies.
set -euo pipefail
. "$(dirname "$0")/../scripts/lib.sh"
mode=${1:-}
case $mode in check | record) ;; *) misused "check or record" ;; esac
cd "$root"
header=${HEADER:-include/memoman.h}
recorded=packaging/abi/memoman_0-$(gcc -dumpmachine | cut -d- -f1).abi

# The header without comments, a body for each declaration.
gcc -fpreprocessed -dD -E -P -x c "$header" | sed -E \
    '/^(typedef|#)/! s/^([a-z].*\bmm_[a-z_]+\(.*\));$/\1 { __builtin_unreachable(); }/' \
    >"$work/functions.c"
header_functions "$header" |
    sed -e '1s/^/MEMOMAN_0 { global: /' -e 's/$/;/' -e '$s/$/ local: *; };/' >"$work/memoman.map"
gcc -g -w -shared -fPIC -Wl,-soname,libmemoman.so.0 -Wl,--version-script="$work/memoman.map" \
    "$work/functions.c" -o "$work/libmemoman.so.0"
declared=$(header_functions "$header" | wc -l)
defined=$(nm -D --defined-only "$work/libmemoman.so.0" | grep -c ' T mm_')
[ "$declared" -eq "$defined" ] ||
    die "$declared functions are declared, $defined of the declarations were understood"
abidw --no-comp-dir-path --no-corpus-path --short-locs --no-show-locs --type-id-style hash \
    "$work/libmemoman.so.0" >"$work/now.abi"

record() {
    cp "$work/now.abi" "$recorded"
    echo "$script: recorded in $recorded"
    exit 0
}

if [ ! -e "$recorded" ]; then
    [ $mode = record ] || die "no ABI is recorded for this machine: make abi"
    record
fi

# abidiff's status: bit 2 a difference, bit 3 one that breaks programs, below that its own error.
status=0
abidiff --suppressions packaging/abi/growing.abignore "$recorded" "$work/now.abi" \
    >"$work/difference" 2>&1 || status=$?
[ $status -eq 0 ] || cat "$work/difference" >&2
[ $((status & 3)) -eq 0 ] || die "abidiff failed"
removed='Functions changes summary: [1-9][0-9]* Removed|Removed, [1-9][0-9]* Changed'
breaks=no
if [ $((status & 8)) -ne 0 ] || grep -qE "$removed" "$work/difference"; then breaks=yes; fi
if [ $mode = record ]; then
    [ $breaks = no ] || [ "${FORCE:-}" = 1 ] ||
        die "a recorded function or type has changed: programs would break. It needs a new" \
            "SONAME; FORCE=1 records it anyway"
    record
fi
[ $status -ne 0 ] || exit 0
[ $breaks = no ] || die "programs built for the recorded ABI would break: restore what has" \
    "changed, or give the library a new SONAME"
die "the ABI has grown: record it with \`make abi\` and commit $recorded"
