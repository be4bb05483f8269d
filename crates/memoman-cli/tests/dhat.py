#!/usr/bin/env python3
"""Opens an export for DHAT in valgrind's viewer, in headless Chromium: dhat.py JSON

The viewer shows the totals and the functions that the file holds, and no error. Needs chromium and
Debian's valgrind.
"""

import html
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# The viewer reads a file that its user has chosen: here it gets the text.
SCRIPT = """
<script>
class Given { readAsText() { this.onload({target: {result: %s}}); } }
window.FileReader = Given;
window.addEventListener("load", () => setTimeout(() => {
    Object.defineProperty(gInput, "files", {value: [{name: "dhat.json"}]});
    loadFile();
    document.querySelectorAll("script").forEach((one) => one.remove());
}, 0));
</script>
"""


def viewer():
    for folder in map(pathlib.Path, ["/usr/libexec/valgrind", "/usr/lib/valgrind"]):
        if (folder / "dh_view.html").exists():
            return folder
    sys.exit("check_dhat: dh_view.html is missing: apt-get install valgrind")


def shown(text):
    """What the viewer shows of a file."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("check_dhat: chromium is missing: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="memoman-dhat-") as name:
        folder = pathlib.Path(name)
        for file in viewer().glob("dh_view.*"):
            shutil.copy(file, folder)
        page = folder / "dh_view.html"
        script = SCRIPT % json.dumps(text).replace("</", "<\\/")
        page.write_text(page.read_text().replace("</head>", script + "</head>"))
        command = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            f"--user-data-dir={folder}/profile", "--allow-file-access-from-files",
            "--virtual-time-budget=20000", "--dump-dom", page.as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return html.unescape(re.sub("<[^>]*>", " ", done.stdout))


def main():
    text = pathlib.Path(sys.argv[1]).read_text()
    data = json.loads(text)
    page = shown(text)
    squeezed = re.sub(r"\s+", " ", page)
    points = data["pps"]
    bytes_, blocks = sum(one["tb"] for one in points), sum(one["tbk"] for one in points)
    wanted = f"Total: {bytes_:,} bytes"
    if wanted not in squeezed or f"in {blocks:,} blocks" not in squeezed:
        sys.exit(f"check_dhat: the viewer does not show {wanted!r}: {squeezed[-600:]}")
    largest = max(points, key=lambda one: one["tb"])
    frame = data["ftbl"][largest["fs"][0]]
    name = frame.split(": ", 1)[-1].split(" (", 1)[0]
    if name not in squeezed:
        sys.exit(f"check_dhat: the viewer does not show {name}")
    print(f"{wanted} in {blocks:,} blocks, {len(points)} places")


if __name__ == "__main__":
    main()
