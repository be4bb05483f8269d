#!/usr/bin/env python3
"""Real programs with and without the shim: output, time and memory.

    benches/real-programs/run.py [--shim FILE] [--out CSV] [--repetitions N] [NAME…]
    benches/real-programs/run.py --check [--shim FILE] NAME…

The programs are the functions of the *.sh files beside this one. Their output must be the same on
glibc and on the shim. The runs alternate; the figures are medians: processor time of all processes,
peak memory of the largest process. Prints for each

    program <name> unchanged yes|no time <ratio to glibc> rss <ratio to glibc>

--check compares the output only, of a program on each processor at a time. It prints
"ok programs NAME" with the shim's own figures, or "FAIL programs NAME why".
"""

import argparse
import concurrent.futures
import csv
import datetime
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs.sh"
ROOT = PROGRAMS.parent.parent.parent


def first_line(*command):
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "?"


COMMIT = first_line("git", "-c", "safe.directory=*", "rev-parse", "HEAD")


def programs():
    """Name of each program, and its function: server_NAME starts a server itself."""
    text = "".join(file.read_text() for file in PROGRAMS.parent.glob("*.sh"))
    functions = re.findall(r"^((?:program|server)_\w+)\(\) {$", text, re.MULTILINE)
    functions.sort(key=lambda function: function.partition("_")[2])
    return {function.partition("_")[2].replace("_", "-"): function for function in functions}


