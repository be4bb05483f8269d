#!/usr/bin/env python3
"""Opens a page of `memoman report` in headless Chromium and uses it: one result line a fact.

    crates/memoman-cli/tests/page.py PAGE [FOLDER]

With FOLDER: also takes pictures of it there. Prints "ok report FACT" or "FAIL report FACT why".

The page is ready within 5 s, moves its slider, shows a tip, zooms, changes colours, and writes no
error to the console; nothing is fetched. Needs chromium.
"""

import pathlib
import sys
import tempfile
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "docs/tools"))
from browser import Browser, problems

READY = 5.0  # seconds, from the start of loading


failures = 0


def check(name, holds, found=""):
    global failures
    failures += not holds
    print(f"ok   report {name}" if holds else f"FAIL report {name} {found}", flush=True)


# A hash of what a canvas shows.
SHOWN = """(id => { const c = document.getElementById(id);
const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
let h = 0;
for (let i = 0; i < d.length; i += 4) h = (h * 31 + d[i] * 3 + d[i + 1] * 5 + d[i + 2]) | 0;
return h; })"""
PLACE = """(id => { const c = document.getElementById(id); c.scrollIntoView({block: 'center'});
const b = c.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })"""


def use(browser):
    started = time.monotonic()
    while not browser.value("document.body && document.body.dataset.ready"):
        if time.monotonic() - started > 60:
            break
        time.sleep(0.05)
    seconds = time.monotonic() - started
    check("ready-within-5-s", seconds < READY, f"{seconds:.1f} s")
    print(f"     ready after {seconds:.1f} s", flush=True)

    shown = lambda name: browser.value(f"{SHOWN}('{name}')")
    text = lambda name: browser.value(f"document.getElementById('{name}').textContent")
    before = shown("map"), shown("cells"), text("moment")
    pixels = browser.value(
        "new Set(map.getContext('2d').getImageData(0, 0, map.width, map.height).data).size"
    )
    check("the-map-shows-something", pixels > 8, str(pixels))
    browser.value(
        "slider.value = Math.floor(slider.max / 5); slider.dispatchEvent(new Event('input'))"
    )
    check("the-slider-moves-the-heap", shown("cells") != before[1], before[1])
    check("the-slider-moves-the-text", text("moment") != before[2], before[2])

    x, y, width, height = browser.value(f"{PLACE}('map')")
    browser.mouse("mouseMoved", x + width / 2, y + height * 0.8)
    found = text("tip")
    check("the-map-has-a-tip", "0x" in found and not browser.value("tip.hidden"), found)
    browser.mouse("mousePressed", x + width * 0.3, y + height * 0.5)
    browser.mouse("mouseReleased", x + width * 0.3, y + height * 0.5)
    at = browser.value("slice / T")
    check("a-click-moves-the-slider", abs(at - 0.3) < 0.02, str(at))
    browser.mouse("mousePressed", x + width * 0.2, y + height * 0.3)
    browser.mouse("mouseMoved", x + width * 0.5, y + height * 0.7)
    browser.mouse("mouseReleased", x + width * 0.5, y + height * 0.7)
    check("a-rectangle-zooms", shown("map") != before[0] and browser.value("view.t1 < T"))
    browser.value("document.getElementById('whole').click()")
    check("whole-shows-all-again", shown("map") == before[0])
    for colour in browser.value("[...document.getElementById('colour').options].map(o => o.value)"):
        browser.value(
            f"colour.value = '{colour}'; colour.dispatchEvent(new Event('change'))"
        )
        same = shown("map") == before[0]
        check(f"colour-by-{colour}", same == (colour == "age"))
    browser.value(
        "colour.value = 'age'; colour.dispatchEvent(new Event('change'))"
    )
    x, y, width, height = browser.value(f"{PLACE}('memory')")
    browser.mouse("mouseMoved", x + width / 2, y + height / 2)
    check("the-curve-has-a-tip", "live at most" in text("tip"), text("tip"))
    if browser.value("D.sites.length > 0"):
        x, y, width, height = browser.value(f"{PLACE}('flame')")
        browser.mouse("mouseMoved", x + 3, y + 28)
        check("the-flame-graph-has-a-tip", "%" in text("tip"), text("tip"))
        browser.value("document.querySelectorAll('#sites th')[3].click()")
        sorted_ = browser.value(
            "[...D.sites].every((s, i, a) => !i || a[i - 1].blocks >= s.blocks)"
        )
        check("the-table-sorts", sorted_ is True, str(sorted_))
    wide = browser.value("document.documentElement.scrollWidth - innerWidth")
    check("no-scrolling-sideways", wide <= 0, str(wide))


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    page = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        browser.window(1100, 900, dark=False)
        browser.call("Page.navigate", url=page.as_uri())
        use(browser)
        browser.window(390, 844, dark=True)
        time.sleep(0.5)
        wide = browser.value("document.documentElement.scrollWidth - innerWidth")
        check("a-phone-does-not-scroll-sideways", wide <= 0, str(wide))
        found = problems(browser)
        check("no-error-and-nothing-fetched", not found, "; ".join(found)[:500])
        if len(sys.argv) == 3:
            folder = pathlib.Path(sys.argv[2])
            folder.mkdir(parents=True, exist_ok=True)
            looks = ("light", 1100, False), ("dark", 1100, True), ("phone", 390, False)
            for name, width, dark in looks:
                browser.window(width, 900, dark)
                browser.value("scrollTo(0, 0); tip.hidden = true; goTo(T * 0.55)")
                time.sleep(0.6)
                size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
                clip = {"x": 0, "y": 0, "width": width, "height": size["height"]}
                browser.picture(folder / f"{name}.png", clip)
        browser.process.terminate()
        browser.process.wait()
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
