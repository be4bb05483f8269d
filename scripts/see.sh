#!/usr/bin/env bash
# See your heap, on real programs: record → report → advise → replay. scripts/see.sh [quick] DIST
#
#   python3, sqlite3, redis-server, gcc's compiler and a C++ program with two threads; with `quick`
#   sqlite3 and the C++ program, in small. The pages are in target/see. DIST is what `make tools`
#   wrote: DIST/bin/memoman, DIST/lib/libmemoman_record.so.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=see
quick=
[ "${1:-}" != quick ] || { quick=1; shift; }
[ -n "${1:-}" ] || misused "say where the tool is"
dist=$(cd "$1" && pwd) || exit 1
memoman=$dist/bin/memoman
[ -x "$memoman" ] || die "$memoman is missing: run make tools"
pages=$target/see
mkdir -p "$pages"
cd "$work" || exit 1

# A trace's whole way: its page is used, the advice holds its own figures, and memoman's replay takes
# exactly the footprint that the advice names.
seen() {
    local name=$1 trace=$work/$1.mmt page=$pages/$1.html
    [ -s "$trace" ] || { fail "$name no trace"; return; }
    check "$name-report" "$memoman" report "$trace" -o "$page" || return
    if command -v chromium >/dev/null; then
        check "$name-page-in-a-browser" python3 "$root/scripts/check_report.py" "$page"
    else
        skip "$name-page-in-a-browser chromium is not installed"
    fi
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

rows=$([ -n "$quick" ] && echo 20000 || echo 400000)
cat >load.sql <<SQL
create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < $rows)
insert into t select i, 'row ' || i || hex(i) from n;
create index tb on t(b);
delete from t where a % 3 = 0;
select count(*), sum(length(upper(b))) from t;
SQL
record sqlite3 sqlite3 :memory: '.read load.sql'
seen sqlite3

cat >threads.cpp <<'CPP'
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <queue>
#include <string>
#include <thread>
// One thread makes strings, the other ends them.
int main(int, char **argv) {
    std::queue<std::string> queue;
    std::mutex mutex;
    std::condition_variable ready;
    const int count = std::atoi(argv[1]);
    std::thread taker([&] {
        for (int i = 0; i < count; i++) {
            std::unique_lock<std::mutex> lock(mutex);
            ready.wait(lock, [&] { return !queue.empty(); });
            std::string taken = std::move(queue.front());
            queue.pop();
        }
    });
    for (int i = 0; i < count; i++) {
        std::string made(20 + i * 7919 % 3000, 'x');
        std::lock_guard<std::mutex> lock(mutex);
        queue.push(std::move(made));
        ready.notify_one();
    }
    taker.join();
}
CPP
g++ -O1 -g threads.cpp -o threads -lpthread || die "g++ is missing"
record threads ./threads "$([ -n "$quick" ] && echo 5000 || echo 100000)"
seen threads

if [ -z "$quick" ]; then
    cat >objects.py <<'PYTHON'
import json, re
rows = [{"k": str(i), "v": list(range(i % 9))} for i in range(12000)]
del rows[::3]
text = json.dumps(rows)
again = json.loads(text)
found = [re.findall(r"\d+", text[i:i + 2000]) for i in range(0, 300000, 2000)]
del rows
kept = [x for i, x in enumerate(bytes(1000 + i % 5000) for i in range(800)) if i % 4 == 0]
names = {i: str(i) * 5 for i in range(20000)}
del again, found
PYTHON
    PYTHONMALLOC=malloc record python3 /usr/bin/python3 objects.py
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
echo "     pages: $pages"
finish
