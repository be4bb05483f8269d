#!/usr/bin/env python3
"""Real programs with and without the shim: the same results, and at what cost.

    scripts/real-programs/run.py [--shim FILE] [--out CSV] [--repetitions N] [NAME...]

Each NAME.sh beside this file is a program, or several, run whole on the shim; with `# server` on its second line it starts a
server itself, by "${under[@]}", and its clients run without the shim. What it prints must be the same. Runs without and with the
shim alternate; medians. Time is the processor's, of all processes; memory is the peak of the largest process. A script that
knows better says so in the files seconds and kib of the folder $RESULTS. Prints for each

    program <name> unchanged yes|no time <ratio to glibc> rss <ratio to glibc>
"""

import argparse
import csv
import datetime
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Where the servers may be started from by another user: /root is closed to him.
PREAMBLE = """
under=(env)
[ -z "$UNDER" ] || under=(env "LD_PRELOAD=$UNDER" MEMOMAN_STATS=1)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null' EXIT
# peak PID...: the greatest peak of these processes counts, and each of them must be on the shim when it is asked for.
peak() {
    for pid in "$@"; do
        # (One that has ended meanwhile cannot be asked.)
        maps=$(cat "/proc/$pid/maps" 2>/dev/null) || continue
        [ -n "$maps" ] || continue
        if [ -n "$UNDER" ] && [[ $maps != *"$UNDER"* ]]; then
            echo "process $pid is not on the shim" >&2
        fi
        awk '/^VmHWM/ { print $2 }' "/proc/$pid/status"
    done | sort -n | tail -n 1 >"$RESULTS/kib"
}
# spent PID...: the time of these processes counts, with their children's that have ended.
spent() {
    for pid in "$@"; do cat "/proc/$pid/stat"; done |
        awk -v tick="$(getconf CLK_TCK)" '{ sum += $14 + $15 + $16 + $17 } END { print sum / tick }' >"$RESULTS/seconds"
}
"""


def first_line(*command):
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "?"


COMMIT = first_line("git", "-c", "safe.directory=*", "rev-parse", "HEAD")


