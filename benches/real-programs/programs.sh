# shellcheck shell=bash
# The programs of run.py: each function is one, run whole on the shim in an empty folder;
# server_NAME starts a server itself, by "${under[@]}", and its clients run without the shim.
# Everything that a function prints must be the same with and without the shim. ROOT is the source
# tree, COMMIT its commit; a function that measures time or memory itself writes the files seconds
# and kib in $RESULTS.

under=(env)
[ -z "$UNDER" ] || under=(env "LD_PRELOAD=$UNDER" MEMOMAN_STATS=1)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null' EXIT

# peak PID…: the largest peak of these processes, each of which must be on the shim at that time. A
# process that has ended is left out.
peak() {
    local pid maps
    for pid in "$@"; do
        maps=$(cat "/proc/$pid/maps" 2>/dev/null) || continue
        [ -n "$maps" ] || continue
        if [ -n "$UNDER" ] && [[ $maps != *"$UNDER"* ]]; then
            echo "process $pid is not on the shim" >&2
        fi
        awk '/^VmHWM/ { print $2 }' "/proc/$pid/status"
    done | sort -n | tail -n 1 >"$RESULTS/kib"
}
# spent PID…: the processor time of these processes and of their children that have ended.
spent() {
    local pid
    for pid in "$@"; do cat "/proc/$pid/stat"; done |
        awk -v tick="$(getconf CLK_TCK)" '
            { sum += $14 + $15 + $16 + $17 } END { print sum / tick }' >"$RESULTS/seconds"
}

# cargo build of this project's core
program_cargo() {
    cd "$ROOT"
    RUSTFLAGS="--remap-path-prefix=$OLDPWD=/target" cargo build --quiet --offline -p memoman-core \
        --release --target-dir "$OLDPWD/target"
    nm --defined-only "$OLDPWD"/target/release/libmemoman_core.rlib 2>/dev/null |
        awk 'NF == 3 { print $2, $3 }' | sort | sha256sum
}

# chromium without a window renders a page: what scripts have made of it, and the pixels
program_chromium() {
    cat >page.html <<'HTML'
<!doctype html><title>page</title>
<style>div { float: left; width: 40px; height: 20px; font: 12px monospace } </style><body><script>
let state = 1;
for (let i = 0; i < 4000; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const box = document.createElement("div");
    box.textContent = state % 1000;
    box.style.background = `rgb(${state % 256}, ${(state >> 8) % 256}, ${(state >> 16) % 256})`;
    document.body.append(box);
}
const boxes = document.querySelectorAll("div").length;
document.title = boxes + " boxes, " + document.body.offsetHeight + " high";
</script>
HTML
    local flags=(--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run
        --hide-scrollbars "--user-data-dir=$PWD/profile" --window-size=1000,900)
    export HOME=$PWD
    flags+=("file://$PWD/page.html")
    timeout 100 chromium --dump-dom "${flags[@]}" 2>>chromium.err | sha256sum
    timeout 100 chromium "--screenshot=$PWD/page.png" "${flags[@]}" >/dev/null 2>>chromium.err
    sha256sum <page.png
    grep -a '^memoman: ' chromium.err >&2 || true
}

# gcc: a file of 21,000 lines
program_gcc() {
    awk 'BEGIN {
        for (i = 0; i < 3000; i++) {
            printf "int f%d(int x)\n{\n    int y = x * %d;\n    if (y > %d)\n", i, i + 3, i * 5
            printf "        y -= f%d(x - 1);\n    return y;\n}\n", (i > 0 ? i - 1 : 0)
        }
    }' | sed 's/f0(x - 1)/1/' >generated.c
    gcc -O1 -c generated.c -o generated.o
    wc -l <generated.c
    sha256sum <generated.o
}

# git gc on a repository with the history of this one
program_git_gc() {
    git init -q --bare clone
    # Up to the commit with which all runs began.
    git -c safe.directory='*' -C "$ROOT" rev-list --objects "$COMMIT" |
        git -c safe.directory='*' -C "$ROOT" pack-objects -q --stdout |
        git -C clone index-pack --stdin >/dev/null
    git -C clone update-ref refs/heads/all "$COMMIT"
    git -C clone gc -q --aggressive --prune=now
    git -C clone fsck --full --no-progress && echo sound
    git -C clone rev-list --all --objects | sort | sha256sum
    git -C clone log --all -p | LC_ALL=C sort | sha256sum
}

