#!/usr/bin/env python3
"""Symbolic execution of the compiled release library, one inductive step at a time.

    prove_step.py LIBRARY                    every scene
    prove_step.py --planted SCENES LIBRARY   a library with a planted bug on the path of each of
                                             these scenes: succeeds only if each is refuted

A scene (step/scenes.py) is a call in any heap that is sound around the words that the call touches.
Each of its cases runs the machine code on all paths; after each path every word must be what a
short program (step/heap.py) says, and no other word may have been written. Then the invariants are
shown of that program's result. A scene without a case, a case without a path, an access whose place
is not known, a question without an answer, and a scene that takes too long are failures.
"""

import argparse
import concurrent.futures
import functools
import os
import sys
import time

import claripy

from step.invariants import check
from step.machine import Machine
from step.scenes import LAYOUTS, OPEN, SCENES
from step.solver import Solver
from step.words import TooLong, Undecided, cases

machine = functools.cache(Machine)


class Result:
    def __init__(self, scene, layout):
        self.scene, self.layout = scene, layout
        self.cases = self.paths = self.checked = 0
        self.reports, self.open, self.began = [], False, time.monotonic()

    def end(self, solver):
        self.seconds, self.slowest = time.monotonic() - self.began, solver.slowest
        self.queries = solver.queries
        return self


def differences(case, call, state):
    """The words, and the result, that differ from the short program's."""
    path, after = state.globals["path"], call.after
    found = [
        (f"{word.region[0]} {word.region[1]}", path.after.get(word, word.value), value)
        for word in case.order
        if (value := after.words.get(word, word.value)) is not None
    ]
    if after.result is not None:
        found.append(("the result", state.regs.rax, after.result))
    found = [(name, one != two) for name, one, two in found if one.hash() != two.hash()]
    if found and path.possible(claripy.Or(*(term for _, term in found))):
        return [name for name, term in found if path.possible(term)]
    return []


def run_scene(library, name, layout, planted, limit):
    """The machine code in every case of a scene, then the invariants; up to the first failure."""
    result, solver = Result(name, layout), Solver(limit)
    try:
        judge(result, solver, library, planted)
    except Undecided as reason:
        result.reports.append(f"not proved: {reason}")
    except TooLong:
        result.open = True
        result.reports.append(f"open: not through in {limit} s")
    return result.end(solver)


def judge(result, solver, library, planted):
    name, layout = result.scene, result.layout
    scene = functools.partial((SCENES | OPEN)[name], layout=layout)
    for case, call in cases(solver, scene):
        # Now what sizes the bins mean.
        case.assume(*case.definitions)
        if not case.possible():
            continue
        result.cases += 1
        try:
            ends = machine(library).run(case, call.function, call.arguments)
            if not ends:
                raise Undecided("no path")
            result.paths += len(ends)
            differing = sorted({one for end in ends for one in differences(case, call, end)})
            told = f"differs: {', '.join(differing)}" if differing else None
        except Undecided as reason:
            told = f"not proved: {reason}"
        if told:
            result.reports.append(f"{told} (case: {'; '.join(case.story)})")
            return
    if not result.cases:
        result.reports.append("not proved: no case")
    # The short program and the invariants do not ask where the control structure lies.
    if planted or layout != LAYOUTS[0]:
        return

    def checked(case):
        call = scene(case)
        return check(call.heap, call.after)

    for case, failures in cases(solver, checked):
        result.checked += 1
        if failures:
            result.reports.append(f"{', '.join(failures)} (case: {'; '.join(case.story)})")
            return


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("library")
    parser.add_argument("--planted", help="scenes with a planted bug, separated by commas")
    parser.add_argument("--scene", action="append", choices=SCENES | OPEN, help="only this one")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="only this one")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="scenes at a time (the processors)"
    )
    parser.add_argument(
        "--limit", type=int, default=3600, help="seconds for a scene; then it is not proved (3600)"
    )
    options = parser.parse_args()
    planted = options.planted.split(",") if options.planted else []
    scenes = planted or options.scene or list(SCENES)
    layouts = options.layout or (LAYOUTS[:1] if planted else LAYOUTS)
    failed = False
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        jobs = [
            pool.submit(run_scene, options.library, scene, layout, bool(planted), options.limit)
            for layout in layouts
            for scene in scenes
        ]
        for done in concurrent.futures.as_completed(jobs):
            failed |= tell(done.result(), planted)
    return 1 if failed else 0


def tell(result, planted):
    """Prints a scene's result line. Gives whether it is a failure."""
    good = bool(result.reports) == bool(planted) and not result.open
    verb = "is_refuted" if planted else "keeps_the_invariants"
    figures = (
        f"{result.cases} cases, {result.paths} paths, {result.checked} cases of invariants, "
        f"{result.queries} questions, the slowest {result.slowest:.1f} s, {result.seconds:.0f} s"
    )
    for report in result.reports:
        print(f"     {report}")
    what = f"step_{result.scene}_{result.layout}_{verb}"
    print(f"{'ok  ' if good else 'FAIL'} symbolic {what} ({figures})", flush=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
