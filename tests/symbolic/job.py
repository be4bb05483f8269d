"""One job of the proof: one function of the library in one scene, with some alignments. prove.py
runs each job in a process of its own."""

import logging
import time

# angr warns of a missing accelerator that is not needed here.
logging.disable(logging.CRITICAL)

import angr
import claripy
import z3
from claripy.backends.backend_z3 import BackendZ3

from heap import BASE, FREE, HANDLER, HEADER, PREV_FREE, SEAL_BITS, SIZE_MASK, WORD, Library
from model import Memory, Violated
from plan import NO_POWER, PLANS
from scans import split_at_scans
from scenes import Scene


# The quick solver's limit, in its own units: not by the clock, so that a busy machine gives the
# same answers.
EFFORT = 2_000_000


class PatientSolver(z3.Solver):
    """z3's small solver, which is quick with many small queries, then the solver for bit
    vectors, without a limit: no query may stay undecided."""

    def __init__(self, context):
        super().__init__(solver=z3.SimpleSolver(ctx=context).solver, ctx=context)
        self.set("rlimit", EFFORT)
        self.thorough = None

    def check(self, *assumptions):
        self.thorough = None
        answer = super().check(*assumptions)
        if answer == z3.unknown:
            self.thorough = z3.SolverFor("QF_BV", ctx=self.ctx)
            self.thorough.add(self.assertions())
            answer = self.thorough.check(*assumptions)
        return answer

    def model(self):
        return self.thorough.model() if self.thorough else super().model()


BackendZ3.solver = lambda backend, timeout=None, max_memory=None: PatientSolver(backend._context)
# One solver, refilled for each query: copying one costs more.
claripy.backends.z3.reuse_z3_solver = True

RETURN = 0x6666_1000
PATHS = 20_000  # more than any function has: a run that reaches it proves nothing


class Bulk(angr.SimProcedure):
    """memset, memcpy, memmove: bounds are checked, contents become unknown."""

    def run(self, start, _what, length):
        memory = self.state.globals["memory"]
        memory.bulk(self.state, start, length, self.display_name)
        return start


class Handler(angr.SimProcedure):
    """The error handler: returns, and the call under test has no effect."""

    def run(self):
        pass


class Function:
    """One function under test: its arguments, and the bytes that its result must have."""

    def __init__(self, name, arguments, needed):
        self.name, self.arguments, self.needed = name, arguments, needed
        self.plan = PLANS[name]


def symbol(name):
    return claripy.BVS(name, 64, explicit_name=True)


bytes_, align, count, size = symbol("bytes"), symbol("align"), symbol("count"), symbol("size")
# count · size, as an unknown: a proof for any number covers the product, and solvers cannot decide
# multiplications.
product = claripy.BVS("product", 128, explicit_name=True)


def hook_multiplications(project, function):
    """Replaces count · size by `product`, in either instruction that the function multiplies
    with."""
    code = project.loader.memory.load(function.rebased_addr, function.size)
    for instruction in project.arch.capstone.disasm(code, function.rebased_addr):
        operands = instruction.op_str.split(", ")
        if instruction.mnemonic == "mul":
            factors, low, high = ["rax", *operands], "rax", "rdx"
        elif instruction.mnemonic == "imul" and len(operands) == 2:
            factors, low, high = operands, operands[0], None
        else:
            continue
        project.hook(instruction.address, multiply(factors, low, high), length=instruction.size)


def multiply(factors, low, high):
    def run(state):
        if {getattr(state.regs, factor).hash() for factor in factors} != {
            count.hash(),
            size.hash(),
        }:
            raise Violated(f"something else than count and size is multiplied at {state.addr:#x}")
        setattr(state.regs, low, product[63:0])
        if high:
            setattr(state.regs, high, product[127:64])
        # Overflow and carry; operation 0 is "the flags as they are given".
        state.regs.cc_op = 0
        state.regs.cc_dep1 = claripy.If(
            product[127:64] != 0, claripy.BVV(0x801, 64), claripy.BVV(0, 64)
        )
        state.regs.cc_dep2 = state.regs.cc_ndep = 0

    return run


FUNCTIONS = {
    function.name: function
    for function in [
        Function("mm_malloc", [bytes_], bytes_.zero_extend(64)),
        Function("mm_calloc", [count, size], product),
        Function("mm_memalign", [align, bytes_], bytes_.zero_extend(64)),
        Function("mm_realloc", [bytes_], bytes_.zero_extend(64)),
        Function("mm_realloc_aligned", [align, bytes_], bytes_.zero_extend(64)),
    ]
}


def run(project, function, scene, case, memory):
    """All paths of one function in one scene, with one kind of alignment. Gives (paths, results,
    refusals); violations are collected in `memory`."""
    arguments = (
        [claripy.BVV(BASE, 64)]
        + ([claripy.BVV(scene.block, 64)] if function.plan.resizes else [])
        + function.arguments
    )
    constraints = list(scene.constraints)
    if case == NO_POWER:
        constraints.append(align & (align - 1) != 0)  # 0 is a case of its own
    elif case is not None:
        arguments = [
            claripy.BVV(case, 64) if argument is align else argument for argument in arguments
        ]
    state = project.factory.call_state(
        project.loader.find_symbol(function.name).rebased_addr,
        *arguments,
        ret_addr=RETURN,
        add_options={
            angr.options.ZERO_FILL_UNCONSTRAINED_REGISTERS,
            angr.options.ZERO_FILL_UNCONSTRAINED_MEMORY,
        },
        remove_options={angr.options.LAZY_SOLVES},
    )
    # The sanitizers' weak functions are absent.
    for relocation in project.loader.main_object.relocs:
        if relocation.symbol is not None and relocation.symbol.name.startswith("__asan_"):
            state.memory.store(relocation.rebased_addr, claripy.BVV(0, 64), endness="Iend_LE")
    state.globals["memory"] = memory
    state.globals["inputs"] = [
        (value.args[0], value)
        for value in function.arguments + [product] * (function.needed is product)
    ]
    memory.attach(state)
    state.add_constraints(*constraints)
    return explore(project, state, memory, function, case)


