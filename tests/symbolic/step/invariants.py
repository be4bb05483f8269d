"""The invariants after an operation: of what it has written, and of any block and bin else.

I1 to I6 are statements about each bin and each block. What the operation has not written it cannot
have broken; so of a block that the scene does not name, only what may have been written matters:
the word that leads to it, the second link of its next block, and the header behind it."""

import claripy
from claripy import UGE, ULE, Concat, LShR

from step.heap import AT, BLOCK_MIN, FREE, HEADER, PREV_FREE, WORD, quanta, wide
from step.words import canon, number, same


class Checks:
    def __init__(self, heap, after):
        self.heap, self.after, self.case, self.failures = heap, after, heap.case, []

    def holds(self, what, condition):
        condition = canon(condition)
        if not condition.is_true() and self.case.possible(claripy.Not(condition)):
            self.failures.append(what)

    def bin(self, name, bin_):
        """I1."""
        heap, after = self.heap, self.after
        places = heap.bits(bin_), heap.head(bin_)
        old = [self.case.before(*one) for one in zip(places, (("bitmap", ""), ("heads", "")))]
        self.case.assume((LShR(old[0], bin_ & 63)[0] == 1) == (old[1] != heap.control))
        bits, head = (
            after.read(self.case.word(*one).address)
            for one in zip(places, (("bitmap", ""), ("heads", "")))
        )
        first = after.read(heap.control + AT["fl_bitmap"])
        self.holds(f"I1, {name}", (LShR(bits, bin_ & 63)[0] == 1) == (head != heap.control))
        self.holds(f"I1, first level, {name}", (LShR(first, LShR(bin_, 6))[0] == 1) == (bits != 0))

    def free(self, block, behind):
        """I4, I5: header, ghost, and the header behind."""
        read = self.after.read
        header = self.heap.header(block.size, number(FREE, 4))
        self.holds(f"I2, header of {block.name}", read(block.at - HEADER) == header)
        self.holds(f"I5, ghost of {block.name}", read(block.at + block.size - 2 * WORD) == block.at)
        self.holds(f"I6, end of {block.name}", block.at + block.size == behind)
        self.after_free(block.name, behind)

    def after_free(self, name, behind):
        header = self.after.read(behind - HEADER) ^ self.heap.cookie
        self.holds(
            f"I4, I5, behind {name}", header & (0xFFFF << 48 | FREE | PREV_FREE) == PREV_FREE
        )

    def tiled(self):
        """I4 to I6 of the blocks that follow each other: each header has its block's size, FREE and
        the one before's FREE; sizes lead from the first to the last; no two neighbours are free."""
        heap, after, first, last = self.heap, self.after, self.heap.chain[0], self.heap.chain[-1]
        new = {canon(one.at).hash(): one for one in (*after.freed, *after.used)}
        old = {canon(one.at).hash(): one for one in heap.chain}
        at = first.at
        prev_free = (self.case.before(at - HEADER, first.region) ^ heap.cookie)[1:1]
        while True:
            key, header = canon(at).hash(), after.read(at - HEADER)
            block = new.get(key) or old.get(key)
            if block is None or (key not in new and block in after.taken):
                self.failures.append("I6: no block where one ends")
                return
            is_free = number(int(block.kind == "free"), 1)
            if key in new:
                self.holds(f"I6, size of {block.name}", UGE(block.size, BLOCK_MIN))
                expected = heap.header(block.size, Concat(number(0, 2), prev_free, is_free))
            else:
                before = self.case.before(at - HEADER, block.region) ^ heap.cookie
                expected = Concat(before[63:2], prev_free, before[0:0]) ^ heap.cookie
            self.holds(f"I4 to I6, header of {block.name}", header == expected)
            if block.kind == "free":
                self.holds(f"I4, before {block.name}", prev_free == 0)
            if block is last:
                return
            at, prev_free = at + block.size, is_free

    def listed(self, block, link=True, next_=True):
        """I2: links are mutual, and lead to free blocks of the bin, its head, the list's end."""
        heap, read = self.heap, self.after.read
        if link:
            at = read(block.at + WORD)
            self.holds(f"I2, what leads to {block.name}", read(at) == block.at)
            if not same(at, heap.head(block.bin)):
                self.in_bin(f"what leads to {block.name}", at, block.bin)
        if next_:
            at = read(block.at)
            if not same(at, heap.control):
                self.holds(f"I2, what {block.name} leads to", read(at + WORD) == block.at)
                self.in_bin(f"what {block.name} leads to", at, block.bin)

    def in_bin(self, what, at, bin_):
        """The address is that of a block free after the call, in this bin, or of the bin's head."""
        for one in self.frees():
            if same(one.at, at):
                self.holds(f"I2, {what}: its bin", one.bin == bin_)
                return
        if self.case.surely(at == self.heap.head(bin_)):
            return
        self.failures.append(f"I2, {what}: no free block")

    def frees(self):
        """The named blocks that are free after the call."""
        gone = [*self.after.taken, *self.after.freed]
        kept = [one for one in self.heap.blocks if one.kind == "free" and one not in gone]
        return [*self.after.freed, *kept]


def check(heap, after):
    """The invariants after an operation. Gives those that need not hold."""
    case, checks = heap.case, Checks(heap, after)
    any_ = wide(case.unknown("focus", 2))
    if case.choose("of the named", any_ == 0):
        for block, behind in zip(after.freed, after.behind):
            checks.free(block, behind)
        checks.tiled()
        for block in checks.frees():
            checks.listed(
                block,
                case.find(block.at + WORD)[0] is not None,
                case.find(block.at)[0] is not None,
            )
        for index, bin_ in enumerate(after.bins):
            checks.bin(f"bin {index}", bin_)
        used, live = after.change
        for name, change in (("used", used), ("live_blocks", live)):
            at = heap.control + AT[name]
            checks.holds(f"I8, {name}", after.read(at) - case.before(at, None) == change)
        return checks.failures
    # Any other bin; any other free block.
    bin_ = wide(case.unknown("any_bin", 11))
    case.assume(ULE(bin_, heap.top))
    if case.choose("any bin", any_ == 1):
        for one in after.bins:
            case.assume(bin_ != one)
        heap.headed(bin_)
        checks.bin("any other", bin_)
        return checks.failures
    block = heap.other("any other", quanta(case.unknown("any_place", 44)))
    block.bin = bin_
    case.assume(UGE(bin_, 2))
    if case.choose("its links", any_ == 2):
        heap.links(block)
        checks.listed(block)
    else:
        size = quanta(case.unknown("any_size", 44))
        behind = block.offset + size
        case.assume(UGE(size, BLOCK_MIN), ULE(behind, heap.room))
        for one in heap.blocks:
            if one is not block:
                heap.apart(block.offset, behind, one)
        for one in heap.blocks:
            if one.kind != "free" and case.choose(f"{one.name} behind", one.offset == behind):
                header = case.before(one.at - HEADER, one.region) ^ heap.cookie
                case.assume(header & (FREE | PREV_FREE) == PREV_FREE)
                if case.possible():
                    checks.after_free("any other", one.at)
                break
    return checks.failures
