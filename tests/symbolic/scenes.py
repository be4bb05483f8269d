"""The heaps that the functions are run in: real heaps, made by the library, with some words
unknown.

Nothing here depends on the control structure's layout: it is copied as the library has left it.
"""

import claripy

from heap import FREE, HEADER, QUANTUM, WORD, Heap, bin_range
from plan import MAX_BLOCK, POOL, REST, SMALL_REST


class Scene:
    """A heap; the fixed words of its pool, by address; constraints on their unknowns; the block to
    be resized."""

    def __init__(self, library, free, neighbours=(0, 1008, 0)):
        heap, free_blocks, *_ = lay_out(library, free, neighbours)
        sizes = [heap.size(block) for block in free_blocks]
        heap.close()
        ranges = [bin_range(library, MAX_BLOCK, size, POOL // 2) for size in sizes]
        self.heap, free_blocks, ends, self.around, rest = lay_out(library, free, neighbours)
        self.block = self.around[1]
        self.known, self.constraints, self.free = {}, [], []
        heap = self.heap
        # The last one may be as large as the pool allows, but for its end: a pool's last block may
        # be of another kind.
        ends[-1:] = [heap.end - 4 * QUANTUM]
        for index, (block, end, (first, beyond)) in enumerate(zip(free_blocks, ends, ranges)):
            size, bounds = any_size(f"free_size_{index}", first, beyond)
            self.constraints += [*bounds, claripy.ULE(size, end - block)]
            self.known[block - HEADER] = (size | FREE) ^ heap.seal
            self.free.append((block, size))
            self.fix(block, block + WORD)
        for block in [*self.around, *([rest] if rest else [])]:
            header = heap.word(block - HEADER) ^ heap.seal
            self.fix(block - HEADER)
            if header & FREE:
                end_of_block = block + heap.size(block)
                self.fix(block, block + WORD, end_of_block - 2 * WORD, end_of_block - WORD)

    def fix(self, *addresses):
        for address in addresses:
            self.known[address] = claripy.BVV(self.heap.word(address), 64)


def any_size(name, first, end):
    """Any size of [first, end), and its constraints. Bits that all of them share are not
    unknown."""
    width = (end - first).bit_length() - 1
    if end - first != 1 << width or first & (end - first - 1):
        size = claripy.Concat(claripy.BVS(name, 60), claripy.BVV(0, 4))
        return size, [claripy.UGE(size, first), claripy.ULT(size, end)]
    if width <= 4:
        return claripy.BVV(first, 64), []
    return (
        claripy.Concat(
            claripy.BVV(first >> width, 64 - width), claripy.BVS(name, width - 4), claripy.BVV(0, 4)
        ),
        [],
    )


def lay_out(library, free, neighbours):
    """A heap in which only blocks of about these sizes are free. Gives it, the free blocks, the
    block after each, four neighbours (the block before the resized one, that block, the one after
    it, and the next), and the wilderness, if it is free."""
    heap = Heap(library, POOL, MAX_BLOCK)
    heap.malloc(24)
    before, block, after = (heap.block_of(size or 32, MAX_BLOCK) for size in neighbours)
    last = heap.malloc(24)
    blocks, ends = [], []
    for size in free:
        if size in (REST, SMALL_REST):
            continue
        # Between two multiples of 32: an alignment of 32 leaves a gap that is too small for a
        # block.
        if (heap.malloc(24) + 2 * QUANTUM) % (2 * QUANTUM) == 0:
            heap.malloc(40)
        blocks.append(heap.block_of(size, MAX_BLOCK))
        ends.append(heap.malloc(24))
    rest = None
    if REST in free:
        # After a block in use.
        guard = heap.malloc(24)
        rest = guard + heap.size(guard)
    elif SMALL_REST in free:
        while (room := heap.largest()) > 4096:
            guard = heap.malloc(min(MAX_BLOCK, room * 15 // 16))
            rest = guard + heap.size(guard)
    else:
        heap.fill(MAX_BLOCK)
    given_up = blocks + [
        parts for parts, size in ((before, neighbours[0]), (after, neighbours[2])) if size
    ]
    for parts in given_up:
        for part in parts:
            heap.free(part)
    return heap, [parts[0] for parts in blocks], ends, [before[0], block[0], after[0], last], rest