def explore(project, state, memory, function, case):
    manager = project.factory.simulation_manager(state)
    paths = results = refusals = 0
    while manager.active:
        manager.step()
        manager.move("active", "ended", lambda path: path.addr == RETURN)
        for path in manager.ended:
            paths += 1
            given, refused = judge(path, memory, function, case)
            results += given
            refusals += refused
        manager.drop(stash="ended")
        if manager.errored:
            raise Violated(f"{manager.errored[0].error}")
        if manager.unconstrained or paths > PATHS:
            raise Violated("a jump to anywhere" if manager.unconstrained else "too many paths")
    if not paths:
        raise Violated("no path: the scene contradicts itself")
    return paths, results, refusals


def judge(path, memory, function, case):
    """Checks what a path may return. Gives (a result is possible, NULL is possible)."""
    result, heap = path.regs.rax, memory.heap
    refused = path.solver.satisfiable(extra_constraints=[result == 0])
    if not path.solver.satisfiable(extra_constraints=[result != 0]):
        return False, refused
    path.add_constraints(result != 0)
    path.globals["inputs"] = path.globals["inputs"] + [("result", result)]
    memory.must(path, result & 15 == 0, f"{function.name}: the result is misaligned")
    if case in (NO_POWER, 0):
        memory.must(path, claripy.false(), f"{function.name}: no power of two was served")
    elif case is not None:
        memory.must(
            path,
            result & (case - 1) == 0,
            f"{function.name}: the result has not the alignment {case:#x}",
        )
    memory.must(
        path,
        claripy.And(claripy.UGE(result, heap.first), claripy.ULT(result, heap.end)),
        f"{function.name}: the result is not in the pool",
    )
    header = memory.read(path, result - HEADER) ^ heap.seal
    size_ = header & SIZE_MASK
    path.globals["inputs"] = path.globals["inputs"] + [("header", header)]
    memory.must(
        path,
        header & (~SIZE_MASK & (1 << 64) - 1 & ~2) == 0,
        f"{function.name}: the header is not that of a block in use",
    )
    memory.must(
        path, claripy.UGE(size_, 32), f"{function.name}: the block is smaller than the smallest"
    )
    memory.must(
        path,
        claripy.ULE(function.needed, (size_ - HEADER).zero_extend(64)),
        f"{function.name}: the block is too small",
    )
    memory.must(
        path,
        claripy.ULE(size_, heap.end - result),
        f"{function.name}: the block ends outside the pool",
    )
    judge_next(path, memory, function, result + size_)
    return True, refused


def judge_next(path, memory, function, next_):
    """The next block begins where the block ends, and its header matches the block: checked in
    heaps whose free blocks ended soundly before the call."""
    heap = memory.heap
    path.add_constraints(*memory.free_blocks_end_well(path))
    if not path.solver.satisfiable():
        return
    header = memory.read(path, next_ - HEADER) ^ heap.seal
    path.globals["inputs"] = path.globals["inputs"] + [("next header", header)]
    memory.must(
        path,
        header & (SEAL_BITS | PREV_FREE) == 0,
        f"{function.name}: no header that follows a block in use comes after the block",
    )
    if not path.solver.satisfiable(extra_constraints=[header & FREE != 0]):
        return
    path.add_constraints(header & FREE != 0)
    size_ = header & SIZE_MASK
    memory.must(
        path,
        claripy.And(claripy.UGE(size_, 32), claripy.ULE(size_, heap.end - next_)),
        f"{function.name}: the next block, free, has no possible size",
    )
    memory.must(
        path,
        memory.read(path, next_ + size_ - 2 * WORD) == next_,
        f"{function.name}: the next block, free, has no ghost at its end",
    )
    after = memory.read(path, next_ + size_ - HEADER) ^ heap.seal
    memory.must(
        path,
        after & (SEAL_BITS | PREV_FREE | FREE) == PREV_FREE,
        f"{function.name}: no header of a block in use with PREV_FREE follows the free block",
    )


def job(path, name, scene_name, cases, stop):
    """One function in one scene, up to the first violation if `stop`."""
    began = time.process_time()
    library = Library(path)
    project = angr.Project(path, auto_load_libs=False, main_opts={"base_addr": 0x4000_0000})
    for bulk in ("memset", "memcpy", "memmove"):
        project.hook_symbol(bulk, Bulk(display_name=bulk), replace=True)
    project.hook(HANDLER, Handler(cc=project.factory.cc()))
    function = FUNCTIONS[name]
    if function.needed is product:
        hook_multiplications(project, project.loader.find_symbol(name))
    neighbours, free = function.plan.scenes[scene_name]
    scene = Scene(library, free, neighbours)
    split_at_scans(project)
    total, reports = [0, 0, 0], []
    for case in cases:
        memory = Memory(scene)
        violations = memory.violations
        try:
            counts = run(project, function, scene, case, memory)
            total = [sum(pair) for pair in zip(total, counts)]
        except Violated as reason:
            violations.append(f"not proved: {reason}")
        except Exception as reason:  # of angr, claripy or z3: no proof in any case
            violations.append(f"not proved: {type(reason).__name__}: {reason}")
        reports += [f"{name} {scene_name}: {violation}" for violation in violations]
        if stop and reports:
            break
    scene.heap.close()
    return {
        "paths": total,
        "seconds": round(time.process_time() - began),
        "reports": list(dict.fromkeys(reports)),
    }
