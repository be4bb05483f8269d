#!/usr/bin/env python3
"""Checks the links of Markdown files, or of a built site: links.py FILE.md... | links.py --site FOLDER

A link to a file or folder of the project must lead to one that is there, and its anchor to a heading. Addresses of other
sites are not fetched. Prints the broken ones and how many there were; ends with 1 if one is broken or none was found.
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

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
    """Links and anchors of a page."""

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


def look(path: Path, site: bool):
    if site:
        page = Site(path)
        return page.links, page.anchors
    return in_markdown(path)


def main() -> None:
    arguments = sys.argv[1:]
    if not arguments:
        sys.exit(__doc__)
    site = arguments[0] == "--site"
    pages = sorted(Path(arguments[1]).rglob("*.html")) if site else [Path(a) for a in arguments]
    if site:
        # One page with everything, whose links are those of the others; and the page for what is not found.
        pages = [page for page in pages if page.name not in ("print.html", "404.html", "toc.html")]
    broken = seen = 0
    for page in pages:
        for link in look(page, site)[0]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            seen += 1
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            if not target.exists():
                why = "no such file"
            elif parts.fragment and target.suffix in (".md", ".html") and parts.fragment not in look(target, target.suffix == ".html")[1]:
                why = "no such heading"
            else:
                continue
            broken += 1
            print(f"{page}: {link}: {why}")
    print(f"{seen} links, {broken} broken")
    sys.exit(broken > 0 or seen == 0)


main()
