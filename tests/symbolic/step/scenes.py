"""The scenes: each a call in a heap of which only the words that it touches are spoken of."""

import functools

from claripy import LShR, Or, UGE, UGT, ULE, ULT

from step.heap import ALONE, ANY, BLOCK_MIN, EXACT_BELOW, FIRST, HEAD, HEADER, INNER, LAST
from step.heap import LINEAR_BELOW, PREV_FREE, QUANTUM, SENTINEL, WORD, After, Heap, quanta
from step.words import number


class Call:
    """A function, its arguments, and memory after it by the short program."""

    def __init__(self, function, arguments, heap, after):
        self.function, self.arguments, self.heap, self.after = function, arguments, heap, after


def free(prev, next_, role=ANY):
    """`role`: the previous free block's in its list."""

    def scene(case, layout):
        chain = [("prev", "free")] * prev + [("block", "used"), ("next", next_)]
        heap = Heap(case, layout, chain)
        *before, b, n = heap.blocks
        p = before[0] if prev else None
        for offset in (0, WORD, b.size - 2 * WORD):
            case.before(b.at + offset, b.region)
        if next_ == "free":
            heap.behind(n)
        heap.listed(*[one for one in heap.blocks if one.kind == "free"], role=role)
        after = After(heap)
        first = p or b
        size = b.size
        if prev:
            after.unlink(p)
            after.bury(b)
            size = p.size + size
        if next_ == "free":
            after.unlink(n)
            size = size + n.size
        else:
            flags = number(PREV_FREE | (SENTINEL if next_ == "end" else 0), 4)
            after.write(n.at - HEADER, heap.header(n.size, flags))
        after.count(-b.size, -1)
        after.list("freed", first.at, first.offset, size)
        return Call("mm_free", [heap.control, b.at], heap, after)

    return scene


def take(heap, after, block, size, rest):
    """A found block is unlinked and taken into use, whole or cut to a size."""
    next_ = heap.blocks[heap.blocks.index(block) + 1]
    after.unlink(block)
    flags = number(0, 4)
    if rest is not None:
        after.use("taken", block.at, size, flags)
        after.list("rest", block.at + size, block.offset + size, rest)
    else:
        size = block.size
        after.use("taken", block.at, size, flags)
        after.write(next_.at - HEADER, heap.header(next_.size, next_.flags & ~PREV_FREE))
    after.count(size, 1)
    after.count_peak()
    after.result = block.at


def malloc_exact(first, beyond):
    """The first block of the request's own bin has the size that a block for it is cut to."""

    def scene(case, layout):
        heap = Heap(case, layout, [("found", "free"), ("next", "used")])
        found, _ = heap.blocks
        bytes_, size = heap.request(first, beyond)
        case.assume(found.size == size)
        heap.listed(found, role=HEAD)
        if first >= LINEAR_BELOW:
            # No request is beyond the last bin.
            case.definitions.append(heap.below_top(found.size))
        after = After(heap)
        take(heap, after, found, found.size, None)
        return Call("mm_malloc", [heap.control, bytes_], heap, after)

    return scene


def cut_or_whole(case, heap, found, bytes_, size):
    """mm_malloc takes a larger block: it is cut, or taken whole where the rest is too small."""
    rest = found.size - size
    cut = case.choose("a rest remains", UGE(rest, BLOCK_MIN))
    if cut:
        heap.inside(found, size)
    after = After(heap)
    take(heap, after, found, size, rest if cut else None)
    return Call("mm_malloc", [heap.control, bytes_], heap, after)


def malloc_split(case, layout):
    """The own bin is empty; a block of the next bin that is not is cut, or taken whole."""
    heap = Heap(case, layout, [("found", "free"), ("next", "used")])
    found, _ = heap.blocks
    bytes_, size = heap.request(BLOCK_MIN, LINEAR_BELOW)
    heap.listed(found, role=HEAD)
    own = LShR(size, 4)
    heap.empty(own)
    heap.none_between(own, found.bin)
    case.assume(UGT(found.size, size))
    return cut_or_whole(case, heap, found, bytes_, size)


def malloc_wilderness(case, layout):
    """No bin has a block for the request: the wilderness is cut, or taken whole."""
    heap = Heap(case, layout, [("found", "free"), ("next", "end")])
    found, _ = heap.blocks
    case.assume(found.offset + found.size == heap.room)
    bytes_, size = heap.request(BLOCK_MIN, LINEAR_BELOW)
    heap.listed(found, role=HEAD)
    own = LShR(size, 4)
    heap.empty(own)
    heap.none_between(own, None)
    case.assume(UGE(found.size, size))
    return cut_or_whole(case, heap, found, bytes_, size)


def shrink(next_):
    """realloc to less: the tail becomes a free block, or joins the free one after it."""

    def scene(case, layout):
        heap = Heap(case, layout, [("block", "used"), ("next", next_)], after_any=True)
        block, n = heap.blocks
        bytes_, size = heap.request(BLOCK_MIN, EXACT_BELOW)
        case.assume(ULT(size, block.size))
        rest = block.size - size
        changes = True
        if case.choose("one quantum less", rest == QUANTUM):
            size, rest, changes = block.size - QUANTUM, number(QUANTUM), next_ == "free"
        if next_ == "free":
            heap.behind(n)
            heap.listed(n)
        if changes:
            heap.inside(block, size)
        case.word(block.at + block.size - 2 * WORD, block.region)
        after = After(heap)
        after.result = block.at
        if not changes:
            after.count(number(0), 0)
            return Call("mm_realloc", [heap.control, block.at, bytes_], heap, after)
        if next_ == "free":
            after.unlink(n)
            rest = rest + n.size
        else:
            after.write(n.at - HEADER, heap.header(n.size, n.flags | PREV_FREE))
        after.use("the block", block.at, size, block.flags)
        after.list("rest", block.at + size, block.offset + size, rest)
        after.count(size - block.size, 0)
        return Call("mm_realloc", [heap.control, block.at, bytes_], heap, after)

    return scene


