# memoman's heaps in gdb and lldb: on a live process, a core dump, or a target behind a probe.
#
#   (gdb) source memoman.py             (lldb) command script import memoman.py
#
#   memoman heap [HEAP]     figures of a heap, and where it is damaged
#   memoman map [HEAP]      its blocks drawn, in address order
#   memoman block PTR [HEAP]  the block that holds an address
#
# HEAP is an expression: a handle of mm_create…, or the address of its memory. Without one, the
# heaps of the _global functions or the shim. Nothing in the program is called or changed, and the
# library needs no debug information.
#
# SPDX-License-Identifier: MIT OR Apache-2.0

import shlex

try:
    import gdb
except ImportError:
    gdb = None
try:
    import lldb
except ImportError:
    lldb = None

MAGIC = b"memoman\0"
CHUNK = 1 << 16
ROW = 64


class Trouble(Exception):
    """What cannot be done, in one line."""


class Memory:
    """The program's memory, read in chunks that are kept."""

    def __init__(self, read, word, order):
        self.read, self.word, self.order, self.chunks = read, word, order, {}

    def bytes(self, at, count):
        start = at & ~(CHUNK - 1)
        if at + count <= start + CHUNK:
            if start not in self.chunks:
                try:
                    self.chunks[start] = self.read(start, CHUNK)
                except Exception:
                    self.chunks[start] = None
                if len(self.chunks) > 256:
                    self.chunks.pop(next(iter(self.chunks)))
            chunk = self.chunks.get(start)
            if chunk is not None:
                return chunk[at - start : at - start + count]
        try:
            return self.read(at, count)
        except Exception:
            raise Trouble(f"no memory at {at:#x}") from None

    def number(self, at, size=None):
        return int.from_bytes(self.bytes(at, size or self.word), self.order)


class Layout:
    """Where the words lie: from `memoman_published`, or those of version 2."""

    NAMES = (
        "bytes word quantum header block_min size_bits free prev_free sentinel control low cookie"
        " top_bin max_size used peak live_blocks failed_requests first_pool pool_bytes overhead"
        " pool_next pool_prev pool_control pool_end pool_first"
    ).split()

    def __init__(self, memory, published=None):
        self.before_control, self.process, self.heaps = 0, 0, 0
        if published and memory.bytes(published, 8) == MAGIC:
            version = memory.number(published + 8, 4)
            if version != 2:
                raise Trouble(f"memoman_published has version {version}, this script knows 2")
            at = published + 16
            for name in self.NAMES:
                setattr(self, name, memory.number(at, 4))
                at += 4
            at = published + 16 + self.bytes
            for name in (
                "heap_next heap_control heap_classes class_bytes class_left heap_rooms classes"
                " before_control"
            ).split():
                setattr(self, name, memory.number(at, 4))
                at += 4
            at += -at % memory.word
            self.process = memory.number(at)
            self.heaps = memory.number(at + memory.word)
            if self.word != memory.word:
                raise Trouble("memoman_published is of another word size")
            return
        word = memory.word
        self.word, self.quantum, self.header, self.block_min = word, 2 * word, word, 4 * word
        self.size_bits = 48 if word == 8 else 32
        self.free, self.prev_free, self.sentinel = 1, 2, 4
        self.cookie, self.top_bin, self.max_size = 7 * word, 8 * word, 9 * word
        self.used, self.peak, self.live_blocks = 0, 11 * word, 12 * word
        self.failed_requests = (14 + (20 if word == 8 else 25)) * word
        self.first_pool = self.failed_requests + word
        self.pool_bytes, self.overhead = self.first_pool + 2 * word, self.first_pool + 3 * word
        self.pool_next, self.pool_prev, self.pool_control = 0, word, 2 * word
        self.pool_end, self.pool_first = 3 * word, 6 * word


