#!/usr/bin/env python3
"""Each public item of a crate has an example in its documentation.

    docs/tools/examples.py CRATE.json    rustdoc's JSON

The items that the crate's root shows, with their own functions and constants. Hidden ones are not
in the JSON's root; fields, variants and implementations of traits are left out.
"""

import json
import sys


def main() -> None:
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        crate = json.load(file)
    index = crate["index"]
    seen = missing = 0

    def look(item: dict, path: str) -> None:
        nonlocal seen, missing
        seen += 1
        if "```" not in (item["docs"] or ""):
            missing += 1
            print(f"no example: {path}")

    def visit(item: dict, path: str) -> None:
        (kind, inner), = item["inner"].items()
        if kind == "use":
            target = index.get(str(inner["id"]))
            if target is not None and target["crate_id"] == item["crate_id"]:
                visit(target, f"{path}::{inner['name']}")
            return
        look(item, path)
        if kind == "module":
            for child in inner["items"]:
                child = index[str(child)]
                name = child["name"]
                visit(child, f"{path}::{name}" if name else path)
        for implementation in inner.get("impls", []) if isinstance(inner, dict) else []:
            implementation = index.get(str(implementation))
            if implementation is None or implementation["inner"]["impl"]["trait"] is not None:
                continue
            for child in implementation["inner"]["impl"]["items"]:
                child = index[str(child)]
                if child["visibility"] == "public":
                    look(child, f"{path}::{child['name']}")

    root = index[str(crate["root"])]
    visit(root, root["name"])
    print(f"{seen - missing} of {seen} public items have an example")
    sys.exit(missing > 0 or seen < 3)


main()