def run(script, shim):
    """Output, exit status, seconds, KiB, and what it said on stderr, of one run; `shim` empty: on glibc."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="memoman-program-", dir="/tmp"))
    # A server's user must be able to enter.
    folder.chmod(0o755)
    work = folder / "work"
    work.mkdir(mode=0o755)
    text = script.read_text()
    is_server = text.splitlines()[1] == "# server"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEMOMAN_", "LD_PRELOAD"))}
    environment.update(RESULTS=str(folder), ROOT=str(ROOT), COMMIT=COMMIT, UNDER=shim if is_server else "", LC_ALL="C.UTF-8")
    command = ["bash", "-c", PREAMBLE + text, script.stem]
    if shim and not is_server:
        command = ["env", f"LD_PRELOAD={shim}", "MEMOMAN_STATS=1", *command]
    # Started by a small program: a process's peak begins with the size of the one that it was started by.
    command = ["/usr/bin/time", "-q", "-f", "%M", "-o", str(folder / "peak"), *command]
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        process = subprocess.Popen(command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds, kib = usage.ru_utime + usage.ru_stime, float((folder / "peak").read_text().split()[-1])
    for name in ("seconds", "kib"):
        file = folder / name
        if file.exists() and file.read_text().strip():
            if name == "seconds":
                seconds = float(file.read_text())
            else:
                kib = float(file.read_text().split()[-1])
    errors = (folder / "err").read_text(errors="replace")
    errors += "".join(file.read_text(errors="replace") for file in work.glob("server.err"))
    output = (folder / "out").read_bytes()
    shutil.rmtree(folder, ignore_errors=True)
    return output, process.returncode, seconds, kib, errors


def compare(script, shim, repetitions, show):
    """A row of the results: name, unchanged, then seconds and KiB on glibc and on the shim; and what was wrong."""
    costs, outputs, wrong = {"glibc": [], "memoman": []}, set(), ""
    for repetition in range(repetitions):
        for name, library in (("glibc", ""), ("memoman", shim)):
            began = time.monotonic()
            output, status, seconds, kib, errors = run(script, library)
            show(f"{script.stem}: {repetition + 1} of {repetitions}, {name}: {time.monotonic() - began:.1f} s")
            if status != 0:
                wrong = wrong or f"on {name}: exit status {status}: {errors.strip()[-300:]}"
            if not output.strip():
                wrong = wrong or f"on {name}: prints nothing, so nothing was compared: {errors.strip()[-300:]}"
            if library and ("memoman: allocations" not in errors or "is not on the shim" in errors):
                wrong = wrong or "the shim was not active"
            if outputs and output not in outputs:
                wrong = wrong or f"on {name}: other output: {output[-300:]!r} against {next(iter(outputs))[-300:]!r}"
            outputs.add(output)
            costs[name].append((seconds, kib))
    medians = [statistics.median(cost[i] for cost in costs[name]) for name in ("glibc", "memoman") for i in (0, 1)]
    return [script.stem, "no" if wrong else "yes", *medians], wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shim", default=str(ROOT / "dist/libmemoman_preload.so"))
    parser.add_argument("--out", default=str(ROOT / "benches/results/programs.csv"))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if not os.access(arguments.shim, os.R_OK):
        sys.exit(f"run.py: {arguments.shim} is missing: run make first")
    scripts = sorted(HERE.glob("*.sh"))
    unknown = set(arguments.names) - {script.stem for script in scripts}
    if unknown:
        sys.exit(f"run.py: no program {', '.join(sorted(unknown))}: {' '.join(script.stem for script in scripts)}")
    # A user without rights must be able to load it.
    shim_folder = tempfile.mkdtemp(prefix="memoman-shim-", dir="/tmp")
    os.chmod(shim_folder, 0o755)
    shim = shutil.copy(arguments.shim, shim_folder)
    tty = sys.stderr.isatty()

    def show(text):
        print(f"\r\033[K{text}" if tty else text, end="" if tty else "\n", file=sys.stderr, flush=True)

    rows, failed = [], False
    try:
        for script in scripts:
            if arguments.names and script.stem not in arguments.names:
                continue
            row, wrong = compare(script, shim, arguments.repetitions, show)
            show("") if tty else None
            name, unchanged, seconds, kib, own_seconds, own_kib = row
            times, memory = own_seconds / max(seconds, 1e-12), own_kib / max(kib, 1)
            print(f"program {name} unchanged {unchanged} time {times:.2f} rss {memory:.2f}", flush=True)
            if wrong:
                failed = True
                print(f"  {name}: {wrong}", flush=True)
            rows.append([name, unchanged, f"{seconds:.6g}", f"{own_seconds:.6g}", f"{times:.3f}", f"{kib:.0f}", f"{own_kib:.0f}", f"{memory:.3f}"])
    finally:
        shutil.rmtree(shim_folder, ignore_errors=True)
    if not rows:
        sys.exit("run.py: no program has run")
    mean = [math.exp(statistics.mean(math.log(max(float(row[i]), 1e-9)) for row in rows)) for i in (4, 7)]
    print(f"program geometric-mean unchanged {'no' if failed else 'yes'} time {mean[0]:.2f} rss {mean[1]:.2f}")
    comment = "; ".join([
        "make programs", datetime.date.today().isoformat(), f"commit {COMMIT[:7]}",
        first_line("gcc", "--version"), first_line("ldd", "--version"), f"{arguments.repetitions} repetitions; medians",
    ])
    with open(arguments.out, "w", newline="") as file:
        file.write(f"# {comment}\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["program", "unchanged", "seconds_glibc", "seconds_memoman", "time_ratio", "kib_glibc", "kib_memoman", "rss_ratio"])
        table.writerows(rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