def grow(role):
    """realloc to more: the block takes what it needs of the free one after it."""
    return functools.partial(grown, role)


def grown(role, case, layout):
    heap = Heap(case, layout, [("block", "used"), ("next", "free")], after_any=True)
    block, n = heap.blocks
    bytes_, size = heap.request(BLOCK_MIN, EXACT_BELOW)
    total = block.size + n.size
    case.assume(UGT(size, block.size), ULE(size, total))
    behind = heap.behind(n)
    heap.listed(n, role=role)
    cut = case.choose("a rest remains", UGE(total - size, BLOCK_MIN))
    if cut:
        heap.inside(n, size - block.size)
    after = After(heap)
    after.unlink(n)
    taken = size if cut else total
    if cut:
        after.list("rest", block.at + size, block.offset + size, total - size)
    else:
        header = behind.at - HEADER
        after.write(header, after.read(header) & ~PREV_FREE)
    after.use("the block", block.at, taken, block.flags)
    after.count(taken - block.size, 0)
    after.count_peak()
    after.result = block.at
    return Call("mm_realloc", [heap.control, block.at, bytes_], heap, after)


def memalign_wilderness(align):
    """No bin has a block with room for the gap: the wilderness is cut in two or three."""

    def scene(case, layout):
        heap = Heap(case, layout, [("found", "free"), ("next", "end")])
        found, _ = heap.blocks
        case.assume(found.offset + found.size == heap.room)
        bytes_, size = heap.request(BLOCK_MIN, LINEAR_BELOW - align - QUANTUM)
        padded = size + align + QUANTUM
        case.assume(UGE(found.size, padded))
        heap.listed(found, role=HEAD)
        heap.empty(LShR(size, 4))
        heap.empty(LShR(padded, 4))
        heap.none_between(LShR(padded, 4), None)
        if case.choose("the block is aligned", found.at & (align - 1) == 0):
            gap = number(0)
        else:
            gap = quanta(case.unknown("gap_quanta", 44))
            # A gap of one quantum is too small for a block.
            case.assume(
                (found.at + gap) & (align - 1) == 0,
                UGE(gap, BLOCK_MIN),
                Or(ULT(gap, align), gap == align + QUANTUM),
            )
        rest = found.size - gap - size
        cut = case.choose("a rest remains", UGE(rest, BLOCK_MIN))
        if cut:
            heap.inside(found, gap + size)
        has_gap = gap.op != "BVV"
        if has_gap:
            for offset in (gap - 2 * WORD, gap - HEADER):
                case.word(found.at + offset, found.region)
        after = After(heap)
        after.result = found.at + gap
        after.unlink(found)
        taken = size if cut else found.size - gap
        if cut:
            after.list("rest", found.at + gap + size, found.offset + gap + size, rest)
        else:
            next_ = heap.blocks[1]
            after.write(next_.at - HEADER, heap.header(next_.size, number(SENTINEL, 4)))
        if has_gap:
            after.list("gap", found.at, found.offset, gap)
        flags = number(PREV_FREE if has_gap else 0, 4)
        after.use("taken", after.result, taken, flags)
        after.count(taken, 1)
        after.count_peak()
        return Call("mm_memalign", [heap.control, number(align), bytes_], heap, after)

    return scene


# Where the control structure lies: below all pools, above them, between two.
LAYOUTS = ["below", "above", "between"]
ROLES = {"alone": ALONE, "first": FIRST, "last": LAST, "inner": INNER}
SCENES = {
    **{f"free_after_used_before_{next_}": free(False, next_) for next_ in ("used", "free", "end")},
    **{f"free_after_free_before_{next_}": free(True, next_) for next_ in ("used", "end")},
    **{f"free_after_{name}_before_free": free(True, "free", role) for name, role in ROLES.items()},
    "malloc_exact": malloc_exact(BLOCK_MIN, LINEAR_BELOW),
    "malloc_exact_from_1_KiB": malloc_exact(LINEAR_BELOW, EXACT_BELOW),
    "malloc_split": malloc_split,
    "malloc_wilderness": malloc_wilderness,
    "memalign_wilderness": memalign_wilderness(64),
    **{f"realloc_shrinks_before_{next_}": shrink(next_) for next_ in ("used", "free", "end")},
    **{f"realloc_grows_into_{name}": grow(role) for name, role in ROLES.items()},
}
# Scenes with many cases are run in so many pieces.
PIECES = {
    **dict.fromkeys(("free_after_used_before_free", "free_after_free_before_used"), 2),
    **dict.fromkeys(("free_after_free_before_end", "malloc_split"), 2),
    "realloc_shrinks_before_free": 2,
    **dict.fromkeys((f"free_after_{name}_before_free" for name in ROLES), 6),
}
