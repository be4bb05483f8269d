#!/usr/bin/env python3
"""Symbolic execution of the compiled release library: no request, alignment, count or header word makes malloc, calloc, memalign
or realloc give a block that is misaligned, too small, or not inside the pool.

    prove.py LIBRARY                  libmemoman.so as it is shipped
    prove.py --planted NAMES LIBRARY  a library with planted bugs: those functions, and only a report of each is a success

Every path of the machine code is followed with all 64 bits of every argument unknown, in heaps ("scenes") with no, one and two
free blocks whose sizes are unknown within their bins. For realloc all headers, links and neighbours are unknown words.
"""

import argparse
import ctypes
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

from heap import BASE, FREE, HANDLER, HEADER, SIZE_MASK, Heap, Library, bin_range
from model import Memory, Violated


def patient_solver(backend, timeout=None, max_memory=None):
    """z3's bit-vector solver without claripy's limit of time by the clock: a busy machine must not turn a proof into none."""
    return z3.SolverFor("QF_BV", ctx=backend._context)


BackendZ3.solver = patient_solver

RETURN = 0x6666_1000
MAX_BLOCK = 1 << 40
POOL = 1 << 42
PATHS = 20_000  # more than any function has: a run that reaches it has not proved anything

# Sizes of the free blocks of each scene, one per kind of bin: exact, first coarse, coarse, last.
SCENES = {
    "no_free_block": [],
    "smallest": [32],
    "exact": [1008],
    "coarse": [2064],
    "large": [1 << 20],
    "last_bin": [MAX_BLOCK],
    "small_and_last_bin": [48, MAX_BLOCK],
    "two_of_one_bin": [4096, 4096],
}


class Bulk(angr.SimProcedure):
    """memset, memcpy, memmove: bounds are checked, contents become unknown."""

    def run(self, start, _what, length):
        memory = self.state.globals["memory"]
        memory.bulk(self.state, start, length, self.display_name)
        return start


class Handler(angr.SimProcedure):
    """The error handler: returns, and the call under test has no effect."""

    def run(self):
        self.state.globals["misuse"] = True


def scene(library, sizes):
    """A heap, and the words that it fixes: free blocks of unknown sizes within their bins, everything else in use."""
    heap = Heap(library, POOL, MAX_BLOCK)
    heap.malloc(24)
    live = heap.malloc(1000)
    heap.malloc(24)
    blocks = []
    for size in sizes:
        blocks.append(heap.malloc(size - HEADER))
        heap.malloc(24)
    while library.call("mm_malloc", BASE, min(MAX_BLOCK, largest(library))):
        pass
    for block in blocks:
        heap.free(block)
    known, constraints = {}, []
    ends = [block - 32 for block in blocks[1:]] + [heap.end]
    for index, (block, end) in enumerate(zip(blocks, ends)):
        size = claripy.BVS(f"free_size_{index}", 64)
        first, behind = bin_range(heap.size(block))
        if heap.size(block) > MAX_BLOCK:
            behind = 1 << 47
        constraints += [size & 15 == 0, claripy.UGE(size, first), claripy.ULT(size, behind), claripy.ULE(size, end - block)]
        known[block - HEADER] = (size | FREE) ^ heap.seal
        known[block] = claripy.BVV(heap.word(block), 64)
        known[block + 8] = claripy.BVV(heap.word(block + 8), 64)
    return heap, live, known, constraints


def largest(library):
    stats = (ctypes.c_size_t * 8)()
    library.call("mm_stats", BASE, ctypes.addressof(stats), ctypes.sizeof(stats))
    return stats[5]


class Function:
    """One function under test: its arguments, and the bytes and alignment that its result must have."""

    def __init__(self, name, arguments, needed, align=None, resizes=False):
        self.name, self.arguments, self.needed, self.align, self.resizes = name, arguments, needed, align, resizes


def symbol(name):
    return claripy.BVS(name, 64, explicit_name=True)


bytes_, align, count, size = symbol("bytes"), symbol("align"), symbol("count"), symbol("size")
FUNCTIONS = [
    Function("mm_malloc", [bytes_], bytes_.zero_extend(64)),
    Function("mm_calloc", [count, size], count.zero_extend(64) * size.zero_extend(64)),
    Function("mm_memalign", [align, bytes_], bytes_.zero_extend(64), align),
    Function("mm_realloc", [bytes_], bytes_.zero_extend(64), resizes=True),
    Function("mm_realloc_aligned", [align, bytes_], bytes_.zero_extend(64), align, resizes=True),
]


