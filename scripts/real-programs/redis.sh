# redis-server under its benchmark, with a background save while it is written to, and a start from what was saved
# server
start() {
    "${under[@]}" redis-server --port 0 --unixsocket "$PWD/socket" --save '' --appendonly no --dir "$PWD" >server.log 2>>server.err &
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
redis-benchmark -s socket -n 300000 -r 20000 -P 16 -q -t set,get,lpush,sadd,hset,zadd >benchmark.log 2>&1 || echo "benchmark: exit status $?"
peak "$server"
redis-cli -s socket FLUSHALL >/dev/null
seq 1 40000 | awk '{ printf "SET key:%d value-%d\nRPUSH list:%d %d\nHSET hash:%d f%d %d\nZADD z %d m%d\n", $1, $1 * 7919, $1 % 97, $1, $1 % 89, $1, $1, $1 % 1013, $1 }' >commands
redis-cli -s socket <commands | sha256sum
redis-cli -s socket BGSAVE
# Written to meanwhile, to keys that are not asked for below.
redis-benchmark -s socket -n 50000 -r 20000 -P 16 -q -t set >>benchmark.log 2>&1
until [ "$(redis-cli -s socket INFO persistence | tr -d '\r' | grep -c 'rdb_bgsave_in_progress:0')" = 1 ]; do sleep 0.05; done
redis-cli -s socket INFO persistence | tr -d '\r' | grep rdb_last_bgsave_status
query | tail -n +2 | sha256sum
spent "$server"
redis-cli -s socket SHUTDOWN NOSAVE
wait "$server"
start
query | sha256sum
redis-cli -s socket SHUTDOWN NOSAVE
wait "$server"
