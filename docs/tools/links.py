#!/usr/bin/env python3
"""Checks the links of Markdown files, of a built site, or of a crate's documentation:
links.py FILE.md... | links.py --site FOLDER | links.py --rustdoc FOLDER

A link to a file or folder of the project must lead to an existing one, its anchor to a heading.
Addresses of other sites are not fetched. A site must hold nothing but pages, what mdBook adds, and
what a page links. Rustdoc leaves `[Name]` in the text where it finds no target: none may be left.
Prints each fault and the counts; ends with 1 if there is a fault or nothing was found.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ASSETS = {".html", ".css", ".js", ".woff2"}
MDBOOK = re.compile(r"favicon|\.nojekyll$|[A-Z-]+-LICENSE\.txt$")
UNRESOLVED = re.compile(r"\[(?:\w+::)*\w+(?:\(\))?\]")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that mdBook and GitHub give a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", text))


def in_markdown(path: Path):
    """Links, and where its headings are."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    plain = re.sub(r"`[^`\n]*`", lambda m: m[0] if "](" in m[0] else "`code`", text)
    return LINK.findall(plain), {anchor(heading) for heading in HEADING.findall(text)}


class Site(HTMLParser):
    """Links, images and anchors of a page."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if "id" in attributes:
            self.anchors.add(attributes["id"])
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag == "img":
            self.links.append(attributes["src"])


class Documentation(HTMLParser):
    """A page of rustdoc: its prose without code blocks."""

    def __init__(self, path: Path):
        super().__init__()
        self.prose, self.depth, self.pre, self.code = "", 0, 0, 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        if tag == "div" and (self.depth or "docblock" in (dict(attrs).get("class") or "")):
            self.depth += 1
        self.pre += tag == "pre"
        self.code += tag == "code"

    def handle_endtag(self, tag):
        self.code -= tag == "code"
        self.pre -= tag == "pre"
        if tag == "div" and self.depth:
            self.depth -= 1

    def handle_data(self, data):
        if self.depth and not self.pre:
            # Brackets that are code, as in #[inline], are no link.
            self.prose += re.sub(r"[][]", "", data) if self.code else data


def look(path: Path, site: bool):
    if site:
        page = Site(path)
        return page.links, page.anchors
    return in_markdown(path)


def strays(folder: Path, linked: set[Path]) -> list[Path]:
    """Files of a site that are neither pages nor mdBook's nor linked, by name or by folder."""
    return [
        path for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in ASSETS and not MDBOOK.match(path.name)
        and not {path, path.parent} & linked
    ]


def unresolved(folder: Path) -> None:
    """Links that rustdoc could not resolve."""
    pages = sorted(folder.rglob("*.html"))
    left = 0
    for page in pages:
        for link in UNRESOLVED.findall(Documentation(page).prose):
            left += 1
            print(f"{page}: {link}: unresolved")
    print(f"{len(pages)} pages, {left} unresolved links")
    sys.exit(left > 0 or not pages)


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments:
        sys.exit(__doc__)
    if arguments[0] == "--rustdoc":
        unresolved(Path(arguments[1]))
    site = arguments[0] == "--site"
    pages = sorted(Path(arguments[1]).rglob("*.html")) if site else [Path(a) for a in arguments]
    if site:
        # Not the page that repeats all others, nor the page for a wrong address.
        pages = [page for page in pages if page.name not in ("print.html", "404.html", "toc.html")]
    broken = seen = 0
    linked = set()
    for page in pages:
        for link in look(page, site)[0]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            seen += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            linked.add(target)
            anchored = parts.fragment and target.suffix in (".md", ".html")
            if not target.exists():
                why = "no such file"
            elif anchored and parts.fragment not in look(target, target.suffix == ".html")[1]:
                why = "no such heading"
            else:
                continue
            broken += 1
            print(f"{page}: {link}: {why}")
    stray = strays(Path(arguments[1]).resolve(), linked) if site else []
    for path in stray:
        print(f"{path}: no page links it")
    print(f"{seen} links, {broken} broken" + f"; {len(stray)} stray files" * site)
    sys.exit(broken > 0 or bool(stray) or seen == 0)


main()
