#!/usr/bin/env bash
# A release archive for microcontrollers: scripts/firmware-archives.sh
#
# target/firmware/memoman-VERSION-firmware.tar.gz holds the headers, a libmemoman.a for each target,
# the heaps for other systems (rtos/), README.md, SIZES, SHA256SUMS and SBOM.spdx.json. Unpacked, it
# is a Zephyr module, a component of ESP-IDF, and a library of PlatformIO and of the Arduino IDE.
# The same bytes from build to build.
# scripts/setup.sh firmware-archives installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
PROGRESS=8
group=firmware
cd "$root"
scripts/setup.sh --check firmware-archives || exit 1
version=$(memoman_version)
stem=memoman-$version-firmware
out=$target/firmware/$stem
targets=(thumbv6m thumbv7m thumbv7em-hf thumbv8m.main-hf riscv32imac riscv32imc)

one() {
    mkdir -p "$out/$1" && cp "$work/$1/libmemoman.a" "$out/$1/" && cp -r "$work/$1/include" "$out/"
}

# The manifests of packaging/firmware, and what they name.
modules() {
    local file one
    cp -r packaging/firmware/. "$out/" &&
        mkdir -p "$out"/rtos/{freertos,zephyr,nuttx,esp-idf,libc} &&
        cp examples/freertos/heap_memoman.c "$out/rtos/freertos/" &&
        cp examples/zephyr/memoman_heap.[ch] "$out/rtos/zephyr/" &&
        cp examples/nuttx/{mm_memoman.c,names} "$out/rtos/nuttx/" &&
        cp examples/esp-idf/multi_heap_memoman.c "$out/rtos/esp-idf/" &&
        cp examples/libc/malloc_memoman.c "$out/rtos/libc/" || return 1
    for file in "$out"/*.in; do
        sed "s/@VERSION@/$version/" "$file" >"${file%.in}" && rm "$file" || return 1
    done
    # Where the Arduino IDE looks: the processor, and its floating-point unit if that is in use.
    # Hard links, which a tar file holds once.
    while read -r one file; do
        mkdir -p "$out/src/$file" && ln "$out/$one/libmemoman.a" "$out/src/$file/" || return 1
    done <<'FOLDERS'
thumbv6m cortex-m0
thumbv6m cortex-m0plus
thumbv7m cortex-m3
thumbv7m cortex-m4
thumbv7m cortex-m7
thumbv7em-hf cortex-m4/fpv4-sp-d16-hard
thumbv7em-hf cortex-m7/fpv5-d16-hard
thumbv6m cortex-m23
thumbv7m cortex-m33
thumbv8m.main-hf cortex-m33/fpv5-sp-d16-hard
riscv32imc esp32c2
riscv32imc esp32c3
riscv32imac esp32c5
riscv32imac esp32c6
riscv32imac esp32c61
riscv32imac esp32h2
FOLDERS
    ln "$out"/include/memoman.{h,hpp} "$out/src/"
}

# Bytes of code and constants if a firmware called everything.
sizes() {
    local one tools
    printf '%-18s %8s %8s %8s\n' target code data bss
    for one in "${targets[@]}"; do
        target_settings "$one"
        tools=$bare
        "${tools}size" "$out/$one/libmemoman.a" |
            awk -v one="$one" 'NR > 1 { t += $1; d += $2; b += $3 }
                END { printf "%-18s %8d %8d %8d\n", one, t, d, b }'
    done
}

# SPDX 2.3: the packages whose code the archives hold.
sbom() {
    VERSION=$version NAME=$stem python3 - "$out" <<'SBOM'
import hashlib
import json
import os
import pathlib
import subprocess
import sys

out, version, name = pathlib.Path(sys.argv[1]), os.environ["VERSION"], os.environ["NAME"]
rustc = subprocess.run(["/usr/bin/rustc", "-V"], capture_output=True, text=True).stdout.split()[1]


def package(identifier, package_name, package_version, licence):
    return {
        "SPDXID": f"SPDXRef-{identifier}",
        "name": package_name,
        "versionInfo": package_version,
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
    }


files = [
    {
        "SPDXID": f"SPDXRef-File-{number}",
        "fileName": f"./{path.relative_to(out)}",
        "checksums": [
            {"algorithm": kind, "checksumValue": hashlib.new(kind, path.read_bytes()).hexdigest()}
            for kind in ("SHA1", "SHA256")
        ],
        "licenseConcluded": "MIT OR Apache-2.0",
        "copyrightText": "NOASSERTION",
    }
    for number, path in enumerate(sorted([*out.rglob("*.[ach]"), *out.rglob("*.hpp")]))
]
free = "MIT OR Apache-2.0"
packages = [
    package("memoman", "memoman", version, free),
    package("memoman-core", "memoman-core", version, free),
    package("core", "rust-core", rustc, free),
    package("builtins", "rust-compiler-builtins", rustc, "MIT AND Apache-2.0 WITH LLVM-exception"),
]
relations = [("DOCUMENT", "DESCRIBES", "memoman")]
relations += [("memoman", "CONTAINS", one["SPDXID"][8:]) for one in packages[1:] + files]
json.dump(
    {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": f"https://memoman.invalid/spdx/{name}",
        "creationInfo": {
            "created": "1980-01-01T00:00:00Z",
            "creators": ["Tool: scripts/firmware-archives.sh"],
        },
        "packages": packages,
        "files": files,
        "relationships": [
            {
                "spdxElementId": f"SPDXRef-{one}",
                "relationshipType": kind,
                "relatedSpdxElement": f"SPDXRef-{other}",
            }
            for one, kind, other in relations
        ],
    },
    (out / "SBOM.spdx.json").open("w"),
    indent=1,
)
SBOM
}

pack() {
    (cd "$out" && find . -type f ! -name SHA256SUMS | sort | xargs sha256sum >"$work/sums" &&
        cp "$work/sums" SHA256SUMS) &&
        tar -C "$target/firmware" --sort=name --mtime=@315532800 --owner=0 --group=0 \
            --numeric-owner -cf "$work/archive.tar" "$stem" &&
        gzip -9n <"$work/archive.tar" >"$target/firmware/$stem.tar.gz"
}

# The page's path: unpack, check the sums, link the page's program with its command. That needs
# newlib, which scripts/setup.sh check-embedded installs; without it, a program of its own.
unpacks_and_links() {
    local page=$root/docs/book/embedded.md
    mkdir -p "$work/user" && cd "$work/user" && tar xzf "$target/firmware/$stem.tar.gz" &&
        cd "$stem" && sha256sum --quiet -c SHA256SUMS || return 1
    if [ -e "$(arm-none-eabi-gcc -print-file-name=nosys.specs)" ]; then
        sed -n '\,^/\* heap.c \*/,,/^```/{/^```/!p}' "$page" >firmware.c
        echo 'int main(void) { return heap_init(); }' >>firmware.c
        sed -n '/^\$ arm-none-eabi-gcc -mcpu=cortex-m0 /,/^```/{/^```/!{s/^\$ //;p}}' "$page" >link
        cat link && bash -e link
    else
        printf '#include <memoman.h>\nstatic size_t ram[1024];\nint _start(void);\n%s\n' \
            'int _start(void) { return mm_malloc(mm_create_with_pool(ram, 4096), 8) == NULL; }' \
            >firmware.c
        arm-none-eabi-gcc -mcpu=cortex-m0 -mthumb -Os -nostdlib -Iinclude firmware.c \
            thumbv6m/libmemoman.a -lgcc -Wl,--gc-sections -o firmware.elf
    fi
}

