"""The short programs, each without one of its writes: the invariants must be refuted.

A write is named by its line. Three kinds are of no invariant: the peak, the absorber, a tombstone.
"""

import contextlib
import os
import sys

from step.heap import After
from step.invariants import check
from step.words import Undecided, cases

UNASKED = ("peak", "absorber")
write = After.write


def line(after, address):
    """The line of the short program that writes; None: no invariant asks for the write."""
    frame = sys._getframe(2)
    name = frame.f_code.co_name
    word, _ = after.case.find(address)
    if name == "bury" or word is not None and word.region in [("control", one) for one in UNASKED]:
        return None
    if name == "add":  # a counter
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


@contextlib.contextmanager
def writing(action):
    """`action`: called instead of each write."""
    After.write = action
    try:
        yield
    finally:
        After.write = write


def lines(solver, scene):
    """The lines of all writes in all cases of a scene."""
    found = {}

    def noted(after, address, value):
        at = line(after, address)
        if at:
            found[at] = None
        write(after, address, value)

    with writing(noted):
        for _ in cases(solver, scene):
            pass
    return list(found)


def refuted(solver, scene, without):
    """What fails first when the writes of this line are forgotten, or None."""

    def forgetting(after, address, value):
        if line(after, address) != without:
            write(after, address, value)

    def checked(case):
        call = scene(case)
        try:
            return check(call.heap, call.after)
        except Undecided as reason:
            return [str(reason)]

    with writing(forgetting):
        for _, failures in cases(solver, checked):
            if failures:
                return failures[0]
    return None
