# node with worker threads
cat >work.js <<'JS'
const { Worker, isMainThread, parentPort, workerData } = require("worker_threads");
const { createHash } = require("crypto");
const { gzipSync } = require("zlib");
function work(seed) {
    const map = new Map();
    for (let i = 0; i < 150000; i++) map.set(`key ${(i * 7919 + seed) % 100003}`, { i, text: "x".repeat(i % 40) });
    const buffers = Array.from({ length: 300 }, (_, i) => Buffer.alloc(5000 + i * 300, i + seed));
    const packed = gzipSync(Buffer.concat(buffers), { level: 1 });
    return createHash("sha256").update(JSON.stringify([...map])).update(packed.subarray(10)).digest("hex");
}
if (isMainThread) {
    Promise.all([1, 2, 3, 4].map((seed) => new Promise((done) => new Worker(__filename, { workerData: seed }).on("message", done)))).then(
        (all) => console.log(work(0), all.join(" ")));
} else parentPort.postMessage(work(workerData));
JS
node work.js
