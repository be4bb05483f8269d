#!/usr/bin/env python3
"""Screenshots of each page of the built site, and its faults of layout: look.py SITE OUT

Each page is rendered by chromium, 1280 and 390 pixels wide, in the light and the dark theme, into
OUT/PAGE-WIDTH-THEME.png. A page fails if it is wider than its window, if an image does not load,
or if it lacks the theme's background. Prints "ok docs look-PAGE" or "FAIL docs look-PAGE why".
"""

import sys
import tempfile
from pathlib import Path

from browser import Browser

WIDTHS = (1280, 390)
HEIGHT = 800
# No page needs more: a longer one is cut.
HEIGHT_MOST = 12_000
# Evaluated in the page.
FAULTS = """(() => {
    const root = document.scrollingElement, faults = [];
    if (root.scrollWidth > root.clientWidth || root.scrollWidth > innerWidth) {
        const wide = [...document.querySelectorAll(".content *")].filter((element) =>
            element.getBoundingClientRect().right > root.clientWidth + 1 &&
            !element.closest("pre, .table-wrapper"));
        faults.push(`${root.scrollWidth} pixels wide: ${wide.length ? wide[0].outerHTML : "?"}`);
    }
    for (const image of document.images) {
        if (!image.complete || image.naturalWidth === 0) faults.push(`no image ${image.src}`);
    }
    const colours = getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g);
    const sum = colours.slice(0, 3).reduce((all, part) => all + Number(part), 0);
    if (sum < 3 * 128 !== DARK) faults.push(`background ${colours}`);
    return faults.map((text) => text.slice(0, 200));
})()"""


def look(browser, page, width, theme, picture):
    """Shows a page, saves its picture, and returns its faults."""
    browser.window(width, HEIGHT, dark=theme == "dark")
    browser.navigate(page)
    browser.value("document.fonts.ready.then(() => 0)")
    faults = browser.value(FAULTS.replace("DARK", "true" if theme == "dark" else "false"))
    tall = browser.value("document.scrollingElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": width, "height": min(tall, HEIGHT_MOST)}
    browser.picture(picture, clip)
    return faults


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    site, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    # Not the page that repeats all others, the frame of the contents, the page for a wrong address.
    others = {"print.html", "toc.html", "404.html"}
    pages = [page for page in sorted(site.rglob("*.html")) if page.name not in others]
    failed = not pages
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        for page in pages:
            name = str(page.relative_to(site).with_suffix("")).replace("/", "-")
            wrong = []
            for width in WIDTHS:
                for theme in ("light", "dark"):
                    faults = look(browser, page, width, theme, out / f"{name}-{width}-{theme}.png")
                    wrong += [f"{width} {theme}: {fault}" for fault in faults]
            failed |= bool(wrong)
            print(f"FAIL docs look-{name} {'; '.join(wrong)}" if wrong else f"ok docs look-{name}")
        browser.process.terminate()
        browser.process.wait()
    sys.exit(failed)


main()
