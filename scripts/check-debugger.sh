#!/usr/bin/env bash
# The debugger script under gdb, against the stripped release library: scripts/check-debugger.sh
# [DIST|32-bit]
#
# Without 32-bit: a live process, a core dump, the debug library, lldb if it is installed. With it:
# a program with the library of target/i686 (make check-32). make check-embedded reads a firmware's.
# The program is c_tests/debugger/heap.c.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=debugger
dist=
[ "${1:-}" = 32-bit ] || dist=$(cd "${1:-$root/dist}" && pwd)
script=$root/packaging/debugger/memoman.py

program() { # name, archive, flags
    local name=$1 archive=$2
    shift 2
    ${CC:-cc} "$@" -g -O1 -Wall -Wextra -I "$root/include" "$root/c_tests/debugger/heap.c" \
        "$archive" -lpthread -o "$work/$name"
}

# commands GDB-ARGUMENT… -- COMMAND…: what gdb prints.
commands() {
    local arguments=()
    while [ "$1" != -- ]; do arguments+=("$1") && shift; done
    shift
    local command
    for command in "$@"; do arguments+=(-ex "$command"); done
    timeout 120 gdb -q -nx -batch -ex "source $script" "${arguments[@]}" 2>&1
}

# says TEXT FILE: the text, a basic regular expression, is in it.
says() { grep -q -- "$1" "$2" || { echo "not found: $1"; cat "$2"; return 1; }; }

all=('memoman heap heap' 'memoman map heap' 'memoman block block+10 heap'
    'memoman block freed heap' 'memoman heap damaged' 'memoman heap' 'memoman block global'
    'memoman heap 12' 'memoman')
release_says() {
    says 'in use: 2 blocks' "$1" && says 'free: 3 blocks' "$1" &&
        says 'is byte 10 of a block in use' "$1" && says 'is byte 0 of a block free' "$1" &&
        says 'BROKEN in pool 0, block 0x[0-9a-f]*: header overwritten' "$1" &&
        says '#|' "$1" && says '\.|' "$1" &&
        says 'memoman: no memory at\|memoman: no heap at' "$1" &&
        says 'memoman heap .HEAP. | map' "$1"
}
global_says() { says '^thread heap' "$1" && says 'is byte 0 of a block in use' "$1"; }

live() { # program
    commands -ex 'break here' -ex run "$work/$1" -- "${all[@]}" >"$work/$1.txt"
}
on_live() { live live && release_says "$work/live.txt" && global_says "$work/live.txt"; }
on_core() {
    commands -ex 'handle SIGABRT stop' -ex 'run abort' -ex "generate-core-file $work/core" \
        "$work/live" -- kill >"$work/dump.txt"
    commands "$work/live" "$work/core" -- "${all[@]}" >"$work/core.txt"
    release_says "$work/core.txt" && global_says "$work/core.txt"
}
on_shared() {
    cc -g -O1 -I "$root/include" "$root/c_tests/debugger/heap.c" -L "$dist" -lmemoman \
        "-Wl,-rpath,$dist" -o "$work/shared" && live shared && release_says "$work/shared.txt" &&
        global_says "$work/shared.txt"
}
on_debug() {
    program debug "$dist/libmemoman-debug.a" && live debug &&
        says 'in use: 3 blocks' "$work/debug.txt" && says '^process-wide heap' "$work/debug.txt"
}
on_32_bit() {
    program narrow "$target/i686/libmemoman.a" -m32 && live narrow &&
        release_says "$work/narrow.txt" && global_says "$work/narrow.txt"
}
# Under lldb, where it is installed. (Debian's finds its Python module by PYTHONPATH only.)
on_lldb() {
    local command arguments=()
    for command in "${all[@]}"; do arguments+=(-o "$command"); done
    PYTHONPATH=$(echo /usr/lib/llvm-*/lib/python3.*/dist-packages | cut -d' ' -f1) \
        timeout 120 "$1" -b -o "command script import $script" -o 'breakpoint set -n here' \
        -o run "${arguments[@]}" -o kill "$work/live" >"$work/lldb.txt" 2>&1
    release_says "$work/lldb.txt" && global_says "$work/lldb.txt"
}

command -v gdb >/dev/null || die "gdb is missing: scripts/setup.sh check installs it"
if [ -z "$dist" ]; then
    check 32-bit on_32_bit
    finish
    exit
fi
check compiles program live "$dist/libmemoman.a"
check live-process on_live
check core-dump on_core
check shared-library on_shared
[ ! -e "$dist/libmemoman-debug.a" ] || check debug-library on_debug
lldb=$(compgen -c lldb- | grep -xE 'lldb-[0-9]+' | sort -V | head -1)
if [ -n "$lldb" ]; then
    check lldb on_lldb "$lldb"
else
    skip "lldb it is not installed"
fi
finish
