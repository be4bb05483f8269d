"""What a heap is, for one call: the words of the control structure, the blocks and bins that the
call touches, with the invariants that hold before; and the operations on them as short programs,
which the machine code is compared with."""

import pathlib
import re

import claripy
from claripy import UGE, ULE, ULT, And, Concat, If, LShR, Or

from step.words import Contradiction, Undecided, canon, number, same

CORE = pathlib.Path(__file__).resolve().parents[3] / "crates/memoman-core/src"
HEADER, WORD, QUANTUM, BLOCK_MIN = 8, 8, 16, 32
LINEAR_BELOW, EXACT_BELOW, BINS_MAX = 1024, 2048, 1280
FREE, PREV_FREE, SENTINEL = 1, 2, 4
# A block's place in its list: whether it is the first, and the last. None: both cases.
ANY = None, None
ALONE, FIRST, LAST, INNER = (True, True), (True, False), (False, True), (False, False)
HEAD = True, None


def layout():
    """The words of the control structure, by name, and the offset of the bins' heads."""

    def fields(file, struct):
        body = re.search(
            rf"pub(?:\(crate\))? struct {struct} {{(.*?)^}}", file.read_text(), re.M | re.S
        )
        return re.findall(r"^ +(?:pub(?:\(crate\))? )?(\w+): ", body[1], re.M)

    sizes = {"sl_bitmap": BINS_MAX // 64, "hooks": len(fields(CORE / "hooks.rs", "Hooks"))}
    offsets, end = {}, 0
    for name in fields(CORE / "control.rs", "Control"):
        offsets[name] = end
        end += WORD * sizes.get(name, 1)
    return offsets, end


AT, HEADS = layout()


def wide(term):
    return term.zero_extend(64 - len(term))


def quanta(name, bits=44):
    """An unknown multiple of the quantum."""
    return Concat(number(0, 60 - bits), name, number(0, 4))


def words(name):
    """An unknown multiple of the word below 2^60."""
    return Concat(number(0, 4), name, number(0, 3))


class Block:
    def __init__(self, name, at, offset, size, kind):
        self.name, self.at, self.offset, self.size, self.kind = name, at, offset, size, kind
        self.bin = None

    @property
    def region(self):
        return "block", self.name


class Heap:
    """The heap before a call. `layout`: where the control structure lies."""

    def __init__(self, case, layout, chain, after_any=False):
        self.case = case
        # What sizes the bins mean is only said for the machine's part. The unknowns that the code
        # computes, and what from.
        case.exponents, case.names, case.sources = {}, [], set()
        unknown = case.unknown
        gap = words(unknown("gap", 57))
        place = room = quanta(unknown("place", 44))
        sizes = []
        for name, kind in chain:
            sizes.append(quanta(unknown(f"{name}_size", 44)))
            case.assume(UGE(sizes[-1], BLOCK_MIN))
            if kind != "end":
                room = room + sizes[-1]
        room = room + quanta(unknown("rest", 44))
        case.assume(ULT(room, 1 << 48))
        self.top = wide(unknown("top", 11))
        case.assume(UGE(self.top, 64), ULT(self.top, BINS_MAX))
        bytes_ = HEADS + ((self.top + 1) << 3)
        if layout == "below":
            self.control = words(unknown("control", 57))
            self.low = self.control + gap
            case.assume(UGE(self.control, 4096), UGE(gap, bytes_ + 8))
            first, last = self.control, self.low + room
        else:
            self.low = quanta(unknown("low", 56), 56)
            self.control = self.low + gap
            case.assume(UGE(self.low, 4096))
            if layout == "above":
                case.assume(UGE(gap, room))
                first, last = self.low, self.control + ((bytes_ + 15) & ~15)
            else:
                case.assume(UGE(gap, 32), ULE(gap + bytes_ + 8, room))
                first, last = self.low, self.low + room
        case.assume(self.low[3:0] == 0)
        self.high, self.room = self.low + room, room
        self.cookie = Concat(number(1, 1), unknown("seal", 15), number(0, 48))
        self.limit = unknown("limit")
        for name, value in {
            "low": self.low, "quanta": LShR(room, 4), "high": self.high, "links_low": first,
            "links": LShR(last - first, 3), "cookie": self.cookie, "top_bin": self.top,
            "limit": self.limit,
        }.items():  # fmt: skip
            case.know(self.control + AT[name], ("control", name), value)
        for name in ("used", "peak", "live_blocks", "fl_bitmap", "absorber", "failed_requests"):
            case.before(self.control + AT[name], ("control", name))
        self.hole = (gap, gap + bytes_) if layout == "between" else None
        # All named blocks; of these, those that follow each other in the pool.
        self.blocks, self.chain = [], []
        # `after_any`: whether a free block lies before the first is left open.
        prev_free = unknown("prev_free", 1) if after_any else False
        for (name, kind), size in zip(chain, sizes):
            self.add(Block(name, self.low + place, place, size, kind), prev_free)
            place, prev_free = place + size, kind == "free"

    # Words.

    def head(self, bin_):
        return self.control + HEADS + (bin_ << 3)

    def bits(self, bin_):
        return self.control + AT["sl_bitmap"] + (LShR(bin_, 6) << 3)

    def header(self, size, flags):
        return Concat(number(1, 1), self.cookie[62:48], size[47:4], flags)

    # Blocks.

    def beside_control(self, offset, size):
        """A block, of at least this size, is apart from the control structure (I7). Where that lies
        below or above all pools, the bounds say so."""
        if self.hole:
            begin, end = self.hole
            self.case.assume(Or(ULE(offset + size, begin + HEADER), UGE(offset, end + HEADER)))

    def add(self, block, prev_free):
        """One of the adjacent blocks."""
        self.beside_control(block.offset, HEADER if block.kind == "end" else block.size)
        self.blocks.append(block)
        self.chain.append(block)
        block.flags = number({"free": FREE, "used": 0, "end": SENTINEL}[block.kind], 4)
        if isinstance(prev_free, bool):
            block.flags = number(block.flags.args[0] | PREV_FREE * prev_free, 4)
        else:
            block.flags = Concat(number(0, 2), prev_free, number(0, 1))
        self.know(block, -HEADER, self.header(block.size, block.flags))
        if block.kind == "free":
            self.know(block, block.size - 2 * WORD, block.at)

    def other(self, name, offset):
        """A free block elsewhere in the pools."""
        case = self.case
        new = Block(name, self.low + offset, offset, number(BLOCK_MIN), "free")
        case.assume(ULE(offset + BLOCK_MIN, self.room))
        self.beside_control(offset, BLOCK_MIN)
        for one in self.blocks:
            self.apart(offset, offset + BLOCK_MIN, one)
        self.blocks.append(new)
        return new

    def apart(self, offset, end, block):
        """Bytes of another block than this one (I6). So neither begins nor ends where this does,
        unless this is a pool's end, of no bytes: that follows, and answers many questions."""
        last = block.offset + (number(0) if block.kind == "end" else block.size)
        self.case.assume(Or(ULE(end, block.offset), ULE(last, offset)))
        if last.hash() != block.offset.hash():
            self.case.assume(offset != block.offset, end != last)

    def know(self, block, offset, value):
        return self.case.know(block.at + offset, block.region, value)

    def bin_of(self, block_at, offset, size):
        """The bin of a free block."""
        if self.case.choose("it is the wilderness", offset + size == self.room):
            return number(0)
        return self.bin_of_size(size)

    def bin_of_size(self, size):
        """The bin that a size maps to: an unknown, with its definition for the machine's part."""
        size = canon(size)
        bin_ = wide(self.case.unknown("bin", 11))
        self.case.assume(UGE(bin_, 2), ULE(bin_, self.top))
        exponent = wide(self.case.unknown("exponent", 6))
        self.case.exponents[size.hash()] = size, exponent
        self.case.names.append(bin_)
        self.case.sources |= size.variables | exponent.variables
        large = self.large_bin(size, exponent)
        self.case.definitions += [
            Or(ULT(size, LINEAR_BELOW), LShR(size, exponent) == 1),
            If(
                ULT(size, LINEAR_BELOW),
                bin_ == LShR(size, 4),
                bin_ == If(ULT(large, self.top), large, self.top),
            ),
        ]
        return bin_

    @staticmethod
    def large_bin(size, exponent):
        return ((exponent - 9) << 5) + LShR(size, exponent - 5)

    def below_top(self, size):
        """The bin of a size is not beyond the last one, where larger sizes are."""
        size, exponent = self.case.exponents[canon(size).hash()]
        return Or(ULT(size, LINEAR_BELOW), ULE(self.large_bin(size, exponent), self.top))

    def behind(self, block):
        """After a free block: a block in use or a pool's end, which knows of it (I4, I5)."""
        case = self.case
        size, end = case.unknown("behind", 44), case.unknown("behind_is_end", 1)
        flags = Concat(number(0, 1), end, number(PREV_FREE, 2))
        new = Block(
            f"behind {block.name}",
            block.at + block.size,
            block.offset + block.size,
            number(0),
            "used",
        )
        self.blocks.append(new)
        self.chain.append(new)
        self.beside_control(new.offset, HEADER)
        self.know(new, -HEADER, Concat(number(1, 1), self.cookie[62:48], size, flags))
        return new

    # Lists.

    def listed(self, *blocks, role=ANY):
        """The places of free blocks in their lists (I1, I2); the role is the first one's."""
        # All bins first: the blocks may be neighbours of each other in one list.
        for block in blocks:
            block.bin = self.bin_of(block.at, block.offset, block.size)
        for block in blocks:
            self.links(block, role)
            role = ANY
        for block in blocks:
            self.marked(block.bin, True)

    def links(self, block, role=ANY):
        case = self.case
        if self.is_wilderness(block):
            if False in role:
                raise Contradiction
            role = ALONE
        is_first, is_last = role
        next_, link = (case.word(block.at + o, block.region) for o in (0, WORD))
        if next_.value is None:
            if is_last is None:
                is_last = case.choose(
                    f"{block.name} is the last of its list",
                    case.unknown(f"{block.name}_last", 1) == 1,
                )
            if is_last:
                next_.value = canon(self.control)
            else:
                other = self.neighbour(f"next of {block.name}", block)
                next_.value = canon(other.at)
                self.know(other, WORD, block.at)
        if link.value is None:
            if is_first is None:
                is_first = case.choose(
                    f"{block.name} is the first of its list",
                    case.unknown(f"{block.name}_first", 1) == 1,
                )
            if is_first:
                link.value = canon(self.head(block.bin))
                case.know(self.head(block.bin), ("heads", ""), block.at)
            else:
                # Lists have no cycle: another one than the next.
                other = self.neighbour(f"the one before {block.name}", block, apart=next_.value)
                link.value = canon(other.at)
                self.know(other, 0, block.at)

    @staticmethod
    def is_wilderness(block):
        return block.bin.op == "BVV"

    def neighbour(self, name, block, bin_=None, apart=None):
        """Another free block of the same list: a known one, or any."""
        case = self.case
        bin_ = block.bin if block is not None else bin_
        offset = quanta(case.unknown(f"{name}_place", 44))
        for one in self.blocks:
            if (
                one is not block
                and one.kind == "free"
                and one.bin is not None
                and not (apart is not None and same(one.at, apart))
            ):
                if case.choose(f"{one.name} is in that bin", one.bin == bin_) and case.choose(
                    f"{name} is {one.name}", one.offset == offset
                ):
                    return one
        new = self.other(name, offset)
        new.bin = bin_
        return new

    def marked(self, bin_, is_):
        """The bits of a bin (I1)."""
        case = self.case
        bits = case.before(self.bits(bin_), ("bitmap", ""))
        first = case.before(self.control + AT["fl_bitmap"], ("control", ""))
        case.assume(
            (LShR(bits, bin_ & 63)[0] == 1) == (claripy.true() if is_ else claripy.false()),
            (LShR(first, LShR(bin_, 6))[0] == 1) == (bits != 0),
        )

    def headed(self, bin_):
        """A bin as it is before the call: empty, or with a first block."""
        case = self.case
        head = case.word(self.head(bin_), ("heads", ""))
        if head.value is not None:
            return
        # A wilderness that the scene does not name would end where a named block does.
        if bin_.op == "BVV" or case.choose("that bin is empty", case.unknown("empty", 1) == 1):
            head.value = canon(self.control)
            self.marked(bin_, False)
        else:
            first = self.neighbour("its first", None, bin_)
            head.value = canon(first.at)
            self.know(first, WORD, self.head(bin_))
            self.marked(bin_, True)

    def request(self, first, beyond):
        """A request that the instance serves, for a block of `first` to below `beyond` bytes: its
        bytes, and the size of the block."""
        case = self.case
        bytes_ = case.unknown("bytes")
        case.assume(UGE(bytes_, 1), ULE(bytes_, self.limit), ULE(self.limit, 1 << 47))
        size = quanta(case.unknown("size", 44))
        padded = bytes_ + HEADER
        case.assume(
            If(
                ULE(padded, BLOCK_MIN),
                size == BLOCK_MIN,
                And(ULE(padded, size), ULT(size - padded, QUANTUM)),
            ),
            UGE(size, first),
            ULT(size, beyond),
        )
        case.names.append(size)
        case.sources |= bytes_.variables
        return bytes_, size

    def empty(self, bin_):
        """A bin without a block."""
        self.case.know(self.head(bin_), ("heads", ""), self.control)
        self.marked(bin_, False)

    def inside(self, block, size):
        """The words of a block that are written where it is cut."""
        for offset in (size - HEADER, size, size + WORD):
            self.case.word(block.at + offset, block.region)

    def none_between(self, own, bin_):
        """No bin from `own` to below this one has a block; None: none at all above."""
        case = self.case
        group = LShR(own, 6)
        bits = case.before(self.bits(own), ("bitmap", ""))
        first = case.before(self.control + AT["fl_bitmap"], ("control", ""))
        rest = LShR(bits, own & 63)
        case.assume((LShR(first, group)[0] == 1) == (bits != 0))
        if bin_ is None:
            case.assume(rest == 0, LShR(first, group + 1) == 0)
            return
        case.assume(ULT(own, bin_))
        if case.choose("found in the word of its own bin", LShR(bin_, 6) == group):
            case.assume(rest & ((number(1) << (bin_ - own)) - 1) == 0)
            return
        found = case.before(self.bits(bin_), ("bitmap", ""))
        case.assume(
            rest == 0,
            found & ((number(1) << (bin_ & 63)) - 1) == 0,
            LShR(first, group + 1) & ((number(1) << (LShR(bin_, 6) - group - 1)) - 1) == 0,
        )


class After:
    """Memory after an operation, by the short program for it."""

    def __init__(self, heap):
        self.heap, self.case, self.words, self.result = heap, heap.case, {}, None
        # Blocks no longer free; newly free, and what lies behind them; in use with another size;
        # bins that have changed.
        self.taken, self.freed, self.behind, self.used = [], [], [], []
        self.bins, self.change = [], None

    def read(self, address):
        word, rest = self.case.find(address)
        if word is None or rest:
            raise Undecided(f"the scene does not know a word: {address}")
        if word in self.words:
            return self.words[word]
        return self.case.before(address, word.region)

    def write(self, address, value):
        word, rest = self.case.find(address)
        if word is None or rest:
            raise Undecided(f"the scene does not know a word: {address}")
        self.words[word] = canon(value)

    def add(self, name, value):
        self.write(self.heap.control + AT[name], self.read(self.heap.control + AT[name]) + value)

    def unlink(self, block):
        heap, end = self.heap, canon(self.heap.control)
        self.taken.append(block)
        self.bins.append(block.bin)
        link, next_ = self.read(block.at + WORD), self.read(block.at)
        self.write(link, next_)
        if not same(next_, end):
            self.write(next_ + WORD, link)
        elif self.case.surely(link == heap.head(block.bin)):
            self.mark(block.bin, False)

    def mark(self, bin_, is_):
        heap = self.heap
        word = self.case.word(heap.bits(bin_), ("bitmap", ""))
        first = heap.control + AT["fl_bitmap"]
        bit, group = number(1) << (bin_ & 63), number(1) << LShR(bin_, 6)
        old = self.read(word.address)
        new = old | bit if is_ else old & ~bit
        self.write(word.address, new)
        was = self.read(first)
        self.write(first, was | group if is_ else If(new == 0, was & ~group, was))

    def count(self, used, live):
        self.change = used, number(live & (1 << 64) - 1)
        self.add("used", used)
        if live:
            self.add("live_blocks", self.change[1])

    def count_peak(self):
        used, peak = (self.read(self.heap.control + AT[name]) for name in ("used", "peak"))
        self.write(self.heap.control + AT["peak"], If(UGE(peak, used), peak, used))

    def list(self, name, at, offset, size):
        """Forms a free block, and makes it the first of its list."""
        heap = self.heap
        self.form_free(at, size)
        bin_ = heap.bin_of(at, offset, size)
        if bin_.op == "BVV":
            heap.headed(bin_)
            self.write(at, heap.control)
            self.write(at + WORD, heap.head(bin_))
            self.write(heap.head(bin_), at)
            self.write(heap.control + AT["absorber"], number(0))
        else:
            heap.headed(bin_)
            word = self.case.word(heap.head(bin_), ("heads", ""))
            old = self.read(word.address)
            self.write(at, old)
            self.write(at + WORD, word.address)
            self.write(word.address, at)
            self.write(old + WORD, at)
        self.mark(bin_, True)
        new = Block(name, at, offset, size, "free")
        new.bin = bin_
        self.bins.append(bin_)
        self.freed.append(new)
        self.behind.append(at + size)

    def bury(self, block):
        """A tombstone where a block began that is now inside a free one: no invariant asks for it,
        but a second free of that block is found by it."""
        self.write(block.at - HEADER, number(FREE) ^ self.heap.cookie)

    def use(self, name, at, size, flags):
        """Forms a block in use."""
        self.write(at - HEADER, self.heap.header(size, flags))
        self.used.append(Block(name, at, None, size, "used"))

    def form_free(self, at, size):
        heap = self.heap
        self.write(at - HEADER, heap.header(size, number(FREE, 4)))
        self.write(at + size - 2 * WORD, at)
