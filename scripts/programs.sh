#!/usr/bin/env bash
# Real programs with and without the shim: the same output? scripts/programs.sh demo|check [DIST]
#
#   demo   a C program in a static array; then python, git, sqlite and gcc on the shim
#   check  these four and bash, perl, node, redis, cargo
#
# A program passes if it exits with 0 and prints the same both times, and if the shim reports at the
# end that it served the process.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=programs
case "${1:-}" in
    demo | check) mode=$1 ;;
    *) misused "demo or check" ;;
esac
dist=$(cd "${2:-$root/dist}" && pwd)
shim=$dist/libmemoman_preload.so
[ -r "$shim" ] || die "$shim is missing: run make first"
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$work"' EXIT

if [ $mode = demo ]; then
    echo "== examples/quickstart.c: an allocator in a static array"
    gcc -std=c99 -Wall -Wextra -Werror -O2 -I "$dist/include" "$root/examples/quickstart.c" \
        "$dist/libmemoman.a" -lpthread -o "$work/quickstart" && "$work/quickstart" || exit 1
    printf '\n== unmodified programs with LD_PRELOAD=libmemoman_preload.so\n'
fi
table=$work/table
printf '%-26s %12s %14s  %s\n' program allocations 'peak bytes' 'same output' >"$table"

# shimmed LOG COMMAND…: runs a command on memoman. Every process of it prints its table on stderr, to
# LOG, and so what the program itself prints there is not compared.
shimmed() {
    local log=$1
    shift
    MEMOMAN_STATS=1 LD_PRELOAD=$shim "$@" 2>"$log"
}

# of LOG ROW: the greatest figure of that row among the processes that printed a table.
of() { sed -n "s/^memoman: $2 *\([0-9]*\)$/\1/p" "$1" | sort -n | tail -n 1; }

verdict() { # name, log, reason or nothing
    local name=$1 log=$2 reason=$3 allocations
    allocations=$(of "$log" allocations)
    if [ -z "$reason" ] && [ "${allocations:-0}" -eq 0 ]; then
        reason="the shim was not active"
    fi
    if [ -z "$reason" ]; then
        ok "$name"
        printf '%-26s %12d %14d  yes\n' "$name" "$allocations" "$(of "$log" 'peak bytes')" \
            >>"$table"
    else
        fail "$name $reason"
        grep -v '^memoman: [a-z ]* *[0-9]*$' "$log" | tail -n 5 | indented
        printf '%-26s %12s %14s  NO: %s\n' "$name" - - "$reason" >>"$table"
    fi
}

# program NAME COMMAND ARGUMENTS…: both runs, compared by what they print.
program() {
    local name=$1 log=$work/$1.log reason=
    shift
    if ! command -v "$1" >/dev/null; then
        : >"$log"
        verdict "$name" "$log" "$1 is not installed: make setup"
        return
    fi
    "$@" >"$work/plain" 2>"$work/plain.err" ||
        reason="fails without the shim (exit status $?): $(tail -n 1 "$work/plain.err")"
    if [ -z "$reason" ]; then
        shimmed "$log" "$@" >"$work/shimmed" || reason="exit status $?"
        cmp -s "$work/plain" "$work/shimmed" || reason="${reason:+$reason, }output differs"
        [ -s "$work/plain" ] || reason="prints nothing: nothing was compared"
    fi
    verdict "$name" "$log" "$reason"
}

# The programs. Those that need more than one command are scripts, run whole on the shim.
script() { cat >"$work/$1"; }

script objects.py <<'PY'
import random
random.seed(1)
class Item:
    __slots__ = ("key", "text")
    def __init__(self, key):
        self.key = key
        self.text = "item %d" % key
items = [Item(random.randrange(10**9)) for _ in range(1_000_000)]
items.sort(key=lambda item: item.key)
print(len(items), items[0].text, items[500_000].text, items[-1].text)
index = {item.text: item for item in items}
del items
print(len(index), sum(item.key for item in index.values()))
PY

script history.sh <<SH
set -e
git -C "$root" -c safe.directory='*' log -p | LC_ALL=C sort | sha256sum
SH

script join.sql <<'SQL'
PRAGMA temp_store = MEMORY;
CREATE TABLE a(id INTEGER PRIMARY KEY, k INTEGER, name TEXT);
CREATE TABLE b(k INTEGER, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
INSERT INTO a SELECT i, (i * 7919) % 50021, 'name ' || i FROM n;
INSERT INTO b SELECT k, group_concat(name, ',') FROM a GROUP BY k;
CREATE INDEX b_k ON b(k);
SELECT count(*), sum(length(b.v)), min(a.name), max(b.v) FROM a JOIN b USING (k);
SELECT a.k % 10, count(DISTINCT b.v), max(length(b.v)) FROM a JOIN b USING (k) GROUP BY 1 ORDER BY 1;
SQL

script compile.sh <<SH
set -e
object=\$(mktemp -p "$work")
gcc -O1 -c "$work/generated.c" -o "\$object"
sha256sum <"\$object"
SH
awk 'BEGIN {
    print "#include <stdio.h>"
    for (i = 0; i < 12498; i++) {
        printf "static int f%d(int x)\n{\n    int y = x * %d;\n    if (y > %d)\n", i, i + 3, i * 5
        printf "        y -= f%d(x - 1);\n    return y;\n}\n\n", (i > 0 ? i - 1 : 0)
    }
    print "int main(void)\n{\n    printf(\"%d\\n\", f12497(3));\n    return 0;\n}"
    for (i = 0; i < 10; i++) print "/* end */" }' >"$work/generated.c"
