#!/usr/bin/env bash
# Real programs with and without the shim: the same output? scripts/programs.sh demo|check [DIST]
#
#   demo   a C program in a static array; then python, git, sqlite and gcc on the shim
#   check  these four and bash, perl, node, redis, cargo
#
# The programs and the comparison are those of benches/real-programs.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=programs
programs=(python-objects git-log sqlite gcc-24k)
case "${1:-}" in
    demo) ;;
    check) programs+=(bash perl node redis cargo) ;;
    *) misused "demo or check" ;;
esac
dist=$(cd "${2:-$root/dist}" && pwd)
if [ "$1" = demo ]; then
    echo "== examples/quickstart.c: an allocator in a static array"
    gcc -std=c99 -Wall -Wextra -Werror -O2 -I "$dist/include" "$root/examples/quickstart.c" \
        "$dist/libmemoman.a" -lpthread -o "$work/quickstart" && "$work/quickstart" || exit 1
    printf '\n== unmodified programs with LD_PRELOAD=libmemoman_preload.so: the same output\n'
fi
"$root/benches/real-programs/run.py" --check --shim "$dist/libmemoman_preload.so" \
    "${programs[@]}" | relay
[ "${PIPESTATUS[0]}" -eq 0 ] || grep -q '^FAIL' "$results" || fail "run.py has ended early"
finish
