"""The memory of a symbolic run: every word of the heap that a scene does not fix may hold anything.

angr's own memory would pick addresses for symbolic pointers and lose cases. Here each access to the
heap bypasses it: a write is appended to a log, and a read is the last write to that address, or
else the scene's word there, or else an unknown. Nothing is picked, so the proof holds for every
heap that the scene admits.
"""

import angr
import claripy

from heap import FREE, PREV_FREE, SEAL_BITS, WORD

SCRATCH = 0x7000_0000


class Violated(Exception):
    """A property does not hold; the text names it, with a witness."""


class Memory:
    def __init__(self, scene):
        heap = self.heap = scene.heap
        self.control = heap.image()
        self.known = scene.known  # address -> expression: words of the pool that the scene fixes
        self.free = scene.free
        self.unknown = {}
        self.violations = []

    def attach(self, state):
        state.globals["log"] = ()
        state.globals["unknown"] = {}
        state.inspect.b("mem_read", when=angr.BP_BEFORE, action=self.on_read)
        state.inspect.b("mem_write", when=angr.BP_BEFORE, action=self.on_write)
        state.memory.store(SCRATCH, claripy.BVV(0, 512), inspect=False, disable_actions=True)

    # The heap's addresses.

    def is_heaps(self, state, address):
        if address.concrete:
            return self.heap.control <= address.concrete_value < self.heap.end
        # Nothing else is reached by an unknown address: the program's own memory would read as
        # unknown here.
        return True

    def inside(self, address, length):
        """The bytes are the control structure's or the pool's from its first header on."""
        control_end = self.heap.control + self.heap.control_bytes
        first = self.heap.first - WORD
        return claripy.Or(
            claripy.And(
                claripy.UGE(address, self.heap.control), claripy.ULE(address, control_end - length)
            ),
            claripy.And(claripy.UGE(address, first), claripy.ULE(address, self.heap.end - length)),
        )

    # Words.

    def initial(self, state, address):
        if address.concrete:
            value = address.concrete_value
            if value in self.known:
                return self.known[value]
            for first, end, word in self.control:
                if first <= value < end:
                    return claripy.BVV(word, 64)
            return self.anything(state, address)
        value = self.anything(state, address)
        for place, word in self.known.items():
            if self.may_meet(state, claripy.BVV(place, 64), address):
                value = claripy.If(address == place, word, value)
        if self.region(state, address) == "pool":
            return value
        for first, end, content in self.runs(state, address, self.control):
            inside = claripy.And(claripy.UGE(address, first), claripy.ULT(address, end))
            value = claripy.If(inside, claripy.BVV(content, 64), value)
        return value

    def free_blocks_end_well(self, state):
        """Each free block ends with a ghost that holds its address, followed by the header of a
        block in use that marks it as free."""
        wanted = []
        for block, size in self.free:
            end = block + size
            header = self.initial(state, end - WORD) ^ self.heap.seal
            wanted += [
                self.initial(state, end - 2 * WORD) == block,
                header & (SEAL_BITS | PREV_FREE | FREE) == PREV_FREE,
            ]
        return wanted

    def runs(self, state, address, runs):
        """The runs of the control structure that the address may lie in."""
        inside = claripy.And(claripy.UGE(address, runs[0][0]), claripy.ULT(address, runs[-1][1]))
        if not self.may_be(state, inside):
            return []
        if len(runs) == 1:
            return runs
        middle = len(runs) // 2
        return self.runs(state, address, runs[:middle]) + self.runs(state, address, runs[middle:])

    @staticmethod
    def may_be(state, condition):
        if condition.is_true() or condition.is_false():
            return condition.is_true()
        return state.solver.satisfiable(extra_constraints=[condition])

    def unique(self, state, address):
        """The address as a number, where this path allows only one."""
        if address.concrete:
            return address
        value = state.solver.eval(address)
        return address if self.may_be(state, address != value) else claripy.BVV(value, 64)

    def anything(self, state, address):
        """The unknown at this address: the same for every expression of the address."""
        key = address.hash()
        path = state.globals["unknown"]
        if key not in path:
            new = self.unknown.setdefault(key, claripy.BVS(f"memory_{len(self.unknown)}", 64))
            for place, word in path.values():
                if self.distance(place, address) == 0:
                    new = word
                    break
                if self.may_meet(state, place, address):
                    new = claripy.If(place == address, word, new)
            # Replaced, not changed in place: copies of the path share it.
            state.globals["unknown"] = path | {key: (address, new)}
        return state.globals["unknown"][key][1]

    @staticmethod
    def distance(one, other):
        """The distance of two addresses, if simplification alone yields it."""
        difference = claripy.simplify(one - other)
        return difference.concrete_value if difference.concrete else None

    def may_meet(self, state, one, other):
        """Whether the two may be the same word on this path."""
        if one.concrete and other.concrete:
            return one.concrete_value == other.concrete_value
        regions = self.region(state, one), self.region(state, other)
        if None not in regions and regions[0] != regions[1]:
            return False
        distance = self.distance(one, other)
        return self.may_be(state, one == other) if distance is None else distance == 0

    def region(self, state, address):
        """The part of the heap that the address lies in on this path: fixed part of the control
        structure, heads, pool; None: several are possible."""
        if address.concrete:
            return self.region_of(address.concrete_value)[0]
        key = ("region", address.hash())
        if key not in state.globals:
            name, first, end = self.region_of(state.solver.eval(address))
            outside = claripy.Or(claripy.ULT(address, first), claripy.UGE(address, end))
            state.globals[key] = None if self.may_be(state, outside) else name
        return state.globals[key]

    def region_of(self, value):
        if value < self.heap.control:
            return "below", 0, self.heap.control
        if value < self.heap.heads:
            return "fixed", self.heap.control, self.heap.heads
        if value < self.heap.pool_start:
            return "heads", self.heap.heads, self.heap.pool_start
        return "pool", self.heap.pool_start, (1 << 64) - 1

    def read(self, state, address):
        value = self.initial(state, address)
        for entry in state.globals["log"]:
            if entry[0] == "word":
                _, place, word = entry
                if not self.may_meet(state, place, address):
                    continue
                value = claripy.If(place == address, word, value)
            else:
                _, start, length = entry
                covered = claripy.ULT(address - start, length)
                value = claripy.If(covered, claripy.BVS("copied", 64), value)
        return value

    def split(self, state, address):
        """The word that the address lies in, and its offset there, which must be unique on the
        path."""
        # Simplification alone mostly yields it, and is far faster than the solver.
        low = claripy.simplify(address[2:0])
        rest = [low.concrete_value] if low.concrete else state.solver.eval_upto(low, 2)
        if len(rest) != 1:
            self.must(state, low == rest[0], f"an access at {state.addr:#x} may be misaligned")
        return address - rest[0], rest[0]

    # Called by angr.

    def on_read(self, state):
        address, length = state.inspect.mem_read_address, self.length(
            state, state.inspect.mem_read_length
        )
        if not self.is_heaps(state, address):
            return
        address = self.unique(state, address)
        place, rest = self.split(state, address)
        words = []
        while len(words) * WORD < rest + length:
            words.append(self.read(state, place + WORD * len(words)))
        for index, word in enumerate(words):
            state.memory.store(
                SCRATCH + index * WORD, word, endness="Iend_LE", inspect=False, disable_actions=True
            )
        state.inspect.mem_read_address = claripy.BVV(SCRATCH + rest, 64)

    def on_write(self, state):
        address, length = state.inspect.mem_write_address, state.inspect.mem_write_length
        expression = state.inspect.mem_write_expr
        length = len(expression) // 8 if length is None else self.length(state, length)
        if address.concrete and not self.is_heaps(state, address):
            return
        address = self.unique(state, address)
        self.must(
            state, self.inside(address, length), f"a write at {state.addr:#x} leaves the heap"
        )
        place, rest = self.split(state, address)
        value = (
            claripy.Reverse(expression)
            if state.inspect.mem_write_endness == "Iend_BE"
            else expression
        )
        done = 0
        while done < length:
            count = min(WORD - rest, length - done)
            part = value[(done + count) * 8 - 1 : done * 8]
            if count < WORD:
                old = self.read(state, place)
                pieces = [old[63 : (rest + count) * 8]] if rest + count < WORD else []
                pieces.append(part)
                if rest:
                    pieces.append(old[rest * 8 - 1 : 0])
                part = claripy.Concat(*pieces)
            state.globals["log"] += (("word", place, part),)
            done, rest, place = done + count, 0, place + WORD
        state.inspect.mem_write_address = claripy.BVV(SCRATCH + 64, 64)

    @staticmethod
    def length(state, length):
        return length if isinstance(length, int) else state.solver.eval_one(length)

    def bulk(self, state, start, length, what):
        """memset, memcpy or memmove to `start`: inside the pool, then unknown."""
        end = start + length
        inside = claripy.And(
            claripy.UGE(start, self.heap.first),
            claripy.UGE(end, start),
            claripy.ULE(end, self.heap.end - WORD),
        )
        self.must(state, claripy.Or(length == 0, inside), f"{what} leaves the pool")
        state.globals["log"] += (("bulk", start, length),)

    def must(self, state, property_, text):
        """The property holds on this path for every value, or is noted with a witness; the path
        goes on with the values for which it holds."""
        if state.solver.satisfiable(extra_constraints=[claripy.Not(property_)]):
            witness = ", ".join(
                f"{name} {state.solver.eval(value, extra_constraints=[claripy.Not(property_)]):#x}"
                for name, value in state.globals["inputs"]
            )
            self.violations.append(f"{text} ({witness})")
            state.add_constraints(property_)
