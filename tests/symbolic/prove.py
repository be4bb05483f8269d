#!/usr/bin/env python3
"""Symbolic execution of the compiled release library: no request, alignment, count or header word makes malloc, calloc, memalign
or realloc give a block that is misaligned, too small, or not inside the pool.

    prove.py LIBRARY                  libmemoman.so as it is shipped
    prove.py --planted NAMES LIBRARY  a library with planted bugs: those functions, and only a report of each is a success

Every path of the machine code is followed with all 64 bits of every argument unknown, in the heaps of scenes.py: real ones, with no,
one and two free blocks whose header words are unknown within their bins, and unknown words wherever else a scene fixes none.
An alignment is taken case by case: twelve powers of two, 0, and all numbers that are none, in seven of the scenes. Around a block to be
resized the headers are fixed: six neighbourhoods, with and without another free block elsewhere.
"""

import argparse
import logging
import multiprocessing
import os
import sys
import time

# angr complains of an accelerator that it does not find and that is not needed here.
logging.disable(logging.CRITICAL)

import angr
import claripy
import z3
from claripy.backends.backend_z3 import BackendZ3

from heap import BASE, HANDLER, HEADER, SIZE_MASK, Library
from model import Memory, Violated
from scans import split_at_scans
from scenes import FREE_BLOCKS, NEIGHBOURS, Scene


EFFORT = 2_000_000  # what the quick solver may spend, in its own units: not by the clock, so that a busy machine gives the same answers


class PatientSolver(z3.Solver):
    """z3's small solver, which is quick with many small questions, and behind it the one for bit vectors, without any limit: a
    question must not stay open for want of time."""

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
# Filled anew for each question: copying one costs more than that.
claripy.backends.z3.reuse_z3_solver = True

RETURN = 0x6666_1000
NO_POWER = "no power of two"
# The alignments: none, up to the quantum, above it, about the greatest block, the greatest. Each with all requests.
ALIGNMENTS = [[NO_POWER, 0, 1, 16], [32, 64], [128, 4096], [1 << 20, 1 << 39], [1 << 40, 1 << 44, 1 << 62, 1 << 63]]
ALIGNED_SCENES = ["no_free_block", "exact", "coarse", "last_bin", "prev_free_no_free_block", "both_free_coarse", "largest_both_free_coarse"]
PATHS = 20_000  # more than any function has: a run that reaches it has not proved anything


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
    """One function under test: its arguments, and the bytes and alignment that its result must have."""

    def __init__(self, name, arguments, needed, aligned=False, resizes=False):
        self.name, self.arguments, self.needed, self.aligned, self.resizes = name, arguments, needed, aligned, resizes
        scenes = NEIGHBOURS if resizes else {name: ((0, 1008, 0), free) for name, free in FREE_BLOCKS.items()}
        self.scenes = {name: scene for name, scene in scenes.items() if not aligned or name in ALIGNED_SCENES}
        self.cases = ALIGNMENTS if aligned else [[None]]


def symbol(name):
    return claripy.BVS(name, 64, explicit_name=True)


bytes_, align, count, size = symbol("bytes"), symbol("align"), symbol("count"), symbol("size")
# count · size. That it is any number proves more than that it is this one, and multiplication is what a solver cannot do.
product = claripy.BVS("product", 128, explicit_name=True)


def hook_multiplications(project, function):
    """Puts `product` in the place of count · size, in whichever of the two instructions the function multiplies."""
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
        if {getattr(state.regs, factor).hash() for factor in factors} != {count.hash(), size.hash()}:
            raise Violated(f"something else than count and size is multiplied at {state.addr:#x}")
        setattr(state.regs, low, product[63:0])
        if high:
            setattr(state.regs, high, product[127:64])
        # Overflow and carry; operation 0 is "the flags as they are given".
        state.regs.cc_op = 0
        state.regs.cc_dep1 = claripy.If(product[127:64] != 0, claripy.BVV(0x801, 64), claripy.BVV(0, 64))
        state.regs.cc_dep2 = state.regs.cc_ndep = 0

    return run


FUNCTIONS = [
    Function("mm_malloc", [bytes_], bytes_.zero_extend(64)),
    Function("mm_calloc", [count, size], product),
    Function("mm_memalign", [align, bytes_], bytes_.zero_extend(64), aligned=True),
    Function("mm_realloc", [bytes_], bytes_.zero_extend(64), resizes=True),
    Function("mm_realloc_aligned", [align, bytes_], bytes_.zero_extend(64), aligned=True, resizes=True),
]