# ImageMagick: an image is made, blurred, turned, shrunk and packed
program_imagemagick() {
    convert -size 1200x900 -seed 7 gradient:red-blue -swirl 120 -blur 0x4 -rotate 30 -resize 700x \
        -posterize 40 rgb:pixels
    sha256sum <pixels
    convert -size "700x" -depth 8 gradient:green-white -resize 640x480! -charcoal 2 png:picture.png
    convert picture.png rgb: | sha256sum
}

# lua: tables and text
program_lua() {
    cat >work.lua <<'LUA'
local state, items = 1, {}
for i = 1, 600000 do
    state = (state * 1103515245 + 12345) % 2147483648
    items["key " .. state % 50021] = { i, string.rep("x", state % 40), {} }
end
local keys = {}
for key, value in pairs(items) do keys[#keys + 1] = key .. value[1] .. value[2] end
table.sort(keys)
local sum = 0
for _, key in ipairs(keys) do
    for at = 1, #key do sum = (sum * 31 + key:byte(at)) % 1000000007 end
end
print(#keys, sum, keys[1], keys[#keys])
LUA
    lua5.4 work.lua
}

# make -j2: thirty files, optimised, and a program from them that runs
program_make() {
    {
        printf 'objects := '
        for i in $(seq 30); do printf 'part%d.o ' "$i"; done
        printf '\nall: program\nprogram: main.o $(objects)\n\tgcc -o $@ $^\n'
        printf '%%.o: %%.c\n\tgcc -O2 -c -o $@ $<\n'
    } >Makefile
    for i in $(seq 30); do
        awk -v n="$i" 'BEGIN { print "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>"
            for (i = 0; i < 50; i++) {
                printf "static int g%d(const char *s, int x)\n{\n    int y = x;\n", i
                print "    for (size_t i = 0; i < strlen(s); i++)"
                printf "        y = y * 31 + s[i] %% %d;\n", i + 3
                print "    return y;\n}"
            }
            printf "int part%d(int x)\n{\n", n
            for (i = 0; i < 50; i++) printf "    x ^= g%d(\"text %d\", x);\n", i, i * n
            print "    return x;\n}" }' >"part$i.c"
    done
    {
        echo '#include <stdio.h>'
        for i in $(seq 30); do echo "int part$i(int);"; done
        echo 'int main(void) { int x = 1;'
        for i in $(seq 30); do echo "x = part$i(x);"; done
        echo 'printf("%d\n", x); return 0; }'
    } >main.c
    make -s -j2
    ./program
    sha256sum program
}

# nginx, two workers, under wrk: files, and files compressed on the way
server_nginx() {
    mkdir -p html logs
    for i in 1 10 100; do
        seq 1 "$((i * 500))" | sed "s/$/ a line of a page, $i/" >"html/$i.txt"
    done
    chmod -R a+rX .
    port=$((20000 + $$ % 20000))
    cat >nginx.conf <<CONF
daemon off;
worker_processes 2;
pid $PWD/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
    access_log off;
    types { text/plain txt; }
    client_body_temp_path $PWD/logs/a; proxy_temp_path $PWD/logs/b; fastcgi_temp_path $PWD/logs/c;
    uwsgi_temp_path $PWD/logs/d; scgi_temp_path $PWD/logs/e;
    server { listen 127.0.0.1:$port; root $PWD/html; gzip on; gzip_types text/plain; }
}
CONF
    chmod a+x . ..
    "${under[@]}" nginx -p "$PWD" -c "$PWD/nginx.conf" >server.log 2>>server.err &
    server=$!
    until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do
        sleep 0.05
    done
    get() {
        python3 - "http://127.0.0.1:$port/$1" "$2" <<'PY'
import sys, urllib.request, gzip
headers = {"Accept-Encoding": "gzip"} if sys.argv[2] else {}
data = urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers)).read()
sys.stdout.buffer.write(gzip.decompress(data) if sys.argv[2] else data)
PY
    }
    for i in 1 10 100; do get "$i.txt" '' | sha256sum; get "$i.txt" gzip | sha256sum; done
    requests=0
    for what in 1.txt 10.txt 100.txt; do
        wrk -t 1 -c 32 -d 2 -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/$what" >"wrk.$what"
        requests=$((requests + $(awk '/requests in/ { print $1 }' "wrk.$what")))
        # Timeouts are left out: a busy machine delays requests by seconds.
        grep -cE 'Non-2xx|Socket errors: .*(connect|read|write) [1-9]' "wrk.$what"
    done
    for i in 1 10 100; do get "$i.txt" gzip | sha256sum; done
    # The figure is the server's time for one request.
    workers=$(pgrep -P "$server")
    peak "$server" $workers
    spent $workers
    echo "scale=12; $(<"$RESULTS/seconds") / $requests" | bc >"$RESULTS/seconds.new"
    mv "$RESULTS/seconds.new" "$RESULTS/seconds"
    kill -QUIT "$server"
    wait "$server"
}

