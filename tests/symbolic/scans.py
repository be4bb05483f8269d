"""The bit-scan instructions, without their usual formula of 64 cases.

The position of the lowest bit (in a bitmap, which has few) splits the path: each possible position
gets a path of its own, on which everything computed from it is a number. The exponents of small
sizes do so too. The exponent of a larger size is one unknown with its definition as a constraint:
the size shifted right by it is 1. Both cover every case.
"""

import angr
import claripy

GREATEST = 10  # the largest exponent that gets a path of its own


class Scan(angr.SimProcedure):
    """One bit scan, for the `lowest` bit or the highest. `zero`: the target's value for an operand
    of 0; None: the target is unchanged."""

    NO_RET = True
    IS_FUNCTION = False

    def run(self, source=None, target=None, lowest=None, zero=None, following=None):
        operand = getattr(self.state.regs, source)
        within = [] if lowest else [claripy.ULT(operand, 1 << (GREATEST + 1))]
        for result in results(self.state, operand, lowest, within):
            self.go_on(target, following, zero, result, has(operand, result, lowest))
        if within and self.state.solver.satisfiable(extra_constraints=[claripy.Not(within[0])]):
            result = claripy.BVS("exponent", len(operand))
            told = claripy.And(
                claripy.LShR(operand, result) == 1,
                claripy.ULT(result, len(operand)),
                claripy.UGT(result, GREATEST),
            )
            self.go_on(
                target,
                following,
                zero,
                result.zero_extend(64 - len(operand)),
                claripy.And(claripy.Not(within[0]), told),
            )

    def go_on(self, target, following, zero, result, guard):
        path = self.state.copy()
        none = result is None
        if not none:
            setattr(path.regs, target, result)
        elif zero is not None:
            setattr(path.regs, target, zero)
        # Operation 0 is "the flags as they are given". bsf and bsr set the zero flag for an operand
        # of 0; tzcnt sets the carry flag for that, and the zero flag for a result of 0.
        flags = 0x40 * none if zero is None else 0x01 * none + 0x40 * (not none and result == 0)
        path.regs.cc_op = 0
        path.regs.cc_dep1 = flags
        path.regs.cc_dep2 = path.regs.cc_ndep = 0
        self.successors.add_successor(path, following, guard, "Ijk_Boring")


def has(operand, bit, lowest):
    """The scan of this operand finds this bit; none: it is zero."""
    if bit is None:
        return operand == 0
    if lowest:
        below = operand[bit - 1 : 0] == 0 if bit else claripy.true()
        return claripy.And(operand[bit] == 1, below)
    top = len(operand) - 1
    above = operand[top : bit + 1] == 0 if bit < top else claripy.true()
    return claripy.And(operand[bit] == 1, above)


def results(state, operand, lowest, within):
    """Every result that this path allows with an operand as in `within`."""
    found, others = [], list(within)
    while state.solver.satisfiable(extra_constraints=others):
        value = state.solver.eval(operand, extra_constraints=others)
        bit = None if value == 0 else (value & -value if lowest else value).bit_length() - 1
        found.append(bit)
        others.append(claripy.Not(has(operand, bit, lowest)))
    return found


def whole_register(name):
    """The 64-bit register that this is, or is the lower half of."""
    if name.startswith("e"):
        return f"r{name[1:]}"
    return name.removesuffix("d") if name[1].isdigit() else name


def test_bit(mnemonic, target, place):
    """bt, bts, btr, btc between registers. (angr's own uses the stack, at an address that depends
    on the bit.)"""

    def run(state):
        word, bit = getattr(state.regs, target), getattr(state.regs, place)
        width = len(word)
        bit = bit & (width - 1)
        mask = claripy.BVV(1, width) << bit
        old = claripy.LShR(word, bit)[0]
        new = {"bt": word, "bts": word | mask, "btr": word & ~mask, "btc": word ^ mask}[mnemonic]
        setattr(state.regs, whole_register(target), new.zero_extend(64 - width))
        # The carry flag; the others are undefined.
        state.regs.cc_op = 0
        state.regs.cc_dep1 = old.zero_extend(63)
        state.regs.cc_dep2 = state.regs.cc_ndep = 0

    return run


def split_at_scans(project):
    """Hooks every bit scan and bit test of registers in the library's code."""
    for section in project.loader.main_object.sections:
        if not section.is_executable:
            continue
        code = project.loader.memory.load(section.vaddr, section.memsize)
        for instruction in project.arch.capstone.disasm(code, section.vaddr):
            if instruction.mnemonic not in ("bsf", "bsr", "tzcnt", "bt", "bts", "btr", "btc"):
                continue
            target, source = instruction.op_str.split(", ")
            if "[" in source + target:
                continue
            if instruction.mnemonic.startswith("bt"):
                if source[0].isalpha():
                    run = test_bit(instruction.mnemonic, target, source)
                    project.hook(instruction.address, run, length=instruction.size)
                continue
            # Writing half a register clears its other half, as on the processor.
            target = whole_register(target)
            scan = Scan(
                display_name=f"{instruction.mnemonic}_{instruction.address:#x}",
                source=source,
                target=target,
                lowest=instruction.mnemonic != "bsr",
                zero=64 if instruction.mnemonic == "tzcnt" else None,
                following=instruction.address + instruction.size,
            )
            project.hook(instruction.address, scan)
