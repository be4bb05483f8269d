#!/usr/bin/env bash
# The demo: a C program in a static array, then unmodified programs on the shim. demo.sh DIST
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dist=$(cd "${1:-$root/dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== examples/quickstart.c: an allocator in a static array"
gcc -std=c99 -Wall -Wextra -Werror -O2 -I "$dist/include" "$root/examples/quickstart.c" "$dist/libmemoman.a" -lpthread -o "$work/quickstart"
"$work/quickstart"
echo
echo "== unmodified programs with LD_PRELOAD=libmemoman_preload.so"
SHIM=$dist/libmemoman_preload.so "$root/scripts/programs.sh" demo