# node with worker threads
program_node() {
    cat >work.js <<'JS'
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const { createHash } = require("crypto");
const { gzipSync } = require("zlib");
function work(seed) {
    const map = new Map();
    for (let i = 0; i < 150000; i++) {
        map.set(`key ${(i * 7919 + seed) % 100003}`, { i, text: "x".repeat(i % 40) });
    }
    const buffers = Array.from({ length: 300 }, (_, i) => Buffer.alloc(5000 + i * 300, i + seed));
    const packed = gzipSync(Buffer.concat(buffers), { level: 1 });
    const hash = createHash("sha256").update(JSON.stringify([...map]));
    return hash.update(packed.subarray(10)).digest("hex");
}
if (isMainThread) {
    const worker = (seed) => new Promise((done) =>
        new Worker(__filename, { workerData: seed }).on("message", done));
    Promise.all([1, 2, 3, 4].map(worker)).then((all) => console.log(work(0), all.join(" ")));
} else parentPort.postMessage(work(workerData));
JS
    node work.js
}

# perl: hashes, lists, text
program_perl() {
    cat >work.pl <<'PL'
my (%count, @lists);
for my $i (1 .. 400_000) {
    my $word = "w" . ($i * 7919 % 10007);
    $count{$word} .= chr(97 + $i % 26);
    push @{ $lists[$i % 997] }, { n => $i, s => "x" x ($i % 50) };
}
my $sum = 0;
$sum += length $_->{s} for map { @$_ } @lists;
print join(",", map { "$_=" . length $count{$_} } (sort keys %count)[0 .. 20]), " $sum\n";
PL
    PERL_HASH_SEED=0 perl work.pl
}

# PostgreSQL under pgbench, two clients
server_postgresql() {
    bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
    as=()
    if [ "$(id -u)" -eq 0 ]; then
        as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
        chown postgres "$PWD"
    fi
    export LC_ALL=C PGHOST=$PWD PGUSER=postgres PGDATABASE=postgres
    "${as[@]}" "${under[@]}" "$bin/initdb" -D data -U postgres -A trust -N \
        >initdb.log 2>>server.err || echo "initdb: exit status $?"
    "${as[@]}" "${under[@]}" "$bin/postgres" -D data -k "$PWD" -c listen_addresses= -c fsync=off \
        -c shared_buffers=16MB -c autovacuum=off >server.log 2>>server.err &
    server=$!
    until "$bin/pg_isready" -q; do sleep 0.1; done
    "$bin/pgbench" -i -s 5 -q >pgbench.log 2>&1 || echo "pgbench -i: exit status $?"
    "$bin/pgbench" -c 2 -j 2 -t 4000 --random-seed=7 >>pgbench.log 2>&1 ||
        echo "pgbench: exit status $?"
    grep -a 'number of transactions actually processed' pgbench.log
    "$bin/psql" -Atc 'SELECT sum(abalance), min(abalance), max(abalance) FROM pgbench_accounts' \
        -c 'SELECT sum(tbalance), count(*) FROM pgbench_tellers' \
        -c 'SELECT count(*), sum(delta) FROM pgbench_history' \
        -c "SELECT bid, string_agg(md5(aid || ':' || abalance), '' ORDER BY aid) \
            FROM pgbench_accounts WHERE aid % 50 = 0 GROUP BY bid ORDER BY bid" |
        sha256sum
    peak "$server" $(pgrep -P "$server")
    # The processes that served a client have ended: their time counts for their parent.
    spent "$server"
    kill -INT "$server"
    wait "$server"
}

