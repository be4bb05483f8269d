#!/usr/bin/env bash
# Checks of the debug library that are not in the C suite. check-debug.sh lint|rust|programs
#   lint      clippy over the code that only the debug library has
#   rust      its tests in Rust: calls, reports, variables, leaks
#   programs  unmodified programs under the debug shim: they run as they do without it, and nothing is found
# One line a check; exits with 1 if one failed.
set -uo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-$PWD/target}

flags="${RUSTFLAGS:-} --cfg memoman_debug -Cforce-frame-pointers=yes"

case "${1:-}" in
    lint)
        RUSTFLAGS=$flags exec cargo clippy --quiet --workspace --all-targets --target-dir "$target/memoman-debug" -- -D warnings
        ;;
    rust)
        RUSTFLAGS=$flags exec cargo test -p memoman-global --lib --test debugged --target-dir "$target/memoman-debug"
        ;;
    programs) ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac

out=$target/check/debug
scripts/build-lib.sh "$out" debug || exit 1
shim=$out/libmemoman_preload-debug.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# same NAME COMMAND...: the command says the same with and without the shim, and the shim finds nothing.
same() {
    local name=$1
    shift
    "$@" >"$work/plain" 2>"$work/plain.err"
    local plain=$?
    LD_PRELOAD=$shim timeout 120 "$@" >"$work/shim" 2>"$work/shim.err"
    if [ $? -eq $plain ] && [ -s "$work/plain" ] && cmp -s "$work/plain" "$work/shim" && ! grep -q '^memoman:' "$work/shim.err"; then
        echo "ok programs debug_shim_$name"
    else
        echo "FAIL programs debug_shim_$name"
        tail -n 5 "$work/shim.err"
        failed=1
    fi
}

same python3 python3 -c '
import json, threading
words = {str(i): list(range(i % 50)) for i in range(20000)}
assert json.loads(json.dumps(words)) == words
threads = [threading.Thread(target=lambda: [bytes(i) for i in range(2000)]) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(words))'
same perl perl -e 'my %h; $h{$_} = "x" x ($_ % 300) for 1..30000; my $n = 0; $n += length for values %h; print "$n\n"'
same git git log --stat -n 3
same sqlite3 sqlite3 :memory: 'with recursive t(i) as (select 1 union all select i+1 from t where i<30000) select count(*), sum(length(hex(i))) from t; create table a as with recursive t(i) as (select 1 union all select i+1 from t where i<20000) select i, hex(i) h from t; create index x on a(h); select count(distinct h) from a;'
same bash bash -c 'for i in 1 2 3 4 5 6 7 8 9; do x=$(printf %s "$i" | tr 1-9 a-i); echo "$x"; done'
same gcc gcc -O1 -S -x c c_tests/support/engine.c -I c_tests/support -I include -o -
same sort sh -c 'seq 50000 | sort -R --random-source=/dev/zero | sort -n | tail -n 1'

# The check must be able to fail: a program that writes one byte too far is stopped.
cat >"$work/over.c" <<'C'
#include <stdlib.h>
int main(void) { volatile char *p = malloc(24); p[24] = 1; free((void *)p); return 0; }
C
gcc -O0 -w "$work/over.c" -o "$work/over"
LD_PRELOAD=$shim "$work/over" 2>"$work/shim.err"
if [ $? -eq 134 ] && grep -q '^memoman: write behind the block (overflow): 0x' "$work/shim.err"; then
    echo "ok programs debug_shim_stops_an_overflow"
else
    echo "FAIL programs debug_shim_stops_an_overflow"
    failed=1
fi
exit $failed