def run(project, function, scene, case):
    """All paths of one function in one scene, with one kind of alignment. Gives (paths, results, refusals, violations)."""
    memory = Memory(scene.heap, scene.known)
    arguments = [claripy.BVV(BASE, 64)] + ([claripy.BVV(scene.block, 64)] if function.resizes else []) + function.arguments
    constraints = list(scene.constraints)
    if case == NO_POWER:
        constraints.append(align & (align - 1) != 0)  # 0 is a case of its own
    elif case is not None:
        arguments = [claripy.BVV(case, 64) if argument is align else argument for argument in arguments]
    state = project.factory.call_state(
        project.loader.find_symbol(function.name).rebased_addr,
        *arguments,
        ret_addr=RETURN,
        add_options={angr.options.ZERO_FILL_UNCONSTRAINED_REGISTERS, angr.options.ZERO_FILL_UNCONSTRAINED_MEMORY},
        remove_options={angr.options.LAZY_SOLVES},
    )
    # Weak functions of sanitizers: not there.
    for relocation in project.loader.main_object.relocs:
        if relocation.symbol is not None and relocation.symbol.name.startswith("__asan_"):
            state.memory.store(relocation.rebased_addr, claripy.BVV(0, 64), endness="Iend_LE")
    state.globals["memory"] = memory
    state.globals["inputs"] = [(value.args[0], value) for value in function.arguments + [product] * (function.needed is product)]
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
    return paths, results, refusals, memory.violations


def judge(path, memory, function, case):
    """A path's end: what may be returned, and whether it is good. Gives (a result is possible, NULL is possible)."""
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
        memory.must(path, result & (case - 1) == 0, f"{function.name}: the result has not the alignment {case:#x}")
    memory.must(
        path,
        claripy.And(claripy.UGE(result, heap.first), claripy.ULT(result, heap.end)),
        f"{function.name}: the result is not in the pool",
    )
    header = memory.read(path, result - HEADER) ^ heap.seal
    size_ = header & SIZE_MASK
    path.globals["inputs"] = path.globals["inputs"] + [("header", header)]
    memory.must(path, header & (~SIZE_MASK & (1 << 64) - 1 & ~2) == 0, f"{function.name}: the header is not that of a block in use")
    memory.must(path, claripy.UGE(size_, 32), f"{function.name}: the block is smaller than the smallest")
    memory.must(
        path, claripy.ULE(function.needed, (size_ - HEADER).zero_extend(64)), f"{function.name}: the block is too small"
    )
    memory.must(path, claripy.ULE(size_, heap.end - result), f"{function.name}: the block ends outside the pool")
    return True, refused


def job(path, name, scene_name, cases, stop):
    """In a process of its own: one function in one scene, up to the first violation if `stop`."""
    began = time.process_time()
    library = Library(path)
    project = angr.Project(path, auto_load_libs=False, main_opts={"base_addr": 0x4000_0000})
    for bulk in ("memset", "memcpy", "memmove"):
        project.hook_symbol(bulk, Bulk(display_name=bulk), replace=True)
    project.hook(HANDLER, Handler(cc=project.factory.cc()))
    split_at_scans(project)
    function = next(function for function in FUNCTIONS if function.name == name)
    if function.needed is product:
        hook_multiplications(project, project.loader.find_symbol(name))
    neighbours, free = function.scenes[scene_name]
    scene = Scene(library, free, neighbours)
    total, reports = [0, 0, 0], []
    for case in cases:
        try:
            *counts, violations = run(project, function, scene, case)
            total = [sum(pair) for pair in zip(total, counts)]
        except Violated as reason:
            violations = [f"not proved: {reason}"]
        reports += [f"{name} {scene_name}: {violation}" for violation in violations]
        if stop and reports:
            break
    scene.heap.close()
    kind = "" if cases == [None] else f" alignments {cases[0]} to {cases[-1]}"
    line = f"{name} {scene_name}{kind}: {total[0]} paths, {total[1]} with a result, {time.process_time() - began:.0f} s"
    return name, total, line, reports


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("--planted", help="functions with a planted bug, separated by commas")
    parser.add_argument("--function", action="append", choices=[function.name for function in FUNCTIONS], help="this one only")
    parser.add_argument("--scene", action="append", choices=[*FREE_BLOCKS, *NEIGHBOURS], help="this one only")
    options = parser.parse_args()
    planted = options.planted.split(",") if options.planted else []
    chosen = [function for function in FUNCTIONS if function.name in (planted or options.function or [function.name])]
    jobs = [
        (options.library, function.name, scene, cases, bool(planted))
        for function in chosen
        for scene in function.scenes
        if scene in (options.scene or [scene])
        for cases in function.cases
    ]
    totals = {function.name: [0, 0, 0] for function in chosen}
    found = {function.name: [] for function in chosen}
    wanted = set(planted)
    # Started anew, not forked: each maps its heap at the same address.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for name, counts, line, reports in pool.imap_unordered(star, jobs):
            totals[name] = [sum(pair) for pair in zip(totals[name], counts)]
            found[name] += reports
            print(f"     {line}", flush=True)
            for report in dict.fromkeys(reports):
                print(f"     {report}", flush=True)
            # One report of each planted bug is enough.
            wanted -= {name} if any("not proved" not in report for report in reports) else set()
            if planted and not wanted:
                pool.terminate()
                break
    failed = False
    for name, (paths, served, refused) in totals.items():
        if planted:
            good = name not in wanted
            what = f"planted_bug_in_{name}_is_found"
        else:
            # Without a path to a result and one to a refusal, nothing was looked at.
            good = not found[name] and served and refused
            what = f"{name}_gives_only_good_blocks"
        print(f"{'ok  ' if good else 'FAIL'} symbolic {what} ({paths} paths)")
        failed |= not good
    return 1 if failed else 0


def star(arguments):
    return job(*arguments)


if __name__ == "__main__":
    sys.exit(main())
