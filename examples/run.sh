#!/usr/bin/env bash
# Builds and runs the examples on the library in a folder: examples/run.sh DIST [NAME…]
#
# Each prints what it proves and ends with a status other than 0 if it is not so. One line each, "ok examples NAME" or
# "FAIL examples NAME"; exits with 1 if one failed. `examples/setup.sh` installs the hosts (Debian's SQLite and Lua).
set -uo pipefail
case "${1:-}" in
    -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;;
    '') echo "examples/run.sh: say where the library is: examples/run.sh dist" >&2; exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
dist=$(cd "$1" && pwd) || exit 2
shift
all=(sqlite lua audio game pmr python)
[ $# -gt 0 ] || set -- "${all[@]}"
if ! [ -e "$dist/libmemoman.so" ]; then
    echo "examples/run.sh: no library in $dist: run make" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
c=(-std=c11 -g -O2 -Wall -Wextra -Werror -I "$dist/include")
cxx=(-std=c++17 -g -O2 -Wall -Wextra -Werror -I "$dist/include")
count=$work/libc_calls.o
library=("$dist/libmemoman.a" -lpthread)
failed=0

build() { # NAME: builds $work/NAME
    case $1 in
        sqlite) gcc "${c[@]}" "$here/sqlite/main.c" "$count" "${library[@]}" -lsqlite3 -o "$work/$1" ;;
        lua)
            # shellcheck disable=SC2046 # a list of words
            gcc "${c[@]}" $(pkg-config --cflags lua5.4) "$here/lua/main.c" "$count" "${library[@]}" $(pkg-config --libs lua5.4) -lm -o "$work/$1"
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
            # What would show if the claim were false must be shown to show.
            { timeout 120 "$work/audio" cheat-call; } >/dev/null 2>&1
            [ $? -eq $((128 + 31)) ] || { echo "a system call in the callback was not found"; return 1; }
            timeout 120 "$work/audio" cheat-fault >"$work/cheat" 2>&1 && { echo "page faults in the callback were not found"; return 1; }
            grep -q '^FAILED:.*faults == 0' "$work/cheat" || { cat "$work/cheat"; return 1; }
            echo "  proved: a callback that calls the system is killed, one that touches fresh memory is counted"
            ;;
        *) timeout 120 "$work/$1" ;;
    esac
}

gcc "${c[@]}" -c "$here/support/libc_calls.c" -o "$count" || exit 1
for name in "$@"; do
    if build "$name" >"$work/log" 2>&1 && run "$name" >"$work/log" 2>&1; then
        echo "ok   examples $name"
        sed 's/^/       /' "$work/log"
    else
        echo "FAIL examples $name"
        sed 's/^/       /' "$work/log" | head -40
        failed=1
    fi
done
exit $failed