def run(function, shim, measured=True):
    """Output, exit status, seconds, KiB and stderr of one run; `shim` empty: on glibc."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="memoman-program-", dir="/tmp"))
    # A server's user must be able to enter.
    folder.chmod(0o755)
    work = folder / "work"
    work.mkdir(mode=0o755)
    is_server = function.startswith("server_")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MEMOMAN_", "LD_PRELOAD"))
    }
    environment.update(RESULTS=str(folder), ROOT=str(ROOT), COMMIT=COMMIT, LC_ALL="C.UTF-8")
    environment["UNDER"] = shim if is_server else ""
    steps = '. "$0"; . "${0%/*}/checks.sh"; set -eo pipefail; "$1"'
    command = ["bash", "-c", steps, str(PROGRAMS), function]
    if shim and not is_server:
        command = ["env", f"LD_PRELOAD={shim}", "MEMOMAN_STATS=1", *command]
    # Started by a small program, because a process's peak begins with the size of its parent.
    if measured:
        command = ["/usr/bin/time", "-q", "-f", "%M", "-o", str(folder / "peak"), *command]
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        process = subprocess.Popen(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    figures = {"seconds": usage.ru_utime + usage.ru_stime, "kib": 0.0}
    for name, file in (("kib", "peak"), ("seconds", "seconds"), ("kib", "kib")):
        if (folder / file).exists() and (folder / file).read_text().strip():
            figures[name] = float((folder / file).read_text().split()[-1])
    errors = (folder / "err").read_text(errors="replace")
    errors += "".join(file.read_text(errors="replace") for file in work.glob("server.err"))
    output = (folder / "out").read_bytes()
    shutil.rmtree(folder, ignore_errors=True)
    return output, process.returncode, figures["seconds"], figures["kib"], errors


def compare(program, function, shim, repetitions, show, measured=True):
    """A row of the results: name, unchanged, seconds and KiB on glibc and on the shim; a fault; the
    shim's own figures."""
    costs, outputs, wrong, own = {"glibc": [], "memoman": []}, set(), "", ""
    for repetition in range(repetitions):
        for name, library in (("glibc", ""), ("memoman", shim)):
            began = time.monotonic()
            output, status, seconds, kib, errors = run(function, library, measured)
            took = time.monotonic() - began
            show(f"{program}: {repetition + 1} of {repetitions}, {name}: {took:.1f} s")
            if status != 0:
                wrong = wrong or f"on {name}: exit status {status}: {errors.strip()[-300:]}"
            if not output.strip():
                wrong = wrong or f"on {name}: prints nothing: {errors.strip()[-300:]}"
            if library:
                figures = [
                    max(map(int, re.findall(rf"^memoman: {row} *(\d+)$", errors, re.M)), default=0)
                    for row in ("allocations", "peak bytes")
                ]
                own = "{:,} allocations, {:,} bytes at most".format(*figures)
                if figures[0] == 0 or "is not on the shim" in errors:
                    wrong = wrong or "the shim was not active"
            if outputs and output not in outputs:
                other = next(iter(outputs))
                wrong = wrong or f"on {name}: {output[-300:]!r} against {other[-300:]!r}"
            outputs.add(output)
            costs[name].append((seconds, kib))
    medians = [statistics.median(cost[i] for cost in costs[name]) for name in costs for i in (0, 1)]
    return [program, "no" if wrong else "yes", *medians], wrong, own


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shim", default=str(ROOT / "dist/libmemoman_preload.so"))
    parser.add_argument("--out", default=str(ROOT / "benches/results/programs.csv"))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if not os.access(arguments.shim, os.R_OK):
        sys.exit(f"run.py: {arguments.shim} is missing: run make first")
    known = programs()
    compared = PROGRAMS.with_name("checks.sh").read_text()
    measured = [name for name, function in known.items() if f"\n{function}()" not in compared]
    unknown = set(arguments.names) - set(known)
    if unknown:
        sys.exit(f"run.py: no program {', '.join(sorted(unknown))}: {' '.join(known)}")
    # A user without rights must be able to load it.
    shim_folder = tempfile.mkdtemp(prefix="memoman-shim-", dir="/tmp")
    os.chmod(shim_folder, 0o755)
    shim = shutil.copy(arguments.shim, shim_folder)
    tty = sys.stderr.isatty()

    def show(text):
        line = f"\r\033[K{text}" if tty else text + "\n"
        print(line, end="", file=sys.stderr, flush=True)

    def checked(program):
        _, wrong, own = compare(program, known[program], shim, 1, lambda text: None, False)
        print("FAIL" if wrong else "ok", "programs", program, wrong or own, flush=True)
        return not wrong

    rows, failed = [], False
    chosen = [program for program in known if program in (arguments.names or measured)]
    try:
        if arguments.check:
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                sys.exit(not all(list(pool.map(checked, chosen))))
        for program in chosen:
            row, wrong, _ = compare(program, known[program], shim, arguments.repetitions, show)
            show("") if tty else None
            name, unchanged, seconds, kib, own_seconds, own_kib = row
            times, memory = own_seconds / max(seconds, 1e-12), own_kib / max(kib, 1)
            figures = f"time {times:.2f} rss {memory:.2f}"
            print(f"program {name} unchanged {unchanged} {figures}", flush=True)
            if wrong:
                failed = True
                print(f"  {name}: {wrong}", flush=True)
            rows.append(
                [name, unchanged, f"{seconds:.6g}", f"{own_seconds:.6g}", f"{times:.3f}"]
                + [f"{kib:.0f}", f"{own_kib:.0f}", f"{memory:.3f}"]
            )
    finally:
        shutil.rmtree(shim_folder, ignore_errors=True)
    if not rows:
        sys.exit("run.py: no program has run")
    mean = [statistics.geometric_mean(max(float(row[i]), 1e-9) for row in rows) for i in (4, 7)]
    verdict = "no" if failed else "yes"
    print(f"program geometric-mean unchanged {verdict} time {mean[0]:.2f} rss {mean[1]:.2f}")
    comment = "; ".join(
        ["make programs", datetime.date.today().isoformat(), f"commit {COMMIT[:7]}"]
        + [first_line("gcc", "--version"), first_line("ldd", "--version")]
        + [f"{arguments.repetitions} repetitions; medians"]
    )
    with open(arguments.out, "w", newline="") as file:
        file.write(f"# {comment}\n")
        table = csv.writer(file, lineterminator="\n")
        columns = "program unchanged seconds_glibc seconds_memoman time_ratio"
        table.writerow(f"{columns} kib_glibc kib_memoman rss_ratio".split())
        table.writerows(rows)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
