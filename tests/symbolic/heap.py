"""Real instances of the library under test, made through ctypes and then copied into the symbolic run.

A heap lies at a fixed address, so that a run can be repeated: control structure, and right behind it one pool.
"""

import ctypes
import mmap

WORD = 8
QUANTUM = 16
HEADER = 8
FREE, PREV_FREE, SENTINEL = 1, 2, 4
SIZE_MASK = (1 << 48) - 1 & ~(QUANTUM - 1)
BASE = 0x10_0000_0000
HANDLER = 0x6666_0000  # where the error handler "is": hooked in the symbolic run, never called here

MAP_FIXED_NOREPLACE = 0x100000
MAP_NORESERVE = 0x4000

LINEAR = 1 << 10  # one bin for each size below


def bin_range(size):
    """The sizes that share a bin with this one, as [first, behind the last)."""
    if size < LINEAR:
        return size, size + QUANTUM
    step = 1 << (size.bit_length() - 1 - 5)
    first = size & ~(step - 1)
    return first, first + step


class Library:
    def __init__(self, path):
        self.path = path
        self.handle = ctypes.CDLL(path)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        self.libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def call(self, name, *arguments):
        function = getattr(self.handle, name)
        function.restype = ctypes.c_size_t
        function.argtypes = [ctypes.c_size_t] * len(arguments)
        return function(*arguments)


class Heap:
    """One instance and one pool of `pool` bytes, with requests up to `max_block`."""

    def __init__(self, library, pool, max_block):
        self.library = library
        self.control_bytes = library.call("mm_size_for", max_block)
        self.bytes = -(-self.control_bytes // QUANTUM) * QUANTUM + pool
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE
        got = library.libc.mmap(BASE, self.bytes, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        if got != BASE:
            raise OSError(f"no memory at {BASE:#x}")
        self.control = library.call("mm_create_for", BASE, max_block)
        self.pool_start = BASE + self.bytes - pool
        if self.control != BASE or not library.call("mm_add_pool", BASE, self.pool_start, pool):
            raise RuntimeError("no heap")
        library.call("mm_set_error_handler", BASE, HANDLER, 0)
        self.first = self.pool_start + library.call("mm_pool_overhead") // QUANTUM * QUANTUM
        self.end = BASE + self.bytes
        # The seal: what a known header has above its size and flags.
        whole = self.end - self.first
        self.seal = self.word(self.first - HEADER) ^ (whole | FREE)
        if self.seal & (SIZE_MASK | 15):
            raise RuntimeError("the first header is not where it should be")

    def close(self):
        self.library.libc.munmap(BASE, self.bytes)

    def word(self, address):
        return ctypes.c_uint64.from_address(address).value

    def malloc(self, bytes_):
        payload = self.library.call("mm_malloc", BASE, bytes_)
        if not payload:
            raise RuntimeError(f"no block of {bytes_} bytes for the scene")
        return payload

    def free(self, payload):
        self.library.call("mm_free", BASE, payload)

    def size(self, payload):
        return (self.word(payload - HEADER) ^ self.seal) & SIZE_MASK

    def image(self):
        """The control structure's words as runs of equal ones, [first address, behind the last, word]: few, however many bins."""
        runs = []
        for address in range(BASE, BASE + self.control_bytes, WORD):
            word = self.word(address)
            if runs and runs[-1][2] == word:
                runs[-1][1] = address + WORD
            else:
                runs.append([address, address + WORD, word])
        return runs
