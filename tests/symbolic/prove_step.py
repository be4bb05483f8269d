#!/usr/bin/env python3
"""Symbolic execution of the compiled release library, one inductive step at a time.

    prove_step.py LIBRARY                    every scene
    prove_step.py --planted SCENES LIBRARY   a library with a planted bug on the path of each of
                                             these scenes: succeeds only if each is refuted
    prove_step.py --forget                   the short programs without one of their writes

A scene (step/scenes.py) is a call in any heap that is sound around the words that the call touches.
Each of its cases runs the machine code on all paths; after each path every word must be what a
short program (step/heap.py) says, and no other word may have been written. Then the invariants are
shown of that program's result. A scene without a case, a case without a path, an access whose place
is not known, a question without an answer, and a scene that takes too long are failures. A scene
with many cases is run in pieces, each of which has a line when it is through.
"""

import argparse
import collections
import concurrent.futures
import functools
import os
import sys
import time

import claripy

from step import forgotten
from step.invariants import check
from step.machine import Machine
from step.scenes import LAYOUTS, PIECES, SCENES
from step.solver import Solver
from step.words import Contradiction, TooLong, Undecided, cases

machine = functools.cache(Machine)


class Result:
    """Of one piece of a scene's cases, or of all its pieces together."""

    def __init__(self, scene, layout, piece):
        self.scene, self.layout, self.piece = scene, layout, piece
        self.cases = self.paths = self.checked = self.queries = 0
        self.seconds = self.slowest = 0.0
        self.reports, self.open = [], False

    def add(self, other):
        for name in ("cases", "paths", "checked", "queries", "seconds", "reports"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.slowest, self.open = max(self.slowest, other.slowest), self.open or other.open

    def figures(self):
        return (
            f"{self.cases} cases, {self.paths} paths, {self.checked} cases of invariants, "
            f"{self.queries} questions, the slowest {self.slowest:.1f} s, {self.seconds:.0f} s"
        )


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


def run_piece(library, name, layout, piece, limit):
    """One piece of a scene's cases, up to the first failure: the machine code in each case, or the
    invariants. The piece: which of the two, its number, and the number of pieces."""
    result, solver, began = Result(name, layout, piece), Solver(limit), time.monotonic()
    what, index, count = piece
    scene = Piece(functools.partial(SCENES[name], layout=layout), index, count)
    try:
        (run_code if what == "code" else run_invariants)(result, solver, scene, library)
    except Undecided as reason:
        result.reports.append(f"not proved: {reason}")
    except TooLong:
        result.open = True
        result.reports.append(f"open: not through in {limit} s")
    result.seconds = time.monotonic() - began
    result.queries, result.slowest = solver.queries, solver.slowest
    return result


class Piece:
    """Every so-many-th of a scene's cases."""

    def __init__(self, scene, index, count):
        self.scene, self.index, self.count = scene, index, count
        self.seen, self.last = 0, None

    def __call__(self, case):
        call = self.scene(case)
        # The cases come in order, and each of them again with each further choice of its.
        if case.story != self.last:
            self.seen, self.last = self.seen + 1, [*case.story]
        if self.seen % self.count != self.index % self.count:
            raise Contradiction
        return call


def run_code(result, solver, scene, library):
    for case, call in cases(solver, scene):
        if not case.possible(*case.definitions):
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


def run_invariants(result, solver, scene, _):
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
    parser.add_argument("library", nargs="?")
    parser.add_argument("--planted", help="scenes with a planted bug, separated by commas")
    parser.add_argument("--scene", action="append", choices=SCENES, help="only this one")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="only this one")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="pieces at a time (the processors)"
    )
    parser.add_argument(
        "--limit", type=int, default=3600, help="seconds for a piece; then it is not proved (3600)"
    )
    parser.add_argument(
        "--piece", help="only this one, as 3/8 or code:3/8 or invariants:3/8: no proof of a scene"
    )
    parser.add_argument(
        "--forget", action="store_true", help="the short programs without one write, each refuted"
    )
    options = parser.parse_args()
    planted = options.planted.split(",") if options.planted else []
    names = planted or options.scene or list(SCENES)
    if options.forget:
        return forget(names, options.limit)
    layouts = options.layout or (LAYOUTS[:1] if planted else LAYOUTS)
    proofs = {}
    for layout in layouts:
        for name in names:
            proofs[name, layout] = pieces(name, layout, bool(planted), options.piece)
    failed = False
    with concurrent.futures.ProcessPoolExecutor(options.jobs) as pool:
        jobs = [
            pool.submit(run_piece, options.library, *key, piece, options.limit)
            for key, parts in proofs.items()
            for piece in parts
        ]
        done = collections.defaultdict(list)
        for job in concurrent.futures.as_completed(jobs):
            result = job.result()
            key = result.scene, result.layout
            done[key].append(result)
            what, index, count = result.piece
            if count > 1:
                name = f"{'_'.join(key)}, {what} {index} of {count}"
                print(f"     {name}: {result.figures()}", flush=True)
            if len(done[key]) == len(proofs[key]):
                failed |= tell(done[key], planted, options.piece)
    return 1 if failed else 0


def pieces(name, layout, planted, only):
    """What is run of a scene: the machine code in each layout, the invariants in one of them, since
    neither the short program nor the invariants ask where the control structure lies."""
    if only:
        what, _, which = only.rpartition(":")
        index, count = map(int, which.split("/"))
        return [(one, index, count) for one in ("code", "invariants") if what in ("", one)]
    if planted:
        return [("code", 1, 1)]
    count = PIECES.get(name, 1)
    kinds = ("code", "invariants") if layout == LAYOUTS[0] else ("code",)
    return [(what, index + 1, count) for what in kinds for index in range(count)]


def forget(scenes, limit):
    """The invariants' part of the scenes, once without each line that writes in one of them."""
    failed, seen = False, set()
    for name in scenes:
        scene, solver = functools.partial(SCENES[name], layout=LAYOUTS[0]), Solver(limit)
        for line in forgotten.lines(solver, scene):
            if line not in seen:
                seen.add(line)
                what = forgotten.refuted(solver, scene, line)
                failed |= not what
                verdict = "ok  " if what else "FAIL"
                test = f"step_{name}_without_{line}_is_refuted"
                print(f"{verdict} symbolic {test} ({what})", flush=True)
    return 1 if failed else 0


def tell(results, planted, only):
    """Prints a scene's result line. Gives whether it is a failure."""
    result = Result(results[0].scene, results[0].layout, None)
    for one in results:
        result.add(one)
    ran = {one.piece[0] for one in results}
    if not planted and not only:
        # A scene that no heap is in proves nothing.
        if "code" in ran and not result.cases or "invariants" in ran and not result.checked:
            result.reports.append("not proved: no case")
    good = bool(result.reports) == bool(planted) and not result.open
    verb = "is_refuted" if planted else "keeps_the_invariants"
    for report in result.reports:
        print(f"     {report}")
    what = f"step_{result.scene}_{result.layout}_{f'piece_{only}_' if only else ''}{verb}"
    print(f"{'ok  ' if good else 'FAIL'} symbolic {what} ({result.figures()})", flush=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
