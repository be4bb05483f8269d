#!/usr/bin/env python3
"""Opens the site's page "Play with a heap" in headless Chromium and uses it.

    docs/tools/play.py PAGE [FOLDER]     with FOLDER: also takes pictures of it there

The buttons, the script and the keyboard change heap and drawing, misuse is shown and leaves the
page working, nothing is fetched, and no error is written to the console: one result line a fact.
Needs chromium.
"""

import pathlib
import sys
import tempfile
import time

from browser import Browser, problems

SMALL = 64 * 1024  # most bytes of WebAssembly

failures = 0


def check(name, holds, found=""):
    global failures
    failures += not holds
    print(f"ok   docs play-{name}" if holds else f"FAIL docs play-{name} {found}", flush=True)


# Each free block of the dump is in the bin that the page computes for its size, each bin's least
# size is the page's, and each bin of the dump is drawn lit with its number of blocks.
BINS_AGREE = """(() => { const { state } = Play.page.session, wrong = [];
for (const b of state.blocks)
    if (b.state === 'free' && b.bin !== 0 && b.bin !== Play.bins.of(b.size))
        wrong.push(`${b.size} bytes in bin ${b.bin}`);
for (const b of state.bins.values()) {
    if (b.bin !== 0 && b.least !== Play.bins.least(b.bin)) wrong.push(`bin ${b.bin}: ${b.least}`);
    const cell = document.querySelector(`[data-bin="${b.bin}"].bin`);
    if (!cell.matches('.lit') || cell.textContent !== String(b.blocks)) wrong.push(`cell ${b.bin}`);
}
if (document.querySelectorAll('.bin.lit').length !== state.bins.size) wrong.push('lit cells');
return wrong.join('; '); })()"""


class Page:
    def __init__(self, browser):
        self.browser = browser
        self.value = browser.value

    def said(self):
        return self.value("document.querySelector('[data-part=said]').innerText") or ""

    def badge(self):
        return self.value("document.querySelector('.badge').textContent")

    def drawn(self):
        return self.value("document.querySelector('[data-part=map]').innerHTML")

    def counters(self):
        return self.value("Play.page.session.state.counters")

    def click(self, selector):
        """A click where a finger would touch: nothing else may lie above."""
        x, y = self.value(f"""(() => {{ const e = document.querySelector(`{selector}`);
            e.scrollIntoView({{ block: 'center' }}); const b = e.getBoundingClientRect();
            return [b.left + b.width / 2, b.top + b.height / 2]; }})()""")
        self.browser.mouse("mousePressed", x, y)
        self.browser.mouse("mouseReleased", x, y)

    def key(self, key, text=""):
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    def script(self, text):
        """Runs a script to its end."""
        self.value(f"""(() => {{ const box = document.querySelector('[data-part=script]');
            box.value = {text!r}; box.dispatchEvent(new Event('input'));
            Play.page.quick = true; }})()""")
        self.click("[data-do=run]")
        self.idle()

    def idle(self):
        for _ in range(400):
            if not self.value("Play.page.timer"):
                return
            time.sleep(0.02)