def run(project, library, function, sizes):
    """All paths of one function in one scene. Gives (paths, results, refusals, violations)."""
    heap, live, known, constraints = scene(library, sizes)
    try:
        memory = Memory(heap, known)
        arguments = [claripy.BVV(BASE, 64)] + ([claripy.BVV(live, 64)] if function.resizes else []) + function.arguments
        address = project.loader.find_symbol(function.name).rebased_addr
        state = project.factory.call_state(
            address,
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
        state.globals["inputs"] = [(value.args[0], value) for value in function.arguments]
        state.globals["misuse"] = False
        memory.attach(state)
        state.add_constraints(*constraints)
        return explore(project, state, memory, function)
    finally:
        heap.close()


def explore(project, state, memory, function):
    manager = project.factory.simulation_manager(state)
    paths = results = refusals = 0
    while manager.active:
        manager.step()
        manager.move("active", "ended", lambda path: path.addr == RETURN)
        for path in manager.ended:
            paths += 1
            given, refused = judge(path, memory, function)
            results += given
            refusals += refused
        manager.drop(stash="ended")
        if manager.errored:
            raise Violated(f"{manager.errored[0].error}")
        if manager.unconstrained or paths > PATHS:
            raise Violated("a jump to anywhere" if manager.unconstrained else "too many paths")
    return paths, results, refusals, memory.violations


def judge(path, memory, function):
    """A path's end: what may be returned, and whether it is good. Gives (a result is possible, NULL is possible)."""
    result, heap = path.regs.rax, memory.heap
    refused = path.solver.satisfiable(extra_constraints=[result == 0])
    if not path.solver.satisfiable(extra_constraints=[result != 0]):
        return False, refused
    path.add_constraints(result != 0)
    path.globals["inputs"] = path.globals["inputs"] + [("result", result)]
    memory.must(path, result & 15 == 0, f"{function.name}: the result is misaligned")
    if function.align is not None:
        memory.must(path, result & (function.align - 1) == 0, f"{function.name}: the result has not the alignment")
        memory.must(path, claripy.And(function.align != 0, function.align & (function.align - 1) == 0), f"{function.name}: no power of two was served")
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


def job(path, name, scenes, stop):
    """In a process of its own: one function in some scenes, up to the first violation if `stop`."""
    library = Library(path)
    project = angr.Project(path, auto_load_libs=False, main_opts={"base_addr": 0x4000_0000})
    for bulk in ("memset", "memcpy", "memmove"):
        project.hook_symbol(bulk, Bulk(display_name=bulk), replace=True)
    project.hook(HANDLER, Handler(cc=project.factory.cc()))
    function = next(function for function in FUNCTIONS if function.name == name)
    served = refused = 0
    lines, reports = [], []
    for scene_name in scenes:
        began = time.process_time()
        try:
            paths, results, refusals, violations = run(project, library, function, SCENES[scene_name])
        except Violated as reason:
            paths, results, refusals, violations = 0, 0, 0, [f"not proved: {reason}"]
        served, refused = served + results, refused + refusals
        reports += [f"{scene_name}: {violation}" for violation in violations]
        lines.append(f"{name} {scene_name}: {paths} paths, {results} with a result, {time.process_time() - began:.0f} s")
        if stop and violations:
            break
    return name, served, refused, lines, reports


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("--planted", help="functions with a planted bug, separated by commas")
    parser.add_argument("--function", action="append", choices=[function.name for function in FUNCTIONS], help="this one only")
    parser.add_argument("--scene", action="append", choices=SCENES, help="this one only")
    options = parser.parse_args()
    planted = options.planted.split(",") if options.planted else []
    names = planted or options.function or [function.name for function in FUNCTIONS]
    scenes = options.scene or list(SCENES)
    if planted:
        jobs = [(options.library, name, scenes, True) for name in names]
    else:
        jobs = [(options.library, name, [scene_name], False) for name in names for scene_name in scenes]
    totals = {name: [0, 0, []] for name in names}
    # Started anew, not forked: each maps its heap at the same address.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for name, served, refused, lines, reports in pool.imap_unordered(star, jobs):
            total = totals[name]
            total[0] += served
            total[1] += refused
            total[2] += reports
            for line in lines:
                print(f"     {line}", flush=True)
            for report in dict.fromkeys(reports):
                print(f"     {report}", flush=True)
    failed = False
    for name, (served, refused, reports) in totals.items():
        if planted:
            good = any("not proved" not in report for report in reports)
            what = f"planted_bug_in_{name}_is_found"
        else:
            # Without a path to a result and one to a refusal, nothing was looked at.
            good = not reports and served and refused
            what = f"{name}_gives_only_good_blocks"
        print(f"{'ok  ' if good else 'FAIL'} symbolic {what}")
        failed |= not good
    return 1 if failed else 0


def star(arguments):
    return job(*arguments)


if __name__ == "__main__":
    sys.exit(main())
