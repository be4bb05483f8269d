#!/usr/bin/env python3
"""Processor time of programs while they are recorded, beside their own.

    benches/recording/run.py [--dist DIR] [--out CSV] [--repetitions N] [--quick]

The runs of a repetition follow each other: the program alone, recorded, recorded with stacks,
sampled, sampled with stacks, under heaptrack where it is installed. A figure is the least user and
system time of all repetitions; its ratio is to that of the program alone. Prints for each

    recording <program> <mode> <seconds> ratio <ratio> events/s <rate>
"""

import argparse
import csv
import datetime
import os
import pathlib
import platform
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STACKS, SAMPLE = "32", "524288"
SQL = """
create table t(a integer primary key, b text, c text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
insert into t select i, hex(i * 7919), 'row ' || i from n;
create index tb on t(b);
select count(*), sum(length(b)) from t where b like '%3%';
select c, count(*) from (select substr(b, 1, 3) c from t) group by c order by 2 desc limit 3;
"""
PYTHON = """
import json, re, zlib
for turn in range({turns}):
    rows = dict((str(i), [i, dict(a=str(i) * 3)]) for i in range(20000))
    text = json.dumps(rows)
    again = json.loads(text)
    for key in list(again)[::3]:
        del again[key]
    found = [re.sub("1(.)", "22", key) for key in rows]
    words = sorted(again, key=lambda key: key[::-1])
    packed = zlib.compress(text.encode(), 6)
    numbers = re.findall("[1-9]+7", text)
"""
# Nearly nothing but calls of the allocator: each number is an object.
INTEGERS = """
total = 0
for i in range({turns} * 400000):
    total += i * 1001
"""


def first_line(*command):
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "?"


def seconds(command, environment):
    """User and system time of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"recording: {command[0]} failed: {done.stderr.decode()[-300:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def count(tool, trace):
    """The number of events of a trace."""
    with subprocess.Popen([tool, "export", "--to", "csv", trace], stdout=subprocess.PIPE) as lines:
        blocks = iter(lambda: lines.stdout.read(1 << 20), b"")
        return sum(block.count(b"\n") for block in blocks) - 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dist", default=ROOT / "dist", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    tool = args.dist / "bin/memoman"
    work = pathlib.Path(tempfile.mkdtemp(prefix="memoman-recording-"))
    sql, script = work / "load.sql", work / "load.py"
    sql.write_text(SQL.format(rows=100_000 if args.quick else 1_600_000))
    script.write_text(PYTHON.format(turns=1 if args.quick else 12))
    integers = work / "integers.py"
    integers.write_text(INTEGERS.format(turns=1 if args.quick else 12))
    python = "/usr/bin/python3" if pathlib.Path("/usr/bin/python3").exists() else sys.executable
    trace = work / "t.mmt"
    record = [str(tool), "record", "--quiet", "-o", str(trace)]
    modes = {
        "alone": [],
        "recorded": [*record, "--"],
        "recorded with stacks": [*record, "--stacks", STACKS, "--"],
        "sampled": [*record, "--sample", SAMPLE, "--"],
        "sampled with stacks": [*record, "--sample", SAMPLE, "--stacks", STACKS, "--"],
    }
    if shutil.which("heaptrack"):
        modes["heaptrack"] = ["heaptrack", "--raw", "-o", str(work / "heaptrack")]
    rows = []
    for program, command, more in [
        ("sqlite3", ["sqlite3", ":memory:", f".read {sql}"], {}),
        ("python3", [python, str(script)], {}),
        ("python3 PYTHONMALLOC=malloc", [python, str(script)], {"PYTHONMALLOC": "malloc"}),
        ("python3 integers", [python, str(integers)], {"PYTHONMALLOC": "malloc"}),
    ]:
        environment = {**os.environ, **more}
        least = dict.fromkeys(modes, float("inf"))
        events = 0
        for _ in range(args.repetitions):
            for mode, front in modes.items():
                least[mode] = min(least[mode], seconds([*front, *command], environment))
                if mode == "recorded" and not events:
                    events = count(tool, trace)
        for mode, time in least.items():
            ratio, rate = time / least["alone"], events / least["alone"]
            print(f"recording {program} {mode} {time:.2f} ratio {ratio:.3f} events/s {rate:.0f}")
            rows.append([program, mode, f"{time:.3f}", f"{ratio:.3f}", events, f"{rate:.0f}"])
    shutil.rmtree(work)
    if args.out:
        head = (
            f"# make bench-record; {datetime.date.today()}; commit "
            f"{first_line('git', 'rev-parse', '--short', 'HEAD')}; {platform.machine()}; glibc "
            f"{platform.libc_ver()[1]}; {first_line('sqlite3', '--version').split()[0]}; "
            f"{first_line(python, '--version')}; stacks of {STACKS}; a sample in {SAMPLE} bytes; "
            f"least of {args.repetitions} repetitions, user and system time"
        )
        with open(args.out, "w", newline="") as file:
            file.write(head + "\n")
            csv.writer(file, lineterminator="\n").writerows(
                [["program", "mode", "seconds", "ratio", "events", "events_per_second"], *rows]
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
