"""The machine code of one function, run over the words of a case.

Nothing is enumerated: the address of each access is shown to be that of one word of the case, or
the value that is read is an unknown, or there is no proof. A write must reach a known word.
"""

import logging

logging.disable(logging.CRITICAL)  # angr warns of a missing accelerator that is not needed here

import angr
import claripy

from step.words import Undecided, canon, linear, number

BASE = 0x4000_0000
RETURN = 0x6666_1000
SCRATCH = 0x7000_0000
STEPS = 400  # basic blocks of all paths of a case: more than any has
WORD = 8
FORMULAS = ("If", "Concat", "ZeroExt", "LShR", "__and__", "__add__", "__or__")


class Machine:
    def __init__(self, path):
        self.project = angr.Project(path, auto_load_libs=False, main_opts={"base_addr": BASE})
        self.hook_bits()

    def hook_bits(self):
        """Bit scans and bit tests of registers get formulas that solvers decide fast."""
        loader, arch = self.project.loader, self.project.arch
        for section in loader.main_object.sections:
            if not section.is_executable:
                continue
            code = loader.memory.load(section.vaddr, section.memsize)
            for one in arch.capstone.disasm(code, section.vaddr):
                if "[" in one.op_str or one.mnemonic not in HOOKS:
                    continue
                target, source = one.op_str.split(", ")
                if source[0].isalpha():
                    run = HOOKS[one.mnemonic](one.mnemonic, target, source)
                    self.project.hook(one.address, run, length=one.size)

    def run(self, case, function, arguments):
        """All paths of the function in a case, as states at its return."""
        options = angr.options
        state = self.project.factory.call_state(
            self.project.loader.find_symbol(function).rebased_addr,
            *arguments,
            ret_addr=RETURN,
            add_options={
                options.ZERO_FILL_UNCONSTRAINED_REGISTERS,
                options.ZERO_FILL_UNCONSTRAINED_MEMORY,
                options.LAZY_SOLVES,
                options.SYMBOLIC_WRITE_ADDRESSES,
            },
            remove_options={options.COMPOSITE_SOLVER},
        )
        # The sanitizers' weak functions are absent.
        for one in self.project.loader.main_object.relocs:
            if one.symbol is not None and one.symbol.name.startswith("__asan_"):
                state.memory.store(one.rebased_addr, number(0), endness="Iend_LE")
        state.memory.store(SCRATCH, number(0, 1024), inspect=False, disable_actions=True)
        state.globals["path"] = Path(case)
        state.inspect.b("mem_read", when=angr.BP_BEFORE, action=on_read)
        state.inspect.b("mem_write", when=angr.BP_BEFORE, action=on_write)
        state.inspect.b("tmp_write", when=angr.BP_BEFORE, action=on_value)
        work, ends, steps = [state], [], 0
        while work:
            state = work.pop()
            if state.addr == RETURN:
                ends.append(state)
                continue
            steps += 1
            if steps > STEPS:
                raise Undecided("more steps than any call takes")
            after = self.project.factory.successors(state)
            if after.unconstrained_successors:
                raise Undecided(f"a jump to anywhere after {state.addr - BASE:#x}")
            following = [
                one
                for one in after.successors + after.unsat_successors
                if not one.history.jump_guard.is_false()
            ]
            for one in following:
                one.globals["path"] = one.globals["path"].copy()
            # A condition that holds in every heap of the path adds nothing to it.
            if len(following) > 1:
                following = [
                    one for one in following if one.globals["path"].possible(one.history.jump_guard)
                ]
            if len(following) > 1:
                for one in following:
                    one.globals["path"].assume(one.history.jump_guard)
            work += following
        return ends


class Path:
    """What a path knows beside its case, and what it has written."""

    def __init__(self, case, facts=(), after=None, places=None, names=None, solution=None):
        self.case, self.facts, self.solution = case, tuple(facts), solution
        self.after, self.places, self.names = dict(after or {}), dict(places or {}), names or {}

    def copy(self):
        return Path(
            self.case, self.facts, self.after, self.places, dict(self.names), self.solution
        )

    def assume(self, *facts):
        facts = [one for one in map(canon, facts) if not one.is_true()]
        self.facts += tuple(facts)
        if self.solution and not all(map(self.solution.holds, facts)):
            self.solution = None

    def possible(self, *more):
        """Whether a heap of the case comes here, and these hold in it."""
        more, case = [canon(one) for one in more], self.case
        if any(one.hash() in case.denied for one in more):
            return False
        if self.solution and all(map(self.solution.holds, more)):
            return True
        # Mostly the answer does not depend on what sizes the bins mean, and then comes faster.
        if more and not case.solver.satisfiable([*case.facts, *self.facts], *more):
            return False
        found = case.solver.solve([*case.facts, *case.definitions, *self.facts], *more)
        self.solution = self.solution or found
        return found is not None

    def surely(self, condition):
        condition = canon(condition)
        return condition.is_true() or not self.possible(claripy.Not(condition))

    def locate(self, address):
        """The word of the case at this address, and the bytes into it; None: it may be another."""
        address = canon(address)
        key = address.hash()
        if key not in self.places:
            self.places[key] = self.search(address)
        return self.places[key]

    def search(self, address):
        word, rest = self.case.find(address)
        if word:
            return word, rest
        # A word at another place in one solution is not the one.
        if not self.possible():
            raise Undecided("a path that cannot be taken")
        solution = self.solution
        value = solution.value(address)
        for word in self.case.order:
            if value == solution.value(word.address) and self.surely(address == word.address):
                return word, 0
        return None, 0

    def named(self, term):
        """The scene's unknown that the code has computed with this term, or the term."""
        key = term.hash()
        if key not in self.names:
            name = self.search_name(canon(term))
            self.names[key] = term if name is None else name
        return self.names[key]

    def search_name(self, term):
        if not self.possible():
            raise Undecided("a path that cannot be taken")
        solution = self.solution
        value = solution.value(term)
        for name in self.case.names:
            if value == solution.value(name) and self.surely(term == name):
                return name
        return None

    def exponent(self, operand):
        """The known exponent of a size that this surely is."""
        if len(operand) != 64:
            return None
        for size, exponent in self.case.exponents.values():
            if operand.hash() == size.hash() or self.surely(operand == size):
                return exponent
        return None

    def value(self, word):
        if word not in self.after:
            if word.value is None:
                word.value = self.case.unknown("word")
            return word.value
        return self.after[word]


