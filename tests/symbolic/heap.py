"""Real instances of the library under test, made through ctypes and copied into the symbolic run.

A heap lies at a fixed address, so that a run can be repeated: the control structure and, right
after it, one pool.
"""

import ctypes
import mmap

WORD = 8
QUANTUM = 16
HEADER = 8
FREE, PREV_FREE = 1, 2
SIZE_MASK = (1 << 48) - 1 & ~(QUANTUM - 1)
SEAL_BITS = (1 << 64) - (1 << 48)
BASE = 0x10_0000_0000
HANDLER = 0x6666_0000  # the error handler's address: hooked in the symbolic run, never called here

MAP_FIXED_NOREPLACE = 0x100000
MAP_NORESERVE = 0x4000


class Library:
    def __init__(self, path):
        self.path = path
        self.handle = ctypes.CDLL(path)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.mmap.restype = ctypes.c_void_p
        self.libc.mmap.argtypes = (
            [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        )
        self.libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

    def call(self, name, *arguments):
        function = getattr(self.handle, name)
        function.restype = ctypes.c_size_t
        function.argtypes = [ctypes.c_size_t] * len(arguments)
        return function(*arguments)


class Heap:
    """One instance and one pool of `pool` bytes, with requests up to `max_block`."""

    def __init__(self, library, pool, max_block, with_pool=True):
        self.library = library
        self.control = BASE
        self.control_bytes = library.call("mm_size_for", max_block)
        self.pool_start = BASE + -(-self.control_bytes // QUANTUM) * QUANTUM
        self.end = self.pool_start + pool
        self.first = self.pool_start + library.call("mm_pool_overhead") // QUANTUM * QUANTUM
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE
        got = library.libc.mmap(
            BASE, self.end - BASE, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0
        )
        if got != BASE or library.call("mm_create_for", BASE, max_block) != BASE:
            raise RuntimeError(f"no instance at {BASE:#x}")
        # The bins' heads: no other word occurs so often in a new instance.
        self.heads = max((end - first, first) for first, end, _ in self.image())[1]
        library.call("mm_set_error_handler", BASE, HANDLER, 0)
        if not with_pool:
            return
        if not library.call("mm_add_pool", BASE, self.pool_start, pool):
            raise RuntimeError("no pool")
        # The seal: the bits of a known header above its size and flags.
        self.seal = self.word(self.first - HEADER) ^ (self.end - self.first | FREE)
        if self.seal & (SIZE_MASK | 15):
            raise RuntimeError("the first header is not where it should be")

    def close(self):
        self.library.libc.munmap(BASE, self.end - BASE)

    def word(self, address):
        return ctypes.c_uint64.from_address(address).value

    def malloc(self, bytes_):
        payload = self.library.call("mm_malloc", BASE, bytes_)
        if not payload:
            raise RuntimeError(f"no block of {bytes_} bytes for the scene")
        return payload

    def block_of(self, size, most):
        """Adjacent blocks in use of at least `size` bytes in all, headers included: one block, or
        several where `size` exceeds the largest request. Returns the parts."""
        parts = [self.malloc(min(size, most) - HEADER)]
        while size > most:
            size -= most
            parts.append(self.malloc(min(size, most) - HEADER))
            if parts[-1] != parts[-2] + self.size(parts[-2]):
                raise RuntimeError("the scene's parts are not neighbours")
        return parts

    def free(self, payload):
        self.library.call("mm_free", BASE, payload)

    def size(self, payload):
        return (self.word(payload - HEADER) ^ self.seal) & SIZE_MASK

    def fill(self, most):
        """Allocates all that is left."""
        while self.library.call("mm_malloc", BASE, min(most, self.largest())):
            pass

    def largest(self):
        stats = (ctypes.c_size_t * 8)()
        self.library.call("mm_stats", BASE, ctypes.addressof(stats), ctypes.sizeof(stats))
        return stats[5]

    def image(self):
        """The control structure's words as runs of equal words, [first address, end, word]: few
        runs, for any number of bins."""
        runs = []
        for address in range(BASE, BASE + self.control_bytes, WORD):
            word = self.word(address)
            if runs and runs[-1][2] == word:
                runs[-1][1] = address + WORD
            else:
                runs.append([address, address + WORD, word])
        return runs


def bin_range(library, max_block, size, most):
    """The sizes up to `most` of free blocks that share a bin with this one, as [first, end), found
    by trying them."""

    def head(tried):
        # A pool of just this block, and one after it, so that this is not the last pool.
        heap = Heap(library, tried + 32 * QUANTUM, max_block, with_pool=False)
        try:
            overhead = library.call("mm_pool_overhead")
            for start, usable in (
                (heap.pool_start + tried + 8 * QUANTUM, 2 * QUANTUM),
                (heap.pool_start, tried),
            ):
                if not library.call("mm_add_pool", BASE, start, usable - HEADER + overhead):
                    raise RuntimeError(f"no pool of a block of {tried} bytes")
            return next(
                address
                for address in range(heap.heads, heap.pool_start, WORD)
                if heap.word(address) == heap.first
            )
        finally:
            heap.close()

    return edge(head, size, 2 * QUANTUM), edge(head, size, most) + QUANTUM


def edge(head, size, limit):
    """The last size towards `limit` with the head of `size`."""
    same, other, place = size, limit, head(size)
    if head(limit) == place:
        return limit
    while abs(other - same) > QUANTUM:
        middle = (same + other) // 2 // QUANTUM * QUANTUM
        if head(middle) == place:
            same = middle
        else:
            other = middle
    return same
