"""The instructions that look for a bit: the path is split by their result.

With the exponent of a size known, the shifts and rotations that follow it are by constants, which a solver sees through; a formula with
64 cases in it, several times over, is what it does not. The split is exhaustive: every result that the path allows gets a path of
its own, on which the operand is as it must be for that result.
"""

import angr
import claripy


class Scan(angr.SimProcedure):
    """One bit scan. `lowest` bit or the uppermost; `zero`: what the target holds for an operand of 0, or None: what it held before."""

    NO_RET = True
    IS_FUNCTION = False

    def run(self, source=None, target=None, lowest=None, zero=None, behind=None):
        state = self.state
        operand = getattr(state.regs, source)
        for result in results(state, operand, lowest):
            path = state.copy()
            guard = has(operand, result, lowest)
            if result is None:
                if zero is not None:
                    setattr(path.regs, target, zero)
            else:
                setattr(path.regs, target, result)
            # Operation 0 is "the flags as they are given": zero flag of the operand, and for tzcnt and lzcnt the carry flag.
            none = result is None
            path.regs.cc_op = 0
            path.regs.cc_dep1 = (0x40 if (none if zero is None else result == 0) else 0) | (1 if none and zero is not None else 0)
            path.regs.cc_dep2 = path.regs.cc_ndep = 0
            self.successors.add_successor(path, behind, guard, "Ijk_Boring")


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


def results(state, operand, lowest):
    """Every result that this path allows."""
    found, others = [], []
    while state.solver.satisfiable(extra_constraints=others):
        value = state.solver.eval(operand, extra_constraints=others)
        bit = None if value == 0 else (value & -value if lowest else value).bit_length() - 1
        found.append(bit)
        others.append(claripy.Not(has(operand, bit, lowest)))
    return found


def whole_register(name):
    """The 64-bit register of which this is all or the lower half."""
    if name.startswith("e"):
        return f"r{name[1:]}"
    return name.removesuffix("d") if name[1].isdigit() else name


def split_at_scans(project):
    """Hooks every bit scan of registers in the library's code."""
    for section in project.loader.main_object.sections:
        if not section.is_executable:
            continue
        code = project.loader.memory.load(section.vaddr, section.memsize)
        for instruction in project.arch.capstone.disasm(code, section.vaddr):
            if instruction.mnemonic not in ("bsf", "bsr", "tzcnt"):
                continue
            target, source = instruction.op_str.split(", ")
            if "[" in source:
                continue
            # Half a register, as the processor does it: the other half becomes zero.
            target = whole_register(target)
            scan = Scan(
                display_name=f"{instruction.mnemonic}_{instruction.address:#x}",
                source=source,
                target=target,
                lowest=instruction.mnemonic != "bsr",
                zero=64 if instruction.mnemonic == "tzcnt" else None,
                behind=instruction.address + instruction.size,
            )
            project.hook(instruction.address, scan)