def use(page):
    value, click = page.value, page.click
    started = time.monotonic()
    while not value("document.getElementById('play')?.dataset.ready"):
        if time.monotonic() - started > 20:
            break
        time.sleep(0.05)
    seconds = time.monotonic() - started
    check("is-ready", seconds < 20 and "sound" in page.badge(), f"after {seconds:.1f} s")
    size = value("Play.wasm.length * 3 / 4")
    check("is-small", 10_000 < size < SMALL, str(size))
    print(f"     {size:,.0f} bytes of WebAssembly, ready after {seconds:.1f} s", flush=True)
    check("bins-agree-with-the-dump", value(BINS_AGREE) == "", value(BINS_AGREE))

    click("[data-do=clear]")
    check("an-empty-heap", page.counters()["live_blocks"] == 0, str(page.counters()))
    before = page.drawn()
    click("form[data-call=malloc] button")
    check("malloc", "3,008 bytes" in page.said() and "split" in page.said(), page.said())
    check("the-drawing-changes", page.drawn() != before)
    click("form[data-call=memalign] button")
    aligned = value("Play.page.last.result % 512")
    check("memalign", aligned == 0 and "gap" in page.said(), page.said())
    value("document.querySelector('form[data-call=realloc] [name=block]').value = 'a'")
    click("form[data-call=realloc] button")
    check("realloc", "moves" in page.said(), page.said())
    value("document.querySelector('form[data-call=free] [name=block]').value = 'b'")
    click("form[data-call=free] button")
    check("free-merges", "merge at once" in page.said(), page.said())
    check("each-step-is-validated", page.badge() == "mm_validate: sound", page.badge())
    used = page.counters()["used"]
    click("[data-do=undo]")
    check("undo", page.counters()["used"] > used, str(page.counters()))

    for how, messages, sound in (
        ("twice", ["double free"], True),
        ("past", ["header of the next block overwritten"], False),
        ("after", ["free-list link overwritten", "header of the"], False),
        ("inside", ["not a live block"], True),
        ("foreign", ["pointer outside every pool"], True),
    ):
        click("[data-do=clear]")
        page.script("a = malloc(2000)\nb = malloc(2000)\nc = malloc(64)")
        value("Play.page.select(Play.page.session.names.get('a').at)")
        click(f"[data-how={how}]")
        page.idle()
        said, badge = page.said(), page.badge()
        shown = any(f"memoman: {message}" in said for message in messages)
        as_expected = shown and (badge == "mm_validate: sound") == sound
        check(f"misuse-{how}", as_expected, f"{said} {badge}")
        for _ in range(3 if not sound else 0):
            click("[data-do=undo]")
        check(f"misuse-{how}-is-over", "sound" in page.badge(), page.badge())

    click("[data-do=clear]")
    page.script("random(400)")
    check("400-random-steps", page.counters()["live_blocks"] > 10 and "sound" in page.badge(),
          str(page.counters()))  # fmt: skip
    check("bins-agree-after-them", value(BINS_AGREE) == "", value(BINS_AGREE))
    names = value("Object.keys(Play.scripts)")
    for name in names:
        click("[data-do=clear]")
        value(f"""(() => {{ const list = document.querySelector('[data-part=scripts]');
            list.value = {name!r}; list.dispatchEvent(new Event('change')); }})()""")
        click("[data-do=run]")
        page.idle()
        left = value("Play.page.commands?.length")
        check(f"script-{name.replace(' ', '-')}", left == 0, f"{left} {page.said()}")
    click("[data-do=clear]")
    for text, message in (
        ("a = malloc(10", "sound"), ("x = free(a)", "gives no pointer"),
        ("free(zz)", "no block has"),
        ("grow(a)", "is no command"), ("a = malloc(-1)", "a whole number"), ("malloc(4)", "a name"),
        ("a = memalign(8)", "memalign(alignment, bytes)"),
    ):  # fmt: skip
        page.script(text)
        check(f"script-says-{message.replace(' ', '-')}", message in page.said(), page.said())
    page.script("a = malloc(4000000000)\nb = memalign(3, 100)\nc = malloc(0)\nd = malloc(64200)")
    check("refusals", page.said().count("NULL") == 1 and "sound" in page.badge(), page.said())

    click("[data-do=reset]")
    value("document.querySelector('[data-part=array]').focus()")
    page.key("Home")
    first = value("Play.page.selected")
    page.key("ArrowRight")
    moved = value("Play.page.selected")
    active = value(
        "document.querySelector('[data-part=array]').getAttribute('aria-activedescendant')"
    )
    check("arrow-keys-choose-a-block", 0 < first < moved and active == f"block-{moved}", active)
    where = value("location.href")
    blocks = page.counters()["live_blocks"]
    page.key("Home")
    for _ in range(40):
        if value("Play.page.session.nameOf(Play.page.selected) && document.querySelector("
                 "`#block-${Play.page.selected}.used`") is not None:  # fmt: skip
            break
        page.key("ArrowRight")
    page.key("Delete")
    check("delete-frees-it", page.counters()["live_blocks"] == blocks - 1, page.said())
    check("the-page-stays", value("location.href") == where)
    value("document.querySelector('form[data-call=malloc] input').focus()")
    page.key("Enter", "\r")
    check("enter-calls", "malloc(3000)" in page.said(), page.said())
    wide = value("document.documentElement.scrollWidth - innerWidth")
    check("no-scrolling-sideways", wide <= 0, str(wide))


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    address = pathlib.Path(sys.argv[1]).resolve().as_uri()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        browser.window(1280, 900, dark=False)
        browser.call("Page.navigate", url=address)
        page = Page(browser)
        use(page)
        browser.window(390, 844, dark=True)
        time.sleep(0.5)
        wide = browser.value("document.documentElement.scrollWidth - innerWidth")
        check("a-phone-does-not-scroll-sideways", wide <= 0, str(wide))
        page.click("[data-do=clear]")
        page.click("form[data-call=malloc] button")
        check("a-phone-allocates", "3,008 bytes" in page.said(), page.said())
        found = problems(browser)
        check("no-error-and-nothing-fetched", not found, "; ".join(found)[:500])
        if len(sys.argv) == 3:
            pictures(browser, page, address, pathlib.Path(sys.argv[2]))
        browser.process.terminate()
        browser.process.wait()
    return failures > 0


def pictures(browser, page, address, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for width, dark in ((1280, False), (1280, True), (390, False), (390, True)):
        browser.window(width, 900, dark)
        browser.call("Page.navigate", url=address + f"?{width}{dark}")
        time.sleep(1.5)
        scenes = {"begin": "0", "free": "Play.page.step(Play.parse('free(c)', ['c']).commands[0])",
                  "broken": "document.querySelector('[data-how=past]').click()"}  # fmt: skip
        for name, what in scenes.items():
            browser.value(f"(() => {{ {what}; scrollTo(0, 0); }})()")
            time.sleep(1.6)
            size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": width, "height": size["height"]}
            look = "dark" if dark else "light"
            browser.picture(folder / f"play-{name}-{width}-{look}.png", clip)


if __name__ == "__main__":
    sys.exit(main())
