#!/usr/bin/env python3
"""memoman's part of a linked firmware, from GNU ld's map: link_map.py FIRMWARE.map ARCHIVE

Prints four numbers of bytes, of the sections that were kept from ARCHIVE: memoman's code, its
constants (the texts of its messages), the compiler runtime's code (memcpy), variables in RAM.
"""

import re
import sys

RUNTIME = re.compile(r"compiler_builtins|__aeabi|\.mem(cpy|move|set|cmp)$")


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    map_file, archive = sys.argv[1:]
    with open(map_file, encoding="utf-8") as file:
        text = file.read()
    # Before this line stand the discarded sections.
    kept = text.partition("Linker script and memory map")[2]
    code = constants = runtime = ram = 0
    # A section with a long name has its figures on the next line.
    for section, size, origin in re.findall(
        r"^ (\.\S+)\s+0x[0-9a-f]+\s+0x([0-9a-f]+) (\S+)$", kept, re.MULTILINE
    ):
        if archive not in origin:
            continue
        if section.startswith((".data", ".bss")):
            ram += int(size, 16)
        elif RUNTIME.search(section):
            runtime += int(size, 16)
        elif section.startswith(".text"):
            code += int(size, 16)
        elif section.startswith(".rodata"):
            constants += int(size, 16)
    print(code, constants, runtime, ram)


main()