link_command() { sed -n '/^\$ arm-none-eabi-gcc -mcpu=cortex-m0 /,/^```/p' "$1"; }
# The README has the page's command, and names each target's folder.
readme() {
    local one
    diff <(link_command docs/book/embedded.md) <(link_command "$out/README.md") || return 1
    for one in "${targets[@]}"; do
        grep -qF "\`$one\`" "$out/README.md" || { echo "$one is not named"; return 1; }
    done
}

# What the manifests say is there, and of this version.
manifests() {
    cd "$work/user/$stem" && python3 - "$version" <<'MANIFESTS'
import json
import pathlib
import re
import sys

version = sys.argv[1]
library = json.loads(pathlib.Path("library.json").read_text())
properties = dict(
    line.split("=", 1) for line in pathlib.Path("library.properties").read_text().splitlines()
)
component = pathlib.Path("idf_component.yml").read_text()
assert library["version"] == properties["version"] == version
assert f'version: "{version}"' in component
assert pathlib.Path(library["build"]["extraScript"]).is_file()
assert pathlib.Path(library["build"]["includeDir"], library["headers"]).is_file()
assert pathlib.Path("src", properties["includes"]).is_file()
needed = "name version author maintainer sentence paragraph category url architectures".split()
assert all(properties[key] for key in needed)
for sources in ("CMakeLists.txt", "zephyr/CMakeLists.txt"):
    for path in re.findall(r"rtos/[\w./-]+\.c\b", pathlib.Path(sources).read_text()):
        assert pathlib.Path(path).is_file(), path
module = pathlib.Path("zephyr/module.yml").read_text()
for path in re.findall(r"(?:cmake|kconfig): (\S+)", module):
    assert pathlib.Path(path).exists(), path
for archive in pathlib.Path("src").rglob("libmemoman.a"):
    assert archive.stat().st_size > 10_000, archive
MANIFESTS
}

rm -rf "$out"
mkdir -p "$out"
check libraries build_libraries "$work" "${targets[@]}"
for one in "${targets[@]}"; do check "$one" one "$one"; done
sizes >"$out/SIZES"
indented <"$out/SIZES"
cp LICENSE-MIT LICENSE-APACHE "$out/"
check modules modules
check sbom sbom
check archive pack
check unpacks-and-links unpacks_and_links
check readme readme
check manifests manifests
ls -l "$target/firmware/$stem.tar.gz"
finish
