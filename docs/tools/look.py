#!/usr/bin/env python3
"""Screenshots of each page of the built site, and its faults of layout: look.py SITE OUT

Each page is rendered by chromium, 1280 and 390 pixels wide, in the light and the dark theme, into
OUT/PAGE-WIDTH-THEME.png. A page fails if it is wider than its window, if an image does not load,
or if it lacks the theme's background. Prints "ok docs look-PAGE" or "FAIL docs look-PAGE why".
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

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


class Browser:
    """Chromium, driven by its DevTools protocol over a pair of pipes."""

    def __init__(self):
        (their_in, to), (back, their_out) = os.pipe(), os.pipe()

        def pipes():
            # Through numbers above both: one may be the other's place.
            low, high = os.dup2(their_in, 100), os.dup2(their_out, 101)
            os.dup2(low, 3)
            os.dup2(high, 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            + ["--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(their_in)
        os.close(their_out)
        self.to, self.back, self.number, self.rest = to, back, 0, b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        self.call("Page.enable")

    session = None

    def message(self):
        while b"\0" not in self.rest:
            data = os.read(self.back, 1 << 20)
            if not data:
                sys.exit("look.py: chromium has ended")
            self.rest += data
        text, _, self.rest = self.rest.partition(b"\0")
        return json.loads(text)

    def call(self, method, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.to, json.dumps(request).encode() + b"\0")
        while (answer := self.message()).get("id") != self.number:
            pass
        if "error" in answer:
            sys.exit(f"look.py: {method}: {answer['error']['message']}")
        return answer["result"]

    def evaluate(self, text):
        answer = self.call(
            "Runtime.evaluate", expression=text, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            sys.exit(f"look.py: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def look(self, page, width, theme, picture):
        """Shows a page, saves its picture, and returns its faults."""
        mobile = width < 600
        metrics = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": mobile}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": theme}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=page.resolve().as_uri())
        while self.message().get("method") != "Page.loadEventFired":
            pass
        self.evaluate("document.fonts.ready.then(() => 0)")
        faults = self.evaluate(FAULTS.replace("DARK", "true" if theme == "dark" else "false"))
        tall = self.evaluate("document.scrollingElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": min(tall, HEIGHT_MOST), "scale": 1}
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        picture.write_bytes(base64.b64decode(shot["data"]))
        return faults


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    site, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    # Not the page that repeats all others, the frame of the contents, the page for a wrong address.
    others = {"print.html", "toc.html", "404.html"}
    pages = [page for page in sorted(site.rglob("*.html")) if page.name not in others]
    failed, browser = not pages, Browser()
    for page in pages:
        name = str(page.relative_to(site).with_suffix("")).replace("/", "-")
        wrong = []
        for width in WIDTHS:
            for theme in ("light", "dark"):
                faults = browser.look(page, width, theme, out / f"{name}-{width}-{theme}.png")
                wrong += [f"{width} {theme}: {fault}" for fault in faults]
        failed |= bool(wrong)
        print(f"FAIL docs look-{name} {'; '.join(wrong)}" if wrong else f"ok docs look-{name}")
    browser.call("Browser.close") if browser.session is None else browser.process.terminate()
    sys.exit(failed)


main()