[ "$(wc -l <"$work/generated.c")" -ge 99000 ] || die "awk did not generate the 100,000-line file"

script words.bash <<'SH'
declare -A count
for i in $(seq 1 20000); do
    word=w$((i * 7919 % 1013))
    count[$word]=$((${count[$word]:-0} + i))
done
for word in "${!count[@]}"; do echo "$word ${count[$word]}"; done | sort | sha256sum
text=
for i in $(seq 1 3000); do text+="line $i of a text that grows; "; done
echo "${#text} ${text//line/LINE}" | sha256sum
SH

script words.pl <<'PL'
my (%count, @lists);
for my $i (1 .. 300_000) {
    my $word = "w" . ($i * 7919 % 10007);
    $count{$word} .= chr(97 + $i % 26);
    push @{ $lists[$i % 997] }, { n => $i, s => "x" x ($i % 50) };
}
my $sum = 0;
$sum += length $_->{s} for map { @$_ } @lists;
print join(",", map { "$_=" . length $count{$_} } (sort keys %count)[0 .. 20]), " $sum\n";
PL

script objects.js <<'JS'
const map = new Map();
for (let i = 0; i < 300000; i++) map.set(`key ${(i * 7919) % 300007}`, { i, text: "x".repeat(i % 40) });
const buffers = Array.from({ length: 200 }, (_, i) => Buffer.alloc(10000 + i * 100, i));
const all = [...map.values()].sort((a, b) => b.text.length - a.text.length || a.i - b.i);
console.log(map.size, all[0].i, all[all.length - 1].i, buffers.reduce((n, b) => n + b[17] + b.length, 0));
console.log(JSON.stringify(all.slice(0, 1000)).length);
JS

program 'python3: 1M objects' env PYTHONMALLOC=malloc python3 "$work/objects.py"
program 'git log -p | sort' bash "$work/history.sh"
program 'sqlite3: join' sqlite3 -batch :memory: ".read $work/join.sql"
program 'gcc: 100,000 lines' bash "$work/compile.sh"

# The server runs on the shim; what a client reads is compared with a server without it.
redis() {
    local name='redis-server: 200,000 ops' log=$work/redis.log reason='' run
    if ! command -v redis-server >/dev/null || ! command -v redis-benchmark >/dev/null; then
        : >"$log"
        verdict "$name" "$log" "redis-server or redis-benchmark is not installed: make setup"
        return
    fi
    for run in plain shimmed; do
        local socket=$work/$run.sock start=(env)
        [ "$run" = plain ] || start=(env MEMOMAN_STATS=1 "LD_PRELOAD=$shim")
        "${start[@]}" redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
            --dir "$work" >/dev/null 2>"$log" &
        server=$!
        for _ in $(seq 100); do
            [ -S "$socket" ] && break
            sleep 0.1
        done
        redis-benchmark -s "$socket" -n 200000 -r 10000 -P 16 -q -t set,get,lpush,sadd,hset \
            >"$work/bench" 2>&1 || reason="redis-benchmark fails ($run)"
        {
            seq 1 20000 | awk '{
                printf "SET key:%d value-%d\nRPUSH list:%d %d\n", $1, $1 * 7919, $1 % 97, $1
                printf "HSET hash:%d f%d %d\nZADD z %d m%d\n", $1 % 89, $1, $1, $1 % 1013, $1
            }' | redis-cli -s "$socket" | sha256sum
            redis-cli -s "$socket" SORT list:5 LIMIT 0 100 | sha256sum
            redis-cli -s "$socket" HGETALL hash:7 | sort | sha256sum
            redis-cli -s "$socket" ZRANGE z 0 -1 | sha256sum
            redis-cli -s "$socket" EVAL \
                "local t = {} for i = 1, 100000 do t[i] = i .. 'x' end return #table.concat(t)" 0
        } >"$work/redis.$run" 2>&1
        redis-cli -s "$socket" SHUTDOWN NOSAVE >/dev/null 2>&1
        wait "$server" || reason="${reason:-redis-server ends with exit status $? ($run)}"
        server=
    done
    cmp -s "$work/redis.plain" "$work/redis.shimmed" || reason="${reason:-answers differ}"
    [ -s "$work/redis.plain" ] || reason="${reason:-no answers}"
    verdict "$name" "$log" "$reason"
}

# cargo on the shim builds the same artefact.
script build.sh <<SH
set -e
target=\$(mktemp -d -p "$work")
cd "$root"
RUSTFLAGS="--remap-path-prefix=\$target=/target" cargo build --quiet --offline -p memoman-core \
    --release --target-dir "\$target"
nm --defined-only "\$target"/release/libmemoman_core.rlib 2>/dev/null |
    awk 'NF == 3 { print \$2, \$3 }' | sort | sha256sum
SH

if [ $mode = check ]; then
    program 'bash -c: arrays, text' bash -c ". '$work/words.bash'"
    program 'perl: hashes, lists' env PERL_HASH_SEED=0 perl "$work/words.pl"
    program 'node: objects, buffers' node "$work/objects.js"
    redis
    program 'cargo build' bash "$work/build.sh"
fi

echo
cat "$table"
echo
finish
