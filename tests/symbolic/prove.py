#!/usr/bin/env python3
"""Symbolic execution of the compiled release library: no request, alignment, count or header word
makes malloc, calloc, memalign or realloc return a block that is misaligned, too small, not inside
the pool, or without a matching header after it.

    prove.py LIBRARY                       the shipped libmemoman.so
    prove.py --planted FUNCTIONS LIBRARY   a library with planted bugs in these functions: succeeds
                                           only with a report of each

Each scene (plan.py) is a process of its own. Results are kept in --keep, so that an interrupted run
resumes. A scene that does not end, or that cannot be decided, is a failure.
"""

import argparse
import hashlib
import json
import os
import pathlib
import signal
import sys
import tempfile

from job import job
from plan import FREE_BLOCKS, NEIGHBOURS, PLANS, RESTRICTIONS

HERE = pathlib.Path(__file__).resolve().parent


class Runner:
    """Runs jobs, or finds their results from an earlier run over the same library by the same
    prover."""

    def __init__(self, library, keep, stop, workers):
        self.library, self.stop, self.workers = library, stop, workers
        self.running = {}
        self.scratch = tempfile.TemporaryDirectory()
        inputs = [pathlib.Path(library), *sorted(HERE.glob("*.py")), HERE / "requirements.txt"]
        key = hashlib.sha256(
            b"".join(hashlib.sha256(file.read_bytes()).digest() for file in inputs)
        ).hexdigest()
        self.folder = pathlib.Path(keep or self.scratch.name) / key[:16]
        self.folder.mkdir(parents=True, exist_ok=True)

    def results(self, jobs):
        """Each job with its result, in the order of their ends."""
        jobs = list(jobs)
        for name, scene, cases in list(jobs):
            kept = self.file(name, scene, cases)
            if kept.exists():
                jobs.remove((name, scene, cases))
                yield (name, scene, cases), json.loads(kept.read_text()) | {"kept": True}
        while jobs or self.running:
            while jobs and len(self.running) < self.workers:
                self.start(jobs.pop(0))
            pid, status = os.wait()
            if pid not in self.running:
                continue
            done = self.running.pop(pid)
            file = self.file(*done)
            if status or not file.exists():
                lost = (
                    f"not proved: the process ended with status {os.waitstatus_to_exitcode(status)}"
                )
                yield done, {"paths": [0, 0, 0], "seconds": 0, "reports": [lost]}
            else:
                yield done, json.loads(file.read_text())

    def file(self, name, scene, cases):
        return self.folder / f"{name} {scene} {cases[0]}.json"

    def start(self, wanted):
        """A process for each job, forked after loading angr, which takes longer than many a
        scene."""
        sys.stdout.flush()
        pid = os.fork()
        if pid:
            self.running[pid] = wanted
            return
        status = 1
        try:
            result = json.dumps(job(self.library, *wanted, self.stop))
            file = self.file(*wanted)
            part = file.with_suffix(".part")
            part.write_text(result)
            part.rename(file)
            status = 0
        finally:
            os._exit(status)

    def end(self):
        """Ends the running jobs, whose results are no longer needed."""
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.running = {}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library")
    parser.add_argument("--planted", help="functions with a planted bug, separated by commas")
    parser.add_argument("--function", action="append", choices=PLANS, help="only this one")
    parser.add_argument(
        "--scene", action="append", choices=[*FREE_BLOCKS, *NEIGHBOURS], help="only this one"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="scenes at a time (the processors)"
    )
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
        print("A partial proof: only the selected functions and scenes.")
    runner = Runner(options.library, options.keep, bool(planted), options.jobs)
    # The end of this process ends its jobs.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return 1 if prove(runner, jobs, planted) else 0
    finally:
        runner.end()


def prove(runner, jobs, planted):
    """Runs all jobs; prints a line for each job and each function. Gives whether any failed."""
    totals = {name: [0, 0, 0] for name, _, _ in jobs}
    found = {name: [] for name in totals}
    wanted = set(planted)
    for done, ((name, scene, cases), result) in enumerate(runner.results(jobs), 1):
        totals[name] = [sum(pair) for pair in zip(totals[name], result["paths"])]
        found[name] += result["reports"]
        kind = "" if cases == [None] else f" alignments {cases[0]} to {cases[-1]}"
        paths, served, _ = result["paths"]
        how = "kept from an earlier run" if "kept" in result else f"{result['seconds']} s"
        what = f"{name} {scene}{kind}: {paths} paths, {served} with a result, {how}"
        print(f"     {done}/{len(jobs)} {what}", flush=True)
        for report in result["reports"]:
            print(f"     {report}", flush=True)
        # One report of each planted bug is enough.
        wanted -= (
            {name} if any("not proved" not in report for report in result["reports"]) else set()
        )
        if planted and not wanted:
            runner.end()
            break
    failed = False
    for name, (paths, served, refused) in totals.items():
        if planted:
            good = name not in wanted
            what = f"planted_bug_in_{name}_is_found"
        else:
            # Without a path to a result and one to a refusal, nothing was checked.
            good = not found[name] and served and refused
            what = f"{name}_gives_only_good_blocks"
        print(f"{'ok  ' if good else 'FAIL'} symbolic {what} ({paths} paths)", flush=True)
        failed |= not good
    return failed


if __name__ == "__main__":
    sys.exit(main())
