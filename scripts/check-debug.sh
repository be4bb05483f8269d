#!/usr/bin/env bash
# Unmodified programs under the debug shim: the same output and status, nothing reported. A program
# linked with the debug library: the report under AddressSanitizer, the list of leaks.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=programs
cd "$root"

out=$target/check/debug
scripts/build-lib.sh "$out" debug || exit 1
shim=$out/libmemoman_preload-debug.so

# same COMMAND…: same output and status with and without the shim, and no report.
same() {
    local plain
    "$@" >"$work/plain" 2>"$work/plain.err"
    plain=$?
    LD_PRELOAD=$shim timeout 120 "$@" >"$work/shim" 2>"$work/shim.err"
    [ $? -eq $plain ] && [ -s "$work/plain" ] && cmp -s "$work/plain" "$work/shim" &&
        ! grep -q '^memoman:' "$work/shim.err" && return
    tail -n 5 "$work/shim.err"
    return 1
}

check debug_shim_python3 same python3 -c '
import json, threading
words = {str(i): list(range(i % 50)) for i in range(20000)}
assert json.loads(json.dumps(words)) == words
threads = [threading.Thread(target=lambda: [bytes(i) for i in range(2000)]) for _ in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(words))'
check debug_shim_perl same perl -e '
    my %h; $h{$_} = "x" x ($_ % 300) for 1..30000; my $n = 0; $n += length for values %h;
    print "$n\n"'
check debug_shim_git same git log --stat -n 3
check debug_shim_sqlite3 same sqlite3 :memory: '
    with recursive t(i) as (select 1 union all select i+1 from t where i<30000)
        select count(*), sum(length(hex(i))) from t;
    create table a as with recursive t(i) as (select 1 union all select i+1 from t where i<20000)
        select i, hex(i) h from t;
    create index x on a(h);
    select count(distinct h) from a;'
# shellcheck disable=SC2016 # for the other shell
check debug_shim_bash same bash -c '
    for i in 1 2 3 4 5 6 7 8 9; do x=$(printf %s "$i" | tr 1-9 a-i); echo "$x"; done'
check debug_shim_gcc same \
    gcc -O1 -S -x c c_tests/support/engine.c -I c_tests/support -I include -o -
check debug_shim_sort same \
    sh -c 'seq 50000 | sort -R --random-source=/dev/zero | sort -n | tail -n 1'

# The check must be able to fail: a program that writes one byte too far is stopped.
cat >"$work/over.c" <<'C'
#include <stdlib.h>
int main(void) { volatile char *p = malloc(24); p[24] = 1; free((void *)p); return 0; }
C
gcc -O0 -w "$work/over.c" -o "$work/over"
expect debug_shim_stops_an_overflow 134 'memoman: write past the end of the block (overflow): 0x' \
    env LD_PRELOAD="$shim" "$work/over"

# A linked program: the functions on a stack, blocks that its allocator's end leaves in use.
cat >"$work/heap.c" <<'C'
#include <memoman/debug.h>
#include <stdio.h>
#include <string.h>
static _Alignas(16) unsigned char memory[64 * 1024];
__attribute__((noinline)) static void free_twice(mm_allocator_t *heap, void *block) {
    mm_free(heap, block);
    mm_free(heap, block);
    __asm__ volatile("");
}
int main(int count, char **arguments) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    if (count > 1 && strcmp(arguments[1], "twice") == 0) free_twice(heap, mm_malloc(heap, 48));
    for (int i = 0; i < 3; i++)
        if (mm_malloc(heap, 100) == NULL) return 1;
    mm_free(heap, mm_malloc(heap, 40));
    if (count > 1 && strcmp(arguments[1], "report") == 0)
        printf("%zu blocks\n", mm_report_leaks ? mm_report_leaks(heap) : 0);
    mm_destroy(heap);
    return 0;
}
C
linked() {
    local name=$1
    shift
    gcc -g -O1 -std=c11 "$@" -I "$out/include" "$work/heap.c" "$out/libmemoman-debug.a" -lpthread \
        -ldl -o "$work/$name" || die "$name does not compile"
}
linked plain
linked asan -fsanitize=address
expect debug_prints_the_sanitizers_stack 134 ' in free_twice ' "$work/asan" twice
expect debug_lists_leaks_of_a_destroyed_allocator 0 \
    'memoman: 300 bytes in 3 blocks in use at mm_destroy' env MEMOMAN_LEAKS=1 "$work/plain"
expect debug_reports_leaks_on_request 0 'memoman: 300 bytes in 3 blocks in use' \
    "$work/plain" report
check debug_lists_no_leaks_unasked sh -c "! '$work/plain' 2>&1 | grep ."
finish
