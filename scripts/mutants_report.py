"""Sums up the results of cargo-mutants, for scripts/mutants.sh.

    scripts/mutants_report.py FOLDER [--write]  one line a file; --write: docs/mutants.csv anew
    scripts/mutants_report.py --committed       the committed tables add up and match the sources

A mutant is dead if any of the runs killed it. Survivors need a reason in
docs/mutants-survivors.csv, which leaves out line numbers because they move: file, mutant in
cargo-mutants' words, count, reason.
"""

import collections
import csv
import pathlib
import re
import sys

MINIMUM = 95.0
KINDS = ("mutants", "caught", "timeout", "missed", "unviable")
REASONS = pathlib.Path("docs/mutants-survivors.csv")
LINE = re.compile(r"^crates/(memoman-\w+)/src/([\w/]+\.rs):(\d+):(\d+): (.*)$")


def outcomes(work):
    """Each mutant's best outcome of all stages: {(package, file, line, column, words): outcome}."""
    rank = {"unviable": 0, "missed": 1, "caught": 2, "timeout": 3}
    found = {}
    for path in sorted(work.glob("*/*.txt")):
        name = path.stem
        if name not in rank:
            continue
        for line in path.read_text().splitlines():
            match = LINE.match(line)
            if not match:
                continue
            package, file, row, column, words = match.groups()
            key = (package, file, int(row), int(column), words)
            if key not in found or rank[name] > rank[found[key]]:
                found[key] = name
    return found


def read_reasons(path):
    """{(file, words): (count, reason)}"""
    if not path.exists():
        return {}
    with path.open(newline="") as text:
        return {
            (row["file"], row["mutant"]): (int(row["count"]), row["reason"])
            for row in csv.DictReader(text)
        }


def committed():
    """The tables add up, the percentage holds, each survivor has a reason in a living function."""
    with open("docs/mutants.csv", newline="") as text:
        rows = list(csv.DictReader(text))
    reasons = read_reasons(REASONS)
    wrong = []
    explained, missed = collections.Counter(), {}
    for (place, words), (count, reason) in reasons.items():
        package, _, file = place.partition("/")
        source = pathlib.Path("crates", package, "src", file)
        name = re.search(r"(?: in |^replace )(?:\S*::)?(\w+)(?: -> .+)?(?: with .+)?$", words)
        function = name and name.group(1)
        text = source.read_text() if source.exists() else ""
        if not text or (function and not re.search(rf"\bfn {function}\b", text)):
            wrong.append(f"{place}: no function {function} any more: {words}")
        if not reason.strip():
            wrong.append(f"{place}: no reason: {words}")
        explained[package, file] += count
    for package in sorted({row["package"] for row in rows}):
        sums = collections.Counter()
        for row in (row for row in rows if row["package"] == package):
            figures = {key: int(row[key]) for key in KINDS}
            if row["file"] == "total":
                total = figures
                continue
            sums.update(figures)
            missed[package, row["file"]] = figures["missed"]
        killed = total["caught"] + total["timeout"]
        viable = killed + total["missed"]
        percent = 100.0 * killed / viable
        if sums != collections.Counter(total) or total["mutants"] != viable + total["unviable"]:
            wrong.append(f"{package}: the files' figures do not add up to the total")
        if percent < MINIMUM:
            wrong.append(f"{package}: {percent:.1f} % dead, below {MINIMUM} %")
        print(f"     {package}: {killed} of {viable} viable mutants dead, {percent:.1f} %")
    for place in sorted(missed.keys() | explained.keys()):
        if missed.get(place, 0) != explained[place]:
            live = missed.get(place, 0)
            wrong.append(f"{'/'.join(place)}: {live} live, {explained[place]} have a reason")
    for text in wrong:
        print("FAIL mutants record", text)
    if not wrong:
        print(f"ok mutants record ({len(reasons)} reasons)")
    sys.exit(bool(wrong))


def main():
    work, write = pathlib.Path(sys.argv[1]), "--write" in sys.argv
    found = outcomes(work)
    if not found:
        sys.exit("mutants: no results in " + str(work))
    table = collections.defaultdict(collections.Counter)
    survivors = collections.defaultdict(list)
    for (package, file, row, column, words), outcome in sorted(found.items()):
        table[package, file][outcome] += 1
        if outcome == "missed":
            survivors[f"{package}/{file}", words].append(f"{row}:{column}")

    out, failed = [], False
    for package in sorted({package for package, _ in table}):
        files = sorted((file, counts) for (name, file), counts in table.items() if name == package)
        total = sum((counts for _, counts in files), collections.Counter())
        for file, counts in [*files, ("total", total)]:
            caught, hang, live = (counts[kind] for kind in ("caught", "timeout", "missed"))
            viable = caught + hang + live
            percent = 100.0 * (caught + hang) / viable if viable else 100.0
            row = [package, file, viable + counts["unviable"], caught, hang, live]
            out.append([*row, counts["unviable"], f"{percent:.1f}"])
            print(
                f"mutants  {package:15} {file:15} {percent:6.1f} % dead: {caught} caught, "
                f"{hang} hang, {live} live, {counts['unviable']} do not compile"
            )
        if percent < MINIMUM:
            failed = True
            print(f"mutants  FAILED: {package} is below {MINIMUM} %")
    reasons = read_reasons(REASONS)
    for (file, words), places in sorted(survivors.items()):
        count, reason = reasons.get((file, words), (0, ""))
        if len(places) > count or not reason:
            failed = True
            print(f"mutants  FAILED: no reason why it lives: {file} {words} at {', '.join(places)}")
    if write:
        written = pathlib.Path("docs/mutants.csv")
        kept = []  # of a package that has no results now
        if written.exists():
            with written.open(newline="") as text:
                tried = {package for package, _ in table}
                kept = [row for row in list(csv.reader(text))[1:] if row[0] not in tried]
        with written.open("w", newline="") as text:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow("package file mutants caught timeout missed unviable percent".split())
            writer.writerows(sorted(kept + out, key=lambda row: row[0]))
    sys.exit(failed)


if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
    sys.exit(__doc__)
committed() if "--committed" in sys.argv else main()
