# nginx, two workers, under wrk: files, and files compressed on the way
# server
mkdir -p html logs
for i in 1 10 100; do seq 1 "$((i * 500))" | sed "s/$/ a line of a page, $i/" >"html/$i.txt"; done
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
until python3 -c "import socket; socket.create_connection(('127.0.0.1', $port))" 2>/dev/null; do sleep 0.05; done
get() { python3 -c "
import sys, urllib.request, gzip
request = urllib.request.Request('http://127.0.0.1:$port/$1', headers=dict([('Accept-Encoding', 'gzip')] if '$2' else []))
data = urllib.request.urlopen(request).read()
sys.stdout.buffer.write(gzip.decompress(data) if '$2' else data)"; }
for i in 1 10 100; do get "$i.txt" '' | sha256sum; get "$i.txt" gzip | sha256sum; done
requests=0
for what in 1.txt 10.txt 100.txt; do
    wrk -t 1 -c 32 -d 2 -H 'Accept-Encoding: gzip' "http://127.0.0.1:$port/$what" >"wrk.$what"
    requests=$((requests + $(awk '/requests in/ { print $1 }' "wrk.$what")))
    # A request that a busy machine leaves waiting for two seconds is none of the server's errors.
    grep -cE 'Non-2xx|Socket errors: .*(connect|read|write) [1-9]' "wrk.$what"
done
for i in 1 10 100; do get "$i.txt" gzip | sha256sum; done
# What counts is the server's time for a request.
workers=$(pgrep -P "$server")
peak "$server" $workers
spent $workers
echo "scale=12; $(<"$RESULTS/seconds") / $requests" | bc >"$RESULTS/seconds.new"
mv "$RESULTS/seconds.new" "$RESULTS/seconds"
kill -QUIT "$server"
wait "$server"
