#!/usr/bin/env python3
"""Symbolic execution of the compiled release library: no request, alignment, count or header word makes malloc, calloc, memalign
or realloc give a block that is misaligned, too small, not inside the pool, or not followed by what its size says.

    prove.py LIBRARY                       libmemoman.so as it is shipped
    prove.py --planted FUNCTIONS LIBRARY   a library with planted bugs: those functions, and only a report of each is a success

Each scene (plan.py) is a process of its own; what is done is kept in --keep, so that a run that was broken off goes on where it was.
A scene that does not end, or that cannot be judged, is a failure.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import threading

from plan import FREE_BLOCKS, NEIGHBOURS, PLANS, RESTRICTIONS

HERE = pathlib.Path(__file__).resolve().parent


class Runner:
    """Runs jobs, or finds their results from an earlier run over the same library by the same prover."""

    def __init__(self, library, keep, stop):
        self.library, self.stop = library, stop
        self.running, self.lock, self.over = set(), threading.Lock(), False
        inputs = [pathlib.Path(library), *sorted(HERE.glob("*.py")), HERE / "requirements.txt"]
        key = hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in inputs)).hexdigest()
        self.folder = pathlib.Path(keep) / key[:16] if keep else None

    def run(self, name, scene, cases):
        command = [sys.executable, "-B", str(HERE / "job.py"), self.library, name, scene, json.dumps(cases), "stop" if self.stop else "all"]
        kept = self.folder / f"{name} {scene} {cases[0]}.json" if self.folder else None
        if kept and kept.exists():
            return json.loads(kept.read_text()) | {"kept": True}
        with self.lock:
            if self.over:
                return None
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.running.add(process)
        out, errors = process.communicate()
        with self.lock:
            self.running.discard(process)
            if self.over:
                return None
        if process.returncode or not out:
            return {"paths": [0, 0, 0], "seconds": 0, "reports": [f"not proved: the process ended with {process.returncode}: {errors[-2000:]}"]}
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(out)
        return json.loads(out)

    def end(self):
        """Ends what still runs: nobody waits for it any more."""
        with self.lock:
            self.over = True
            for process in self.running:
                process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("--planted", help="functions with a planted bug, separated by commas")
    parser.add_argument("--function", action="append", choices=PLANS, help="this one only")
    parser.add_argument("--scene", action="append", choices=[*FREE_BLOCKS, *NEIGHBOURS], help="this one only")
    parser.add_argument("--keep", help="a folder for the results of single scenes")
    options = parser.parse_args()
    planted = options.planted.split(",") if options.planted else []
    jobs = [
        (name, scene, cases)
        for name in planted or options.function or PLANS
        for scene in PLANS[name].scenes
        if scene in (options.scene or [scene])
        for cases in PLANS[name].cases
    ]
    if not planted:
        print(RESTRICTIONS, flush=True)
    if options.scene or options.function:
        print("Not all of it: only what was asked for.")
    failed = prove(Runner(options.library, options.keep, bool(planted)), jobs, planted)
    return 1 if failed else 0


def prove(runner, jobs, planted):
    """Runs all jobs and prints a line for each and one for each function. Gives whether anything is wrong."""
    totals = {name: [0, 0, 0] for name, _, _ in jobs}
    found = {name: [] for name in totals}
    wanted = set(planted)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        running = {pool.submit(runner.run, *job): job for job in jobs}
        for done, future in enumerate(concurrent.futures.as_completed(running), 1):
            name, scene, cases = running[future]
            result = future.result()
            if result is None:
                continue
            totals[name] = [sum(pair) for pair in zip(totals[name], result["paths"])]
            found[name] += result["reports"]
            kind = "" if cases == [None] else f" alignments {cases[0]} to {cases[-1]}"
            paths, served, _ = result["paths"]
            how = "kept from an earlier run" if "kept" in result else f"{result['seconds']} s"
            print(f"     {done}/{len(jobs)} {name} {scene}{kind}: {paths} paths, {served} with a result, {how}", flush=True)
            for report in result["reports"]:
                print(f"     {report}", flush=True)
            # One report of each planted bug is enough.
            wanted -= {name} if any("not proved" not in report for report in result["reports"]) else set()
            if planted and not wanted:
                runner.end()
    failed = False
    for name, (paths, served, refused) in totals.items():
        if planted:
            good = name not in wanted
            what = f"planted_bug_in_{name}_is_found"
        else:
            # Without a path to a result and one to a refusal, nothing was looked at.
            good = not found[name] and served and refused
            what = f"{name}_gives_only_good_blocks"
        print(f"{'ok  ' if good else 'FAIL'} symbolic {what} ({paths} paths)", flush=True)
        failed |= not good
    return failed


if __name__ == "__main__":
    sys.exit(main())
