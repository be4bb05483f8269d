#!/usr/bin/env python3
"""Text of the whole tree: lines of at most 100 columns, and none of the words that code and
documentation do without. One result line for each kind of file.

    scripts/check_text.py [FILE…]     without arguments: every file that git knows
"""

import collections
import pathlib
import re
import subprocess
import sys

COLUMNS = 100
WORDS = re.compile(
    r"\b(whoever|nobody|somebody|is told|as for it|the same duties|for want of|in the mean"
    r"|where a header shows|believed|vouch(es)?|tolerated|mended)\b",
    re.IGNORECASE,
)
DATA = re.compile(r"\.(svg|csv|png|lock|abi|gz|ico)$|^fuzz/(corpus|regressions)/|^LICENSE")
# The reference has the header's lines, with links in them.
GENERATED = "docs/book/api.md"
# Tables, rows of a script's table and the text of messages may be wider, and a line that has no
# blank before the column at which it should end: a link or an address on a line of its own.
MAY_BE_WIDE = re.compile(
    r"^(\W{0,4} ?)?\||\]: |^(apt|pip|cargo|rustup) +\S+ +\S"
    r"|^description = |(^|\")memoman: +\S|expect-std(err|out): "
    r"|^\W*\S{%d}" % (COLUMNS - 4)
)


def kind_of(path):
    return pathlib.PurePath(path).suffix.lstrip(".") or pathlib.PurePath(path).name


def main():
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    files = sys.argv[1:] or subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    found, kinds = collections.defaultdict(list), collections.Counter()
    for path in files:
        if DATA.search(path) or not pathlib.Path(path).is_file():
            continue
        kind = kind_of(path)
        kinds[kind] += 1
        text = pathlib.Path(path).read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            if len(line) > COLUMNS and path != GENERATED and not MAY_BE_WIDE.search(line):
                found[kind].append(f"{path}:{number}: {len(line)} columns")
            word = WORDS.search(line)
            if word and path != "scripts/check_text.py":
                found[kind].append(f'{path}:{number}: "{word[0]}"')
    for kind in sorted(kinds):
        print(f"{'FAIL' if found[kind] else 'ok  '} text {kind}")
        for line in found[kind]:
            print("      ", line)
    failed = sum(bool(lines) for lines in found.values())
    print(f"{len(kinds) - failed} passed, {failed} failed")
    return 1 if failed or not kinds else 0


if __name__ == "__main__":
    sys.exit(main())
