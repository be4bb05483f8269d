#!/usr/bin/env bash
# See your heap, on real programs: record → report → advise → replay. scripts/see.sh DIST | quick
#
#   DIST   python3, sqlite3, redis-server, gcc's compiler, a C++ program with two threads and the
#          firmware in QEMU, with the tools that `make tools` wrote there: bin/memoman,
#          lib/libmemoman_record.so
#   quick  sqlite3, the C++ program, and a C program that sends firmware's records, in small, with
#          tools built for debugging; and the C code of `memoman plan`, where dist/ has the library
#
# The pages are in target/see.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=see
quick=
case ${1:-} in
    '') misused "quick, or the folder of the tools" ;;
    quick)
        quick=1
        dist=$work/tools
        # What the tests of these crates have compiled already.
        (cd "$root" && cargo build -q --profile test -p memoman-cli -p memoman-record) || exit 1
        place "$target/debug/memoman" "$dist/bin/memoman" 755
        place "$target/debug/libmemoman_record.so" "$dist/lib/libmemoman_record.so"
        ;;
    *) dist=$(cd "$1" && pwd) || exit 1 ;;
esac
memoman=$dist/bin/memoman
[ -x "$memoman" ] || die "$memoman is missing: run make tools"
pages=$target/see
programs=$root/crates/memoman-cli/tests/programs
mkdir -p "$pages"
cd "$work" || exit 1

# Its page is written, and used in a browser: ready within 5 s, each control, no error.
paged() {
    local name=$1 page=$pages/$1.html
    check "$name-report" "$memoman" report "$work/$name.mmt" -o "$page" || return
    if command -v chromium >/dev/null; then
        check "$name-page-in-a-browser" "$root/crates/memoman-cli/tests/page.py" "$page"
    else
        skip "$name-page-in-a-browser chromium is not installed"
    fi
}

# A trace's whole way: its page is used, the advice agrees with itself, and memoman's replay takes
# exactly the footprint that the advice names.
seen() {
    local name=$1 trace=$work/$1.mmt
    [ -s "$trace" ] || { fail "$name no trace"; return; }
    paged "$name" || return
    check "$name-advise" sh -c "'$memoman' advise --json '$trace' >advice.json" || return
    check "$name-replay" sh -c "'$memoman' replay --json --runs 1 '$trace' >replay.json" || return
    check "$name-figures-agree" python3 - <<'PYTHON'
import json
advice, replay = json.load(open("advice.json")), json.load(open("replay.json"))
memoman = next(row for row in replay["rows"] if row["allocator"] == "memoman")
assert memoman["refused"] is None, memoman
assert advice["calls"] > 1000, advice["calls"]
assert advice["peak_live"] <= advice["served"] <= advice["pool"], advice
assert -(-memoman["footprint"] // 16) * 16 == advice["footprint"], (memoman, advice["footprint"])
PYTHON
    python3 - "$name" <<'PYTHON'
import json, sys
a = json.load(open("advice.json"))
print(f"     {sys.argv[1]}: {a['calls']:,} calls, {a['peak_live']:,} bytes live at most, served by "
      f"{a['served']:,} ({a['served'] / a['peak_live']:.3f}), advised {a['pool']:,}")
PYTHON
}

# record NAME COMMAND…: its trace is NAME.mmt. The children's traces are not looked at.
record() {
    local name=$1
    shift
    "$memoman" record --quiet --stacks 16 -o "$work/$name.mmt" -- "$@" >"$work/$name.out" 2>&1
}

# load ROWS: what sqlite3 does with so many rows; 13 events a row.
load() {
    cat <<SQL
create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < $1)
insert into t select i, 'row ' || i || hex(i) from n;
create index tb on t(b);
delete from t where a % 3 = 0;
select count(*), sum(length(upper(b))) from t;
SQL
}
load "$([ -n "$quick" ] && echo 20000 || echo 400000)" >load.sql
record sqlite3 sqlite3 :memory: '.read load.sql'
seen sqlite3

