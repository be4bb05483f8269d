#!/usr/bin/env bash
# Builds and runs the examples on the library in a folder: examples/run.sh DIST [NAME…]
#
# Each prints what it proves, and fails if that is not so. scripts/setup.sh examples installs their
# hosts (Debian's SQLite and Lua).
set -uo pipefail
. "$(dirname "$0")/../scripts/lib.sh"
group=examples
[ $# -gt 0 ] || misused "say where the library is: examples/run.sh dist"
here=$root/examples
dist=$(cd "$1" && pwd) || exit 2
shift
all=(sqlite lua audio game pmr python)
[ $# -gt 0 ] || set -- "${all[@]}"
[ -e "$dist/libmemoman.so" ] || die "no library in $dist: run make"
c=(-std=c11 -g -O2 -Wall -Wextra -Werror -I "$dist/include")
cxx=(-std=c++17 -g -O2 -Wall -Wextra -Werror -I "$dist/include")
count=$work/libc_calls.o
library=("$dist/libmemoman.a" -lpthread)

build() { # NAME: builds $work/NAME
    case $1 in
        sqlite)
            gcc "${c[@]}" "$here/sqlite/main.c" "$count" "${library[@]}" -lsqlite3 -o "$work/$1"
            ;;
        lua)
            # shellcheck disable=SC2046 # a list of words
            gcc "${c[@]}" $(pkg-config --cflags lua5.4) "$here/lua/main.c" "$count" \
                "${library[@]}" $(pkg-config --libs lua5.4) -lm -o "$work/$1"
            ;;
        audio | game) gcc "${c[@]}" "$here/$1/main.c" "${library[@]}" -o "$work/$1" ;;
        pmr) g++ "${cxx[@]}" "$here/pmr/main.cpp" "$count" "${library[@]}" -o "$work/$1" ;;
        python) ;;
        *) echo "no such example; there are: ${all[*]}"; return 1 ;;
    esac
}

run() { # NAME
    case $1 in
        python) timeout 120 python3 "$here/python/heap.py" "$dist/libmemoman.so" ;;
        audio)
            timeout 120 "$work/audio" || return 1
            # Self-test: a callback that breaks the promise is found.
            { timeout 120 "$work/audio" cheat-call; } >/dev/null 2>&1
            [ $? -eq $((128 + 31)) ] ||
                { echo "a system call in the callback was not found"; return 1; }
            ! timeout 120 "$work/audio" cheat-fault >"$work/cheat" 2>&1 ||
                { echo "page faults in the callback were not found"; return 1; }
            grep -q '^FAILED:.*faults == 0' "$work/cheat" || { cat "$work/cheat"; return 1; }
            echo "  proved: a callback that calls the system is killed," \
                "one that touches fresh memory is counted"
            ;;
        *) timeout 120 "$work/$1" ;;
    esac
}

gcc "${c[@]}" -c "$here/support/libc_calls.c" -o "$count" || exit 1
build_and_run() { build "$1" && run "$1"; }
for name in "$@"; do
    if check "$name" build_and_run "$name"; then indented <"$work/log"; fi
done
finish
