#!/usr/bin/env python3
"""Writes the man pages: generate.py HEADER VERSION OUT

The templates beside this script are mdoc pages with these lines for what the header says already:
    @NAMES title@      .Nm lines for the functions of the header's section with this title
    @SYNOPSIS title@   their declarations
    @FUNCTIONS title@  their documentation
    @TYPE name@        a struct, as it is declared
and @VERSION@ anywhere. Each function has a page: a link to the page of its section, where that has another name.
Fails if a function is on no page, or a template asks for what the header does not have.
"""

import re
import sys
import textwrap
from pathlib import Path

DECLARATION = re.compile(
    r"/\*\*(?P<doc>(?:(?!\*/).)*)\*/\n(?P<type>[a-z][\w ]*?\**)(?P<name>mm_\w+)\((?P<arguments>[^;]*)\);", re.S
)


class Function:
    def __init__(self, match):
        self.name = match["name"]
        self.type = match["type"].strip()
        self.arguments = [" ".join(argument.split()) for argument in match["arguments"].split(",")]
        self.doc = " ".join(re.sub(r"^\s*\* ?", "", line).strip() for line in match["doc"].splitlines()).strip()

    def heading(self):
        return ".It Fn %s %s" % (self.name, " ".join(f'"{argument}"' for argument in self.arguments))

    def synopsis(self):
        arguments = [] if self.arguments == ["void"] else self.arguments
        lines = [f'.Ft "{self.type}"', f".Fo {self.name}"]
        lines += [f'.Fa "{argument}"' for argument in arguments] or [".Fa void"]
        return lines + [".Fc"]


def sections(header):
    """The header's sections: title, functions."""
    parts = re.split(r"/\* ---- (.*?) -+ \*/\n", header)
    return {title: [Function(match) for match in DECLARATION.finditer(body)] for title, body in zip(parts[1::2], parts[2::2])}


def roff(text):
    """Running text: sentences begin on a new line, arguments are in italics, functions bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    lines = []
    for sentence in re.split(r"(?<=[.:?]) +(?=[A-Z0-9])", text):
        for line in textwrap.wrap(sentence, 62, break_long_words=False, break_on_hyphens=False):
            line = re.sub(r"`([^`]*)`", r"\\fI\1\\fP", line)
            line = re.sub(r"\b(mm_\w+)(\(\)|\b(?!\())", r"\\fB\1\\fP", line)
            lines.append(("\\&" if line[0] in ".'" else "") + line)
    return lines


def struct(header, name):
    match = re.search(r"^typedef struct %s \{.*?^\} %s;$" % (name, name), header, re.S | re.M)
    if match is None:
        sys.exit(f"generate.py: the header has no struct {name}")
    lines = []
    for line in match[0].splitlines():
        field = re.fullmatch(r"    ([^*/].*?);", line)
        comment = re.fullmatch(r"    /\*\* (.*?)\.? \*/", line)
        if comment:
            lines += ["    /* %s */" % part for part in textwrap.wrap(comment[1], 62)]
        else:
            lines.append(line if not field else f"    {field[1]};")
    return [".Bd -literal", *(line.replace("\\", "\\e") for line in lines), ".Ed"]


def page(template, header, functions, used):
    lines = []
    for line in template.read_text().splitlines():
        match = re.fullmatch(r"@(NAMES|SYNOPSIS|FUNCTIONS|TYPE) (.*)@", line)
        if match is None:
            lines.append(line)
            continue
        kind, title = match.groups()
        if kind == "TYPE":
            lines += struct(header, title)
            continue
        if not functions.get(title):
            sys.exit(f"generate.py: {template.name}: the header has no section '{title}'")
        members = functions[title]
        if kind == "NAMES":
            used.update({function.name: template.name[: -len(".in")] for function in members})
            names = [f".Nm {function.name}" for function in members]
            lines += [name + " ," for name in names[:-1]] + names[-1:]
        elif kind == "SYNOPSIS":
            lines += [line for function in members for line in function.synopsis()]
        else:
            lines.append(".Bl -tag -width Ds")
            lines += [line for function in members for line in [function.heading(), *roff(function.doc)]]
            lines.append(".El")
    return "\n".join(lines) + "\n"


def main():
    header, version, out = Path(sys.argv[1]).read_text(), sys.argv[2], Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    functions = sections(header)
    used = {}
    for template in sorted(Path(__file__).parent.glob("*.in")):
        text = page(template, header, functions, used).replace("@VERSION@", version)
        (out / template.name[: -len(".in")]).write_text(text)
    for name in (function.name for members in functions.values() for function in members):
        if name not in used:
            sys.exit(f"generate.py: {name} is on no man page: a template must name its section of the header")
        if used[name] != f"{name}.3":
            (out / f"{name}.3").write_text(f".so man3/{used[name]}\n")


main()