def ours(address):
    """Not the stack, nor the library's own memory: their addresses are numbers."""
    return bool(linear(canon(address))[0])


def on_value(state):
    """Formulas for the request's size and for bins become the scene's unknowns for them, so that
    what the code computes from them has the scene's terms."""
    term = state.inspect.tmp_write_expr
    path = state.globals["path"]
    if term is None or len(term) != 64 or term.op not in FORMULAS:
        return
    if path.case.sources.isdisjoint(term.variables) or plain(term):
        return
    path = state.globals["path"] = path.copy()
    state.inspect.tmp_write_expr = path.named(term)


def plain(term):
    """A multiple of an unknown that the scene names."""
    return all(
        not isinstance(one, claripy.ast.Base) or one.op in ("BVS", "BVV") for one in term.args
    )


def on_read(state):
    address, length = state.inspect.mem_read_address, state.inspect.mem_read_length
    if not ours(address):
        return
    path = state.globals["path"] = state.globals["path"].copy()
    word, rest = path.locate(address)
    words, done = [], 0
    while done < rest + length:
        here, _ = path.locate(address + (done - rest)) if done else (word, 0)
        words.append(path.value(here) if here else path.case.unknown("anything"))
        done += WORD
    for index, value in enumerate(words):
        state.memory.store(
            SCRATCH + WORD * index, value, endness="Iend_LE", inspect=False, disable_actions=True
        )
    state.inspect.mem_read_address = number(SCRATCH + rest)


def on_write(state):
    address, value = state.inspect.mem_write_address, state.inspect.mem_write_expr
    if not ours(address):
        return
    path = state.globals["path"] = state.globals["path"].copy()
    if state.inspect.mem_write_endness == "Iend_BE":
        value = claripy.Reverse(value)
    done, length = 0, len(value) // 8
    while done < length:
        word, rest = path.locate(address + done)
        if word is None:
            raise Undecided(f"a write at {state.addr - BASE:#x} to a word that is not known")
        count = min(WORD - rest, length - done)
        part = value[(done + count) * 8 - 1 : done * 8]
        if count < WORD:
            old = path.value(word)
            parts = [old[63 : (rest + count) * 8]] if rest + count < WORD else []
            parts += [part] + ([old[rest * 8 - 1 : 0]] if rest else [])
            part = claripy.Concat(*parts)
        path.after[word] = canon(part)
        done += count
    state.inspect.mem_write_address = number(SCRATCH + 256)


def whole(name):
    """The 64-bit register that this is, or is the lower half of."""
    if name.startswith("e"):
        return f"r{name[1:]}"
    return name.removesuffix("d") if name[1].isdigit() else name


def set_flags(state, carry):
    # Operation 0 is "the flags as they are given".
    state.regs.cc_op = 0
    state.regs.cc_dep1 = carry
    state.regs.cc_dep2 = state.regs.cc_ndep = 0


def scan(mnemonic, target, source):
    def run(state):
        operand = canon(getattr(state.regs, source))
        width = len(operand)
        path = state.globals["path"] = state.globals["path"].copy()
        if not path.surely(operand != 0):
            raise Undecided(f"a scan of zero at {state.addr - BASE:#x}")
        bit = path.exponent(operand) if mnemonic == "bsr" else None
        if bit is None:
            bit = path.case.unknown("bit", width)
            path.assume(claripy.ULT(bit, width))
            if mnemonic == "bsr":
                path.assume(claripy.LShR(operand, bit) == 1)
            else:
                path.assume(claripy.LShR(operand, bit)[0] == 1)
                path.assume(operand & ((number(1, width) << bit) - 1) == 0)
        setattr(state.regs, whole(target), bit.zero_extend(64 - width) if width < 64 else bit)
        set_flags(state, number(0))

    return run


def test(mnemonic, target, source):
    def run(state):
        word, bit = getattr(state.regs, target), getattr(state.regs, source)
        width = len(word)
        bit = bit & (width - 1)
        mask = number(1, width) << bit
        new = {"bt": word, "bts": word | mask, "btr": word & ~mask, "btc": word ^ mask}[mnemonic]
        setattr(state.regs, whole(target), new.zero_extend(64 - width) if width < 64 else new)
        set_flags(state, claripy.LShR(word, bit)[0].zero_extend(63))

    return run


HOOKS = dict.fromkeys(("bsr", "bsf", "tzcnt"), scan) | dict.fromkeys(
    ("bt", "bts", "btr", "btc"), test
)