g++ -O1 -g "$programs/threads.cpp" -o threads -lpthread || die "g++ is missing"
record threads ./threads "$([ -n "$quick" ] && echo 5000 || echo 100000)"
seen threads

if [ -z "$quick" ]; then
    load 900000 >large.sql
    record large sqlite3 :memory: '.read large.sql'
    paged large
    check large-has-ten-million-events sh -c "'$memoman' report --json large.mmt |
        python3 -c 'import json, sys; n = json.load(sys.stdin)[\"events\"]; print(n); \
            sys.exit(n < 10**7)'"
    rm -f large.mmt

    PYTHONMALLOC=malloc record python3 /usr/bin/python3 "$programs/objects.py"
    seen python3

    for i in $(seq 300); do
        echo "int f$i(int x) { int s = 0; for (int i = 0; i < x; i++) s += i * $i % 7; return s; }"
    done >many.c
    record gcc "$(gcc -print-prog-name=cc1)" -quiet -O2 many.c -o many.s
    seen gcc

    record redis redis-server --port 7917 --save '' --appendonly no &
    for _ in $(seq 100); do
        redis-cli -p 7917 ping >/dev/null 2>&1 && break
        sleep 0.1
    done
    redis-benchmark -p 7917 -n 20000 -r 10000 -d 200 -t set,lpush,hset,get -q >/dev/null 2>&1
    redis-cli -p 7917 flushall >/dev/null 2>&1
    redis-cli -p 7917 shutdown nosave >/dev/null 2>&1
    wait
    seen redis
fi
library=$dist
[ -e "$library/libmemoman.a" ] || library=$root/dist

# The shim's short cut: it starts the program anew under the recorder beside it, and leaves a file
# that exists alone.
short_cut() {
    local shim=$work/shim/libmemoman_preload.so
    place "$library/libmemoman_preload.so" "$shim"
    place "$dist/lib/libmemoman_record.so" "$work/shim/lib/libmemoman_record.so"
    LD_PRELOAD=$shim MEMOMAN_TRACE=cut.mmt MMT_STACKS=8 ./threads 1000 || return
    "$memoman" export --to folded cut.mmt | grep -q 'main;.* ' || return
    cp cut.mmt before.mmt
    LD_PRELOAD=$shim MEMOMAN_TRACE=cut.mmt ./threads 1000 2>cut.err || return
    grep -q 'cut.mmt: the file exists; the program runs without$' cut.err && cmp cut.mmt before.mmt
}

