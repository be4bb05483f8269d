"""Sums up what cargo-mutants found: one line for each file; --write: their rows in docs/mutants.csv anew. Used by scripts/mutants.sh.
--committed instead of a folder of results: whether the two committed tables add up, and still speak of the sources.

A mutant is dead when any of the runs killed it. Survivors need a reason in docs/mutants-survivors.csv, where they stand
without line numbers, which move: file, function's mutant in cargo-mutants' words, how many there are of it, reason.
"""

import collections
import csv
import pathlib
import re
import sys

MINIMUM = 95.0
REASONS = pathlib.Path("docs/mutants-survivors.csv")
LINE = re.compile(r"^crates/(memoman-\w+)/src/([\w/]+\.rs):(\d+):(\d+): (.*)$")


def outcomes(work):
    """Each mutant's outcome over all stages: {(package, file, line, column, words): outcome}. What one lets live another may kill."""
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
    """The record bears out what is said of it: the percentage, and a reason for each survivor, in functions that are still there."""
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
        if not source.exists() or (function and not re.search(rf"\bfn {function}\b", source.read_text())):
            wrong.append(f"{place}: no function {function} any more: {words}")
        if not reason.strip():
            wrong.append(f"{place}: no reason: {words}")
        explained[package, file] += count
    for package in sorted({row["package"] for row in rows}):
        sums = collections.Counter()
        for row in (row for row in rows if row["package"] == package):
            figures = {key: int(row[key]) for key in ("mutants", "caught", "timeout", "missed", "unviable")}
            if row["file"] == "total":
                total = figures
                continue
            sums.update(figures)
            missed[package, row["file"]] = figures["missed"]
        killed = total["caught"] + total["timeout"]
        percent = 100.0 * killed / (killed + total["missed"])
        if sums != collections.Counter(total) or total["mutants"] != killed + total["missed"] + total["unviable"]:
            wrong.append(f"{package}: the files' figures do not add up to the total")
        if percent < MINIMUM:
            wrong.append(f"{package}: {percent:.1f} % dead, below {MINIMUM} %")
        print(f"     {package}: {killed} of {killed + total['missed']} viable mutants dead, {percent:.1f} %")
    for place in sorted(missed.keys() | explained.keys()):
        if missed.get(place, 0) != explained[place]:
            wrong.append(f"{'/'.join(place)}: {missed.get(place, 0)} live, {explained[place]} have a reason")
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

    rows, failed = [], False
    for package in sorted({package for package, _ in table}):
        total = collections.Counter()
        for (_, file), counts in sorted(
            (key, value) for key, value in table.items() if key[0] == package
        ):
            rows.append([package, file, counts])
            total.update(counts)
        rows.append([package, "total", total])
    out = []
    for package, file, counts in rows:
        killed = counts["caught"] + counts["timeout"]
        viable = killed + counts["missed"]
        percent = 100.0 * killed / viable if viable else 100.0
        out.append(
            [package, file, viable + counts["unviable"], counts["caught"], counts["timeout"]]
            + [counts["missed"], counts["unviable"], f"{percent:.1f}"]
        )
        print(
            f"mutants  {package:15} {file:15} {percent:6.1f} % dead: {counts['caught']} caught, {counts['timeout']} hang, "
            f"{counts['missed']} live, {counts['unviable']} do not compile"
        )
        if file == "total" and percent < MINIMUM:
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


committed() if "--committed" in sys.argv else main()