class Heap:
    def __init__(self, memory, layout, handle):
        self.memory, self.layout = memory, layout
        # The debug library's handle lies before the control structure.
        places = dict.fromkeys([handle + layout.before_control, handle])
        for control in places:
            pool = memory.number(control + layout.first_pool)
            if memory.number(control + layout.max_size) == 0:
                continue
            if not 0 < memory.number(control + layout.top_bin) < 4096:
                continue
            try:
                if pool == 0 or memory.number(pool + layout.pool_control) == control:
                    break
            except Trouble:
                continue
        else:
            raise Trouble(f"no heap at {handle:#x}: no live handle, or overwritten memory")
        self.handle, self.control = handle, control
        self.cookie = self.word("cookie") if layout.word == 8 else 0

    def word(self, name):
        return self.memory.number(self.control + getattr(self.layout, name))

    def pools(self):
        layout, memory = self.layout, self.memory
        pool, last = self.word("first_pool"), 0
        while pool:
            if pool <= last or memory.number(pool + layout.pool_control) != self.control:
                yield pool, None
                return
            end = memory.number(pool + layout.pool_end) & ~(layout.quantum - 1)
            yield pool, end
            last, pool = pool, memory.number(pool + layout.pool_next)

    def blocks(self, pool, end):
        """(payload, size, is free, what is wrong) of each block; ends at the first fault."""
        layout, memory = self.layout, self.memory
        at, before = pool + layout.pool_first, False
        while True:
            raw = memory.number(at - layout.header)
            header = raw ^ self.cookie
            size, flags = header & ~(layout.quantum - 1), header & (layout.quantum - 1)
            wrong = None
            if at == end:
                if not flags & layout.sentinel or size != at - pool:
                    yield at, 0, False, f"sentinel overwritten: the word there is {raw:#x}"
                return
            if size < layout.block_min or size > end - at or flags & ~3:
                wrong = f"header overwritten: the word before the payload is {raw:#x}"
            elif bool(flags & layout.prev_free) != before:
                wrong = "PREV_FREE does not match the previous block"
            elif before and flags & layout.free:
                wrong = "adjacent free blocks"
            if wrong:
                yield at, 0, False, wrong
                return
            before = bool(flags & layout.free)
            yield at, size, before, None
            at += size

    def all_blocks(self, show):
        for index, (pool, end) in enumerate(self.pools()):
            if end is None:
                show(f"  BROKEN pool {index} at {pool:#x}: header overwritten")
                return
            for at, size, free, wrong in self.blocks(pool, end):
                if wrong:
                    show(f"  BROKEN in pool {index}, block {at:#x}: {wrong};"
                         " the rest of the pool is not shown")
                else:
                    yield index, pool, end, at, size, free

    def figures(self, show, title):
        used = free = live = gaps = largest = squares = 0
        damage = []
        for _, _, _, _, size, is_free in self.all_blocks(damage.append):
            if is_free:
                free, gaps, largest = free + size, gaps + 1, max(largest, size)
                squares += size * size
            else:
                used, live = used + size, live + 1
        fragmentation = 1 - squares / (free * free) if free else 0
        pools = sum(1 for _ in self.pools())
        show(f"{title} {self.handle:#x}: {pools} pools, {self.word('pool_bytes')} bytes")
        show(f"  in use: {live} blocks, {used} bytes; peak {self.word('peak')};"
             f" refused {self.word('failed_requests')}")
        show(f"  free: {gaps} blocks, {free} bytes, largest {largest},"
             f" fragmentation {fragmentation:.3f}")
        for line in damage:
            show(line)
        counted = (self.word("live_blocks"), self.word("used"))
        if not damage and counted != (live, used):
            show(f"  BROKEN counters: {counted[0]} blocks, {counted[1]} bytes in use")

    def draw(self, show, title):
        show(f"{title} {self.handle:#x}")
        row, start, last = "", 0, None
        for index, pool, end, at, size, free in self.all_blocks(show):
            if index != last:
                if row:
                    show(f"  {start:#x} {row}")
                row, last, unit = "", index, 32
                while unit < (end - pool) // (ROW * 32):
                    unit *= 2
                show(f"  pool {index} at {pool:#x}, {end - pool} bytes;"
                     f" a character is up to {unit} bytes: # in use, . free")
            text = ("." if free else "#") * -(-size // unit) + "|"
            for offset, character in enumerate(text):
                if not row:
                    start = at + min(offset * unit, size)
                row += character
                if len(row) == ROW:
                    show(f"  {start:#x} {row}")
                    row = ""
        if row:
            show(f"  {start:#x} {row}")

    def find(self, address, show):
        layout = self.layout
        for index, pool, end, at, size, free in self.all_blocks(show):
            start = at - layout.header
            if start <= address < start + size:
                state = "free" if free else "in use"
                place = address - at
                where = f"byte {place} of" if place >= 0 else "the header of"
                show(f"{address:#x} is {where} a block {state}: payload {at:#x},"
                     f" {size - layout.header} usable bytes, pool {index} of heap"
                     f" {self.handle:#x}")
                return True
        return False


class Target:
    """What a debugger offers."""

    def heaps(self, arguments):
        """(heap, its title) for each heap that the arguments name."""
        memory = self.memory()
        layout = Layout(memory, self.address("memoman_published"))
        if arguments:
            return [(Heap(memory, layout, self.evaluate(arguments[0])), "heap")]
        if not layout.process:
            raise Trouble("name a heap: the symbol memoman_published is not in this program")
        found = []
        if memory.number(layout.process + layout.before_control + layout.max_size):
            found.append((Heap(memory, layout, layout.process), "process-wide heap"))
        heap = memory.number(layout.heaps) if layout.heaps else 0
        while heap:
            found.append((Heap(memory, layout, heap + layout.heap_control), "thread heap"))
            heap = memory.number(heap + layout.heap_next)
        if not found:
            raise Trouble("no call for memory has been made yet")
        return found


def run(target, text, show):
    words = shlex.split(text)
    known = {"heap": 0, "map": 0, "block": 1}
    try:
        if not words or words[0] not in known or len(words) < 1 + known[words[0]]:
            raise Trouble("memoman heap [HEAP] | map [HEAP] | block PTR [HEAP]")
        name, arguments = words[0], words[1:]
        if name == "block":
            address = target.evaluate(arguments.pop(0))
            # A thread's heap lies in a block of the process-wide one.
            for heap, _ in reversed(target.heaps(arguments)):
                if heap.find(address, show):
                    return
            show(f"{address:#x} is in no block")
            return
        for heap, title in target.heaps(arguments):
            (heap.figures if name == "heap" else heap.draw)(show, title)
    except Trouble as trouble:
        show(f"memoman: {trouble}")


if gdb:

    class GdbTarget(Target):
        def memory(self):
            inferior = gdb.selected_inferior()
            word = gdb.lookup_type("char").pointer().sizeof
            order = gdb.execute("show endian", to_string=True)
            return Memory(
                lambda at, count: inferior.read_memory(at, count).tobytes(),
                word,
                "big" if "big" in order else "little",
            )

        def address(self, symbol):
            try:
                return int(gdb.parse_and_eval(f"(unsigned long)&{symbol}"))
            except gdb.error:
                return 0

        def evaluate(self, expression):
            try:
                value = gdb.parse_and_eval(expression)
                if value.type.strip_typedefs().code == gdb.TYPE_CODE_ARRAY:
                    return int(value.address)
                return int(value) & (1 << 8 * gdb.lookup_type("char").pointer().sizeof) - 1
            except gdb.error as error:
                raise Trouble(f"{expression}: {error}") from None

    class MemomanCommand(gdb.Command):
        """memoman heap [HEAP] | map [HEAP] | block PTR [HEAP]: memoman's heaps."""

        def __init__(self):
            super().__init__("memoman", gdb.COMMAND_DATA)

        def invoke(self, argument, from_tty):
            run(GdbTarget(), argument, print)

    MemomanCommand()


if lldb:

    class LldbTarget(Target):
        def __init__(self, debugger):
            self.target = debugger.GetSelectedTarget()
            self.process = self.target.GetProcess()

        def memory(self):
            def read(at, count):
                error = lldb.SBError()
                data = self.process.ReadMemory(at, count, error)
                if error.Fail() or len(data) != count:
                    raise Trouble(f"no memory at {at:#x}")
                return bytes(data)

            big = self.process.GetByteOrder() == lldb.eByteOrderBig
            return Memory(read, self.target.GetAddressByteSize(), "big" if big else "little")

        def address(self, symbol):
            for context in self.target.FindSymbols(symbol):
                at = context.GetSymbol().GetStartAddress().GetLoadAddress(self.target)
                if at != lldb.LLDB_INVALID_ADDRESS:
                    return at
            return 0

        def evaluate(self, expression):
            frame = self.process.GetSelectedThread().GetSelectedFrame()
            value = frame.EvaluateExpression(f"(unsigned long)({expression})")
            if value.GetError().Fail():
                raise Trouble(f"{expression}: {value.GetError().GetCString()}")
            return value.GetValueAsUnsigned()

    def lldb_memoman(debugger, command, result, internal):
        """memoman heap [HEAP] | map [HEAP] | block PTR [HEAP]: memoman's heaps."""
        run(LldbTarget(debugger), command, lambda line: result.AppendMessage(line))

    def __lldb_init_module(debugger, internal):
        debugger.HandleCommand(f"command script add -f {__name__}.lldb_memoman memoman")
