#!/usr/bin/env python3
"""The reference of memoman.h, from its comments, as Markdown on stdout: api.py include/memoman.h"""

import re
import sys
import textwrap

SECTION = re.compile(r"/\* -+ (?P<title>[^-]+?) -+ \*/")
COMMENT = re.compile(r"/\*\*(?P<text>.*?)\*/\s*", re.DOTALL)
NAME = re.compile(r"\b(mm_\w+|MM_(?!VERSION)\w+)\b")


def prose(comment: str) -> str:
    """A comment without its stars."""
    lines = [re.sub(r"^\s*\*? ?", "", line).rstrip() for line in comment.strip().splitlines()]
    return "\n".join(lines).strip()


def linked(text: str, names: set[str]) -> str:
    """Names of the interface become links, those of C's own types and parameters stay."""
    # What is in backticks already stays as it is.
    parts = re.split(r"(`[^`]*`)", text)
    for i in range(0, len(parts), 2):
        parts[i] = NAME.sub(
            lambda m: f"[`{m[1]}`](#{m[1].lower()})" if m[1] in names else f"`{m[1]}`", parts[i]
        ).replace("<", "&lt;")
    return "".join(parts)


def declaration_at(text: str, start: int) -> str:
    """What is declared from here on: a macro's line, or to the semicolon outside of braces."""
    if text.startswith("#define", start):
        return text[start : text.index("\n", start)]
    depth = 0
    for end in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if text[end] == ";" and depth == 0:
            return text[start : end + 1]
    sys.exit(f"api.py: no end of the declaration: {text[start:start + 80]!r}")


def name_of(declaration: str) -> str:
    """The name that a declaration gives."""
    bare = re.sub(r"/\*.*?\*/", "", declaration, flags=re.DOTALL)
    if bare.startswith("#define"):
        return bare.split()[1]
    if bare.startswith("typedef"):
        function = re.search(r"\(\*(mm_\w+)\)", bare)
        return function[1] if function else re.findall(r"mm_\w+", bare)[-1]
    return re.search(r"(mm_\w+)\(", bare)[1]


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    head = re.search(r"^ \* Conventions\n(.*?)^ \*\n", text, re.DOTALL | re.MULTILINE)
    conventions = prose(head[1])

    entries = []  # (title of section or None, name, declaration, documentation)
    at = text.index("#include <stddef.h>")
    while True:
        section = SECTION.search(text, at)
        comment = COMMENT.search(text, at)
        if section and (not comment or section.start() < comment.start()):
            entries.append((section["title"], "", "", ""))
            at = section.end()
        elif comment:
            declaration = declaration_at(text, comment.end())
            entries.append((None, name_of(declaration), declaration, prose(comment["text"])))
            at = comment.end() + len(declaration)
        else:
            break
    names = {name for _, name, _, _ in entries if name}
    declared = set(re.findall(r"^[a-z][\w *]*?\b(mm_\w+)\(", text, re.MULTILINE))
    if not declared or not declared <= names:
        sys.exit(f"api.py: not documented: {sorted(declared - names)}")

    out = [
        "# memoman.h",
        "<!-- Generated from include/memoman.h by docs/tools/api.py: edit src/ffi, then\n"
        "`make header docs-write`. -->",
        "Every function with its failure cases and its cost, from the comments of the header.",
        "## Conventions",
    ]
    for line in re.split(r"\n  (?=\S)", conventions):
        text = "* " + linked(re.sub(r"\n\s+", " ", line), names)
        wrap = textwrap.TextWrapper(100, subsequent_indent="  ", break_long_words=False)
        out.append("\n".join(wrap.wrap(text)))
    out[4:] = ["\n".join(out[4:])]
    out.append("## Types")
    for title, name, declaration, documentation in entries:
        if title:
            out.append(f"## {title.split(':')[0]}")
            continue
        shown = re.sub(r"\n{2,}", "\n", declaration)
        out += [f"### {name}", f"```c\n{shown}\n```", linked(documentation, names)]
    print("\n\n".join(out))


main()
