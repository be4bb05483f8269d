# PostgreSQL under pgbench, two clients
# server
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
as=()
if [ "$(id -u)" -eq 0 ]; then
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
    chown postgres "$PWD"
fi
export LC_ALL=C PGHOST=$PWD PGUSER=postgres PGDATABASE=postgres
"${as[@]}" "${under[@]}" "$bin/initdb" -D data -U postgres -A trust -N >initdb.log 2>>server.err || echo "initdb: exit status $?"
"${as[@]}" "${under[@]}" "$bin/postgres" -D data -k "$PWD" -c listen_addresses= -c fsync=off -c shared_buffers=16MB -c autovacuum=off >server.log 2>>server.err &
server=$!
until "$bin/pg_isready" -q; do sleep 0.1; done
"$bin/pgbench" -i -s 5 -q >pgbench.log 2>&1 || echo "pgbench -i: exit status $?"
"$bin/pgbench" -c 2 -j 2 -t 4000 --random-seed=7 >>pgbench.log 2>&1 || echo "pgbench: exit status $?"
grep -a 'number of transactions actually processed' pgbench.log
"$bin/psql" -Atc 'SELECT sum(abalance), min(abalance), max(abalance) FROM pgbench_accounts' \
    -c 'SELECT sum(tbalance), count(*) FROM pgbench_tellers' -c 'SELECT count(*), sum(delta) FROM pgbench_history' \
    -c "SELECT bid, string_agg(md5(aid || ':' || abalance), '' ORDER BY aid) FROM pgbench_accounts WHERE aid % 50 = 0 GROUP BY bid ORDER BY bid" |
    sha256sum
peak "$server" $(pgrep -P "$server")
# Those that served a client have ended, and count for the one that started them.
spent "$server"
kill -INT "$server"
wait "$server"