# Live figures of a program under the shim, whose every third block was freed.
top_sees() {
    local pid status=1
    LD_PRELOAD=$library/libmemoman_preload.so PYTHONMALLOC=malloc python3 -c '
import time
kept = [bytes(i % 900) for i in range(100_000)]
del kept[::3]
print(flush=True)
time.sleep(60)' >top.ready &
    pid=$!
    for _ in $(seq 100); do
        [ -s top.ready ] && break
        sleep 0.1
    done
    "$memoman" top --json "$pid" >top.json && python3 - <<'PYTHON' && status=0
import json
row = json.load(open("top.json"))
assert row["used"] > 30e6 and row["free_blocks"] > 10_000, row
assert 0.5 < row["fragmentation"] < 1 and 0 < row["largest_free"] <= row["free"], row
PYTHON
    kill "$pid"
    wait "$pid" 2>/dev/null
    return $status
}
# Live figures of a handle heap, in a program with the archive and in one with the shared library;
# what is missing where another user asks.
top_sees_a_handle_heap() { # the compiler's last arguments
    local pid status=1 address used
    gcc -std=c11 -Wall -Wextra -I "$library/include" "$programs/lasting.c" "$@" -lpthread \
        -o lasting || return
    rm -f lasting.txt
    LD_LIBRARY_PATH=$library ./lasting >lasting.txt &
    pid=$!
    for _ in $(seq 100); do
        [ -s lasting.txt ] && break
        sleep 0.1
    done
    read -r address used <lasting.txt
    "$memoman" top --json --heap "$address" "$pid" >top.json && grep "\"used\":$used\b" top.json &&
        permission_is_named "$pid" && status=0
    kill "$pid"
    wait "$pid" 2>/dev/null
    return $status
}
permission_is_named() { # process
    [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || return 0
    chmod a+rx "$work" && install -m 755 "$memoman" top-of-another
    ! setpriv --reuid=65534 --regid=65534 --clear-groups ./top-of-another top "$1" 2>top.err &&
        grep 'no permission' top.err
}
if [ -e "$library/libmemoman.a" ]; then
    check top-sees-a-handle-heap top_sees_a_handle_heap "$library/libmemoman.a"
    check top-sees-a-handle-heap-of-the-library top_sees_a_handle_heap -L "$library" -lmemoman
else
    skip "top-sees-a-handle-heap $library/libmemoman.a is missing: make"
fi
if [ -e "$library/libmemoman_preload.so" ]; then
    check MEMOMAN_TRACE-records short_cut
    check operators-under-the-shim env MEMOMAN_SHIM="$library/libmemoman_preload.so" \
        cargo test --quiet --manifest-path "$root/Cargo.toml" --package memoman-cli --test record \
        operators_are_recorded_once
    check top-sees-fragmentation top_sees
else
    skip "MEMOMAN_TRACE-records $library/libmemoman_preload.so is missing: make"
fi

# What a program sends by memoman/record.h, on a handle heap in a static array.
sends() {
    gcc -std=c11 -Wall -Wextra -I "$library/include" "$programs/sends.c" \
        "$library/libmemoman.a" -lpthread -o sends && ./sends &&
        "$memoman" import sends.mmr -o sends.mmt
}
# Of a program with heaps of its own the recorder says so once, and of no other.
own_heaps_are_named() {
    "$memoman" record -o own.mmt -- ./sends 2>own.err >own.txt
    [ "$(grep -c 'its own handle heaps' own.err)" = 1 ] &&
        "$memoman" record -o own.mmt -- sh -c : 2>own.err &&
        ! grep 'its own handle heaps' own.err
}
if [ -e "$library/libmemoman.a" ]; then
    check records-are-imported sends && seen sends
    check own-heaps-are-named own_heaps_are_named
else
    skip "records-are-imported $library/libmemoman.a is missing: make"
fi

# The firmware of examples/, in QEMU.
firmware() {
    local records=$target/embedded/cortex-m3/records.mmr
    [ -s "$records" ] || "$root/scripts/embedded.sh" firmware >embedded.log ||
        { tail -n 20 embedded.log; return 1; }
    "$memoman" import "$records" -o firmware.mmt
}
if [ -z "$quick" ]; then
    check every-allocator-replays "$memoman" replay --runs 1 threads.mmt \
        --with memoman,glibc,rlsf,talc,o1heap
    if "$root/scripts/setup.sh" --check check-embedded >/dev/null 2>&1; then
        check firmware-is-imported firmware && seen firmware
    else
        skip "firmware-is-imported QEMU or a compiler for it is missing: make check-embedded"
    fi
    # valgrind's viewer opens the export for it.
    if command -v chromium >/dev/null && [ -e /usr/libexec/valgrind/dh_view.html ]; then
        check dhat-opens sh -c "'$memoman' export --to dhat threads.mmt -o dhat.json &&
            '$root/crates/memoman-cli/tests/dhat.py' dhat.json"
    else
        skip "dhat-opens chromium or valgrind is not installed"
    fi
fi

# The planned pools serve their counts, allocated and freed in turns.
planned() {
    "$memoman" plan "$root/examples/plan/classes.toml" --code heap.h --evidence heap.md &&
        grep -q '## Fragmentation' heap.md &&
        gcc -std=c11 -Wall -Wextra -Werror -I "$library/include" -I . \
            "$root/examples/plan/planned.c" "$library/libmemoman.a" -lpthread -o planned &&
        ./planned
}
if [ -e "$library/libmemoman.a" ]; then
    check plan-code-runs planned
else
    skip "plan-code-runs $library/libmemoman.a is missing: make"
fi
echo "     pages: $pages"
finish
