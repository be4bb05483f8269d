# shellcheck shell=bash
# Programs of run.py: interpreters and virtual machines. programs.sh has the rules.

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

# ruby: objects, text, threads
program_ruby() {
    cat >work.rb <<'RB'
require "digest/sha2"
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

# java: the compiler, then objects, threads, and memory outside the heap
program_java() {
    cat >Work.java <<'JAVA'
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

class Work {
    static String work(int seed) throws Exception {
        Map<String, List<Integer>> map = new TreeMap<>();
        for (int i = 0; i < 100000; i++)
            map.computeIfAbsent("k" + (i * 7919 + seed) % 10007, key -> new ArrayList<>()).add(i);
        byte[] text = map.toString().getBytes("UTF-8");
        MessageDigest hash = MessageDigest.getInstance("SHA-256");
        for (int round = 0; round < 30; round++) {
            Deflater deflater = new Deflater(1);
            deflater.setInput(text, 0, text.length / (round + 1));
            deflater.finish();
            byte[] packed = new byte[65536];
            for (int n; (n = deflater.deflate(packed)) > 0;) hash.update(packed, 0, n);
            deflater.end();
            ByteBuffer outside = ByteBuffer.allocateDirect(100000 * (round + 1));
            outside.putInt(4000 * round, seed + round);
            hash.update(outside);
        }
        return HexFormat.of().formatHex(hash.digest());
    }

    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<String>> all = new ArrayList<>();
        for (int n = 0; n < 24; n++) {
            int seed = n;
            all.add(pool.submit(() -> work(seed)));
        }
        for (Future<String> one : all) System.out.println(one.get());
        pool.shutdown();
    }
}
JAVA
    javac -J-XX:+UseSerialGC Work.java
    java -XX:+UseSerialGC -Xms96m -Xmx96m -cp . Work
}

# numpy: tests of its own
program_numpy() {
    export PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 OPENBLAS_NUM_THREADS=2
    /usr/bin/python3 - <<'PY' | tail -n 1 | sed 's/ in [0-9.]*s.*//'
import sys, pytest
import numpy
folder = numpy.__path__[0]
sys.exit(pytest.main([
    "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "ignore",
    *(f"{folder}/{name}.py" for name in (
        "core/tests/test_indexing", "core/tests/test_shape_base", "core/tests/test_regression",
        "core/tests/test_einsum", "lib/tests/test_arraysetops", "lib/tests/test_arraypad",
    )),
]))
PY
}

# php: arrays, texts, regular expressions, its memory from malloc
program_php() {
    cat >work.php <<'PHP'
<?php
class Item { public function __construct(public int $n, public string $text) {} }
$map = [];
for ($i = 0; $i < 400000; $i++) {
    $key = "key " . ($i * 7919 % 10007);
    $map[$key][] = new Item($i, str_repeat("x", $i % 60));
}
ksort($map);
$sum = 0;
foreach ($map as $items) foreach ($items as $item) $sum += $item->n % 31 + strlen($item->text);
$text = serialize(array_slice($map, 0, 500));
$text = preg_replace_callback('/"key (\d+)"/', fn($found) => "<$found[1]>", $text);
for ($i = 0; $i < 20; $i++) $packed = gzcompress($text . $i, 1);
echo count($map), " ", $sum, " ", strlen($text), " ", hash("sha256", gzuncompress($packed)), "\n";
PHP
    USE_ZEND_ALLOC=0 php -d memory_limit=-1 work.php
}

# R: vectors, tables, a model
program_r() {
    cat >work.R <<'R'
set.seed(7)
n <- 300000
data <- data.frame(x = rnorm(n), y = runif(n), group = sample(letters, n, replace = TRUE))
data$z <- 2 * data$x - data$y + rnorm(n) / 10
print(coef(lm(z ~ x + y, data)), digits = 5)
print(head(aggregate(cbind(x, z) ~ group, data, mean)), digits = 5)
lists <- lapply(1:60000, function(i) list(n = i, text = paste("item", i %% 977)))
print(head(sort(table(vapply(lists, function(item) item$text, "")), decreasing = TRUE)))
words <- sort(paste0("w", sample(1e5)))
print(nchar(paste(words, collapse = "")))
matrix <- matrix(rnorm(250000), 500)
print(round(sum(abs(solve(matrix) %*% matrix)), 3))
grown <- integer(0)
for (i in 1:20000) grown[i] <- i
print(sum(grown))
R
    LC_ALL=C R --vanilla --no-echo -f work.R
}
