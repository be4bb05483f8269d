#!/usr/bin/env python3
"""Compiles and runs the code blocks of Markdown files: blocks.py ROOT DIST PAGE.md...

```c, ```cpp  a program: compiled with all warnings against the library in DIST, and run; it must
              end with 0. Without main it must compile. A comment in its first line may name its
              file, else it is hello.c or hello.cpp.
```rust       run, in a crate that depends on memoman-core and memoman-global; with ",no_run" only
              compiled, with ",ignore" neither: a firmware, which scripts/rust-crates.sh runs.
```python     run.
```sh         run as one script in a folder that holds ROOT's folders and the page's files; it is
              also HOME. `make TARGET` only proves that the target exists, except for `make install`
              below that folder.
```make, toml, cmake, text, console and others are shown, not run.

One line a block: "ok docs PAGE:LINE", "FAIL docs PAGE:LINE why", or "skip docs PAGE:LINE why" where
a tool is missing.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r"^(?:/\*|//|#) (\S+\.\w+)")
COMPILERS = {
    "c": ["gcc", "-std=c11"],
    "cpp": ["g++", "-std=c++17"],
}
# A block that needs one of these is skipped, and reported so, where it is missing.
OPTIONAL_TOOLS = ("arm-none-eabi-gcc",)


class Page:
    """One Markdown file, whose blocks share a folder: a program is built by a later block."""

    def __init__(self, path: Path, root: Path, dist: Path, folder: Path):
        self.path, self.root, self.dist, self.folder = path, root, dist, folder
        self.text = path.read_text(encoding="utf-8")
        for name in ("include", "examples", "crates", "docs", "scripts"):
            (folder / name).symlink_to(root / name)
        (folder / "dist").symlink_to(dist)
        tools = folder / ".tools"
        tools.mkdir()
        make = tools / "make"
        # `make install` below this folder runs; of other targets only the existence is proved.
        make.write_text(
            f'#!/bin/sh\ncase "$*" in "install PREFIX={folder}/"*) only= ;; *) only=-n ;; esac\n'
            f'exec {shutil.which("make")} --no-print-directory $only -C {root} "$@" >/dev/null\n'
        )
        make.chmod(0o755)
        self.environment = dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}")
        self.environment.pop("MAKEFLAGS", None)

    def run(self, command: list[str], **environment: str) -> None:
        """Runs a command in the page's folder; a failure is an exception that says how."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment | environment, timeout=300,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        if done.returncode != 0:
            output = done.stdout.decode(errors="replace")[-2000:]
            raise RuntimeError(f"status {done.returncode}: {output}")

    def program(self, language: str, code: str) -> None:
        named = FILE_NAME.match(code)
        source = self.folder / (named[1] if named else f"hello.{language}")
        source.write_text(code, encoding="utf-8")
        include = self.dist / "include"
        command = [*COMPILERS[language], "-Wall", "-Wextra", "-Werror"]
        command += ["-I", str(include), "-I", str(include / "memoman"), source.name]
        if re.search(r"\bint main\(", code):
            output = source.stem + ".check"
            self.run(command + [str(self.dist / "libmemoman.a"), "-lpthread", "-o", output])
            self.run([f"./{output}"])
        else:
            self.run(command + ["-c", "-o", source.stem + ".o"])

    def check(self, language: str, code: str) -> None:
        if language in COMPILERS:
            self.program(language, code)
        elif language == "python":
            self.run(["python3", "-c", code])
        elif language == "sh":
            self.run(["bash", "-euo", "pipefail", "-c", code], HOME=str(self.folder))


def rust(page: Page, line: int, code: str, verb: str) -> None:
    """One block as a program of a crate that depends on ours by path."""
    crate = page.folder / "rust"
    if not crate.exists():
        (crate / "src/bin").mkdir(parents=True)
        crates = page.root / "crates"
        (crate / "Cargo.toml").write_text(
            '[package]\nname = "blocks"\nedition = "2024"\n\n'
            '[dependencies]\nallocator-api2 = "*"\n'
            'critical-section = { version = "1", features = ["std"] }\n'
            'hashbrown = "0.17"\n'
            f'memoman-core = {{ path = "{crates}/memoman-core", features = '
            '["allocator-api2", "allocator-api2-02", "critical-section"] }\n'
            f'memoman-global = {{ path = "{crates}/memoman-global" }}\n',
            encoding="utf-8",
        )
        # The versions of the workspace.
        shutil.copy(page.root / "Cargo.lock", crate)
    name = f"block{line}"
    (crate / "src/bin" / f"{name}.rs").write_text(code, encoding="utf-8")
    target = Path(os.environ.get("CARGO_TARGET_DIR", page.root / "target")) / "docs-blocks"
    page.run(
        ["cargo", verb, "--quiet", "--manifest-path", str(crate / "Cargo.toml")]
        + ["--target-dir", str(target), "--bin", name]
    )


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    root, dist = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    failed = 0
    for name in sys.argv[3:]:
        path = Path(name).resolve()
        with tempfile.TemporaryDirectory() as folder:
            page = Page(path, root, dist, Path(folder))
            for block in BLOCK.finditer(page.text):
                language, code = block[1], block[2]
                if language == "rust,ignore":
                    continue
                line = page.text.count("\n", 0, block.start()) + 1
                where = f"docs {path.relative_to(root)}:{line}"
                needed = [tool for tool in OPTIONAL_TOOLS if tool in code]
                missing = [tool for tool in needed if shutil.which(tool) is None]
                if missing:
                    print(f"skip {where} {missing[0]} is not installed")
                    continue
                if language not in (*COMPILERS, "rust", "rust,no_run", "python", "sh"):
                    if re.match(r"(c|cpp|rust|sh|bash|python)\b", language):
                        print(f"FAIL {where} ```{language} would not be checked")
                        failed += 1
                    continue
                try:
                    if language.startswith("rust"):
                        rust(page, line, code, "check" if "no_run" in language else "run")
                    else:
                        page.check(language, code)
                    print(f"ok   {where}")
                except (RuntimeError, subprocess.SubprocessError) as error:
                    print(f"FAIL {where} {language}")
                    print("       " + str(error).replace("\n", "\n       "))
                    failed += 1
    sys.exit(failed > 0)


main()