# python3 with threads, and with the processes of multiprocessing
program_python() {
    cat >work.py <<'PY'
import hashlib, json, threading, multiprocessing, zlib

def work(seed):
    items, state = {}, seed
    for i in range(60000):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        items[f"key {state % 20011}"] = [state % 97, "x" * (state % 83), {"n": i}]
    text = json.dumps(items, sort_keys=True)
    return hashlib.sha256(zlib.compress(text.encode(), 1)).hexdigest()

if __name__ == "__main__":
    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: work(n)})) for n in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print([found[n] for n in range(8)])
    for way in ("fork", "spawn"):
        with multiprocessing.get_context(way).Pool(2) as pool:
            print(way, pool.map(work, range(4)))
PY
    PYTHONMALLOC=malloc python3 work.py
}

# redis-server under its benchmark, a background save between writes, a start from that save
server_redis() {
    start() {
        "${under[@]}" redis-server --port 0 --unixsocket "$PWD/socket" --save '' --appendonly no \
            --dir "$PWD" >server.log 2>>server.err &
        server=$!
        until redis-cli -s socket PING >/dev/null 2>&1; do sleep 0.05; done
    }
    query() {
        redis-cli -s socket DBSIZE
        redis-cli -s socket SORT list:5 LIMIT 0 200
        redis-cli -s socket HGETALL hash:7 | sort
        redis-cli -s socket ZRANGE z 0 -1
        for key in 1 777 19999; do redis-cli -s socket GET "key:$key"; done
    }
    start
    redis-benchmark -s socket -n 300000 -r 20000 -P 16 -q -t set,get,lpush,sadd,hset,zadd \
        >benchmark.log 2>&1 || echo "benchmark: exit status $?"
    peak "$server"
    redis-cli -s socket FLUSHALL >/dev/null
    seq 1 40000 | awk '{
        printf "SET key:%d value-%d\nRPUSH list:%d %d\n", $1, $1 * 7919, $1 % 97, $1
        printf "HSET hash:%d f%d %d\nZADD z %d m%d\n", $1 % 89, $1, $1, $1 % 1013, $1
    }' >commands
    redis-cli -s socket <commands | sha256sum
    redis-cli -s socket BGSAVE
    # Meanwhile keys are written that the queries below leave out.
    redis-benchmark -s socket -n 50000 -r 20000 -P 16 -q -t set >>benchmark.log 2>&1
    until redis-cli -s socket INFO persistence | grep -q rdb_bgsave_in_progress:0; do
        sleep 0.05
    done
    redis-cli -s socket INFO persistence | tr -d '\r' | grep rdb_last_bgsave_status
    query | tail -n +2 | sha256sum
    spent "$server"
    redis-cli -s socket SHUTDOWN NOSAVE
    wait "$server"
    start
    query | sha256sum
    redis-cli -s socket SHUTDOWN NOSAVE
    wait "$server"
}

# ruby: objects, text, threads
program_ruby() {
    cat >work.rb <<'RB'
require "digest"
def work(seed)
  map = {}
  80_000.times { |i| map["key #{(i * 7919 + seed) % 30011}"] = [i, "x" * (i % 40), { n: i }] }
  lines = map.sort.map { |key, value| "#{key}=#{value[1]}#{value[2][:n]}" }
  Digest::SHA256.hexdigest(lines.join("\n"))
end
puts (0...4).map { |n| Thread.new { work(n) } }.map(&:value).join(" ")
words = (0...300_000).map { |i| (i * 104729 % 65537).to_s(36) }
puts Digest::SHA256.hexdigest(words.sort.join(" "))
RB
    ruby work.rb
}

# sqlite3: tables, indices and joins in memory
program_sqlite() {
    cat >join.sql <<'SQL'
PRAGMA temp_store = MEMORY;
CREATE TABLE a(id INTEGER PRIMARY KEY, k INTEGER, name TEXT);
CREATE TABLE b(k INTEGER, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
INSERT INTO a SELECT i, (i * 7919) % 50021, 'name ' || i FROM n;
INSERT INTO b SELECT k, group_concat(name, ',') FROM a GROUP BY k;
CREATE INDEX b_k ON b(k);
SELECT count(*), sum(length(b.v)), min(a.name), max(b.v) FROM a JOIN b USING (k);
SELECT a.k % 10, count(DISTINCT b.v), max(length(b.v)) FROM a JOIN b USING (k)
    GROUP BY 1 ORDER BY 1;
SQL
    sqlite3 -batch :memory: '.read join.sql'
}
