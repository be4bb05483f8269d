#!/usr/bin/env python3
"""Checks the records that the firmware has sent: examples/firmware/records.py FILE

Each record has its place, and at the end they say that no block is live. docs/book/
firmware-records.md has the format.
"""

import struct
import sys

data = open(sys.argv[1], "rb").read()
assert data and len(data) % 16 == 0, len(data)
live, kinds, before = {}, {}, None
for place in range(0, len(data), 16):
    kind, align, heap, sequence, pointer, size, time = struct.unpack_from("<4B3I", data, place)
    assert sequence == place // 16 % 256 and heap == 1, place
    kinds[kind] = kinds.get(kind, 0) + 1
    if kind == 255:
        assert sequence == 0 and align == 1 and data[place + 4 : place + 8] == b"MMR1"
        assert time == 4
        continue
    elif kind == 254:
        before = pointer
        continue
    elif kind in (1, 4):
        if kind == 4:
            del live[before]
        assert pointer not in live and pointer % 8 == 0
        live[pointer] = size
    elif kind == 5:
        del live[pointer]
    else:
        assert kind in (6, 7), kind
    before = None
assert not live and kinds[7] == 1 and kinds[6] > 0 and kinds[4] > 100 and kinds[1] > 3000, kinds
print(len(data) // 16, "records")
