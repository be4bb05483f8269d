# shellcheck shell=bash
# Programs of run.py: servers and their clients. programs.sh has the rules.

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
        grep -cE 'Non-2xx|Socket errors: .*(connect|read|write) [1-9]' "wrk.$what" || true
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

# MariaDB: tables, joins, texts, two clients at a time
server_mariadb() {
    user=$(id -un)
    local options=(--no-defaults "--user=$user" "--datadir=$PWD/data" "--socket=$PWD/socket"
        --skip-networking --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=0)
    export PATH=$PATH:/usr/sbin
    "${under[@]}" mariadb-install-db --no-defaults "--user=$user" "--datadir=$PWD/data" \
        --auth-root-authentication-method=normal >install.log 2>>server.err ||
        echo "install: exit status $?"
    "${under[@]}" mariadbd "${options[@]}" >server.log 2>>server.err &
    server=$!
    until mariadb-admin -u root -S socket ping >/dev/null 2>&1; do sleep 0.1; done
    sql() { mariadb --no-defaults -u root -S socket -B -N "$@"; }
    sql <<'SQL'
CREATE DATABASE work; USE work;
CREATE TABLE a(id INT PRIMARY KEY, k INT, name VARCHAR(60), KEY(k));
CREATE TABLE b(k INT PRIMARY KEY, v LONGTEXT);
INSERT INTO a SELECT seq, seq * 7919 % 5021, concat('name ', seq) FROM seq_1_to_200000;
SET group_concat_max_len = 1000000;
INSERT INTO b SELECT k, group_concat(name ORDER BY id) FROM a GROUP BY k;
SQL
    client() {
        for i in $(seq 20); do
            echo "SELECT a.k % 10, count(*), sum(length(b.v)), md5(max(b.v)) FROM a JOIN b USING (k)
                WHERE a.id % 60 = $i GROUP BY 1 ORDER BY 1;"
            echo "SELECT name, reverse(name) FROM a WHERE k = $((i * $1)) ORDER BY name DESC;"
            echo "UPDATE a SET name = concat(name, ' $i') WHERE id % 4001 = $((i + 1000 * $1));"
        done | sql work | sha256sum >"client.$1"
    }
    client 1 &
    first=$!
    client 2 &
    wait "$first" "$!"
    cat client.1 client.2
    sql work -e "SELECT sum(length(name)), max(name) FROM a" | sha256sum
    peak "$server"
    spent "$server"
    mariadb-admin -u root -S socket shutdown
    wait "$server"
}

# memcached, four threads: values of all sizes come, grow and go
server_memcached() {
    "${under[@]}" memcached -u "$(id -un)" -s "$PWD/socket" -t 4 -m 64 >server.log 2>>server.err &
    server=$!
    until [ -S socket ]; do sleep 0.05; done
    cat >client.py <<'PY'
import hashlib, socket, sys, threading

def client(seed, results):
    link = socket.socket(socket.AF_UNIX)
    link.connect("socket")
    file = link.makefile("rwb")
    state, hash = seed, hashlib.sha256()
    for round in range(300):
        keys = []
        for _ in range(50):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            key, value = b"%d:%d" % (seed, state % 997), b"v" * (state >> 20 & 4095)
            keys.append(key)
            file.write(b"set %s 0 0 %d\r\n%s\r\nappend %s 0 0 3\r\nend\r\n"
                       % (key, len(value), value, key))
        file.write(b"get %s\r\n" % b" ".join(keys))
        file.flush()
        while (line := file.readline()) != b"END\r\n":
            hash.update(line)
    results[seed] = hash.hexdigest()

results = {}
threads = [threading.Thread(target=client, args=(seed, results)) for seed in range(1, 5)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(results.items()))
PY
    python3 client.py
    peak "$server"
    spent "$server"
    kill -TERM "$server"
    wait "$server"
}
