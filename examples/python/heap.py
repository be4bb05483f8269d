#!/usr/bin/env python3
"""libmemoman from Python with nothing but ctypes: heap.py PATH/libmemoman.so

It shows an allocator in a Python buffer, figures that add up after each of 20,000 random calls, a
walk with a Python callback, and misuse that a Python handler receives without the process ending.
"""

import ctypes
import os
import random
import sys
from ctypes import CFUNCTYPE, POINTER, byref, c_char_p, c_int, c_size_t, c_void_p, sizeof


class Stats(ctypes.Structure):
    """mm_stats_t"""

    _fields_ = [
        (name, c_size_t)
        for name in (
            "pool_bytes used free overhead peak largest live_blocks failed_requests".split()
        )
    ]


WALKER = CFUNCTYPE(None, c_void_p, c_size_t, c_int, c_void_p)
HANDLER = CFUNCTYPE(None, c_char_p, c_void_p, c_void_p)


def load(path: str) -> ctypes.CDLL:
    """The library, with the types of the functions called here."""
    library = ctypes.CDLL(path)
    for name, result, arguments in (
        ("mm_create_with_pool", c_void_p, [c_void_p, c_size_t]),
        ("mm_malloc", c_void_p, [c_void_p, c_size_t]),
        ("mm_realloc", c_void_p, [c_void_p, c_void_p, c_size_t]),
        ("mm_free", None, [c_void_p, c_void_p]),
        ("mm_block_size", c_size_t, [c_void_p]),
        ("mm_stats", c_int, [c_void_p, POINTER(Stats), c_size_t]),
        ("mm_validate", c_int, [c_void_p]),
        ("mm_get_pool", c_void_p, [c_void_p]),
        ("mm_walk_pool", None, [c_void_p, WALKER, c_void_p]),
        ("mm_set_error_handler", None, [c_void_p, HANDLER, c_void_p]),
        ("mm_version", c_char_p, []),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def require(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"FAILED: {what}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    mm = load(sys.argv[1])
    seed = int(os.environ.get("SEED", "1"))
    print(f"memoman {mm.mm_version().decode()}, seed {seed}")
    memory = ctypes.create_string_buffer(256 * 1024)
    heap = mm.mm_create_with_pool(memory, sizeof(memory))
    require(heap is not None, "the heap was created")

    def stats() -> Stats:
        figures = Stats()
        require(mm.mm_stats(heap, byref(figures), sizeof(figures)) == 1, "statistics")
        return figures

    fresh = stats()
    numbers = random.Random(seed)
    blocks: dict[int, bytes] = {}
    for _ in range(20_000):
        if blocks and numbers.random() < 0.5:
            address = numbers.choice(list(blocks))
            content = blocks.pop(address)
            require(ctypes.string_at(address, len(content)) == content, "contents are unharmed")
            if numbers.random() < 0.3:
                size = numbers.randint(1, 3000)
                moved = mm.mm_realloc(heap, address, size)
                if moved is None:
                    blocks[address] = content
                else:
                    kept = min(size, len(content))
                    require(
                        ctypes.string_at(moved, kept) == content[:kept], "realloc keeps contents"
                    )
                    blocks[moved] = content[:kept]
            else:
                mm.mm_free(heap, address)
        else:
            size = numbers.randint(1, 3000)
            address = mm.mm_malloc(heap, size)
            if address is not None:
                content = numbers.randbytes(size)
                ctypes.memmove(address, content, size)
                blocks[address] = content
        now = stats()
        require(now.used + now.free + now.overhead == now.pool_bytes, "the figures add up")
        require(now.live_blocks == len(blocks), "live blocks are counted")
    require(mm.mm_validate(heap) != 0, "the heap is sound")
    refused = stats().failed_requests
    print(f"  proved: 20000 calls, contents and figures right after each; {refused} were refused")

    walked = {}
    callback = WALKER(
        lambda pointer, size, used, _: walked.update({pointer: size}) if used else None
    )
    mm.mm_walk_pool(mm.mm_get_pool(heap), callback, None)
    require(set(walked) == set(blocks), "a walk meets exactly the live blocks")
    print(f"  proved: a walk from Python meets exactly the {len(walked)} live blocks")

    reports = []
    handler = HANDLER(lambda message, pointer, _: reports.append((message, pointer)))
    mm.mm_set_error_handler(heap, handler, None)
    victim, _ = blocks.popitem()
    mm.mm_free(heap, victim)
    mm.mm_free(heap, victim)
    require(reports == [(b"double free", victim)], f"the double free was reported: {reports}")
    print("  proved: a double free is reported to a Python function, and the process goes on")

    for address in blocks:
        mm.mm_free(heap, address)
    end = stats()
    require(end.live_blocks == 0 and end.largest == fresh.largest, "all memory is one block again")
    print("  proved: all freed, and the heap is one free block again")


main()
