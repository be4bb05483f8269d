# python3 with threads, and with the processes of multiprocessing
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
