"""Terms of claripy, decided by bitwuzla."""

import functools
import math
import operator
import time

import bitwuzla
import claripy

from step.words import TooLong

KIND = bitwuzla.Kind
SIMPLE = {
    "__and__": KIND.BV_AND, "__or__": KIND.BV_OR, "__xor__": KIND.BV_XOR,
    "__add__": KIND.BV_ADD, "__mul__": KIND.BV_MUL, "__sub__": KIND.BV_SUB,
    "__invert__": KIND.BV_NOT, "__neg__": KIND.BV_NEG, "Concat": KIND.BV_CONCAT,
    "__lshift__": KIND.BV_SHL, "__rshift__": KIND.BV_ASHR, "LShR": KIND.BV_SHR,
    "RotateLeft": KIND.BV_ROL, "RotateRight": KIND.BV_ROR,
    "__eq__": KIND.EQUAL, "__ne__": KIND.DISTINCT, "If": KIND.ITE,
    "And": KIND.AND, "Or": KIND.OR, "Not": KIND.NOT,
    "ULT": KIND.BV_ULT, "ULE": KIND.BV_ULE, "UGT": KIND.BV_UGT, "UGE": KIND.BV_UGE,
    "SLT": KIND.BV_SLT, "SLE": KIND.BV_SLE, "SGT": KIND.BV_SGT, "SGE": KIND.BV_SGE,
    "__lt__": KIND.BV_ULT, "__le__": KIND.BV_ULE, "__gt__": KIND.BV_UGT, "__ge__": KIND.BV_UGE,
}  # fmt: skip
# A question that is simple beside all facts at once may be hard beside facts that were prepared
# before it: so long, in milliseconds, before it goes to a new solver.
PATIENCE = 200
PREPARED = 4  # solvers with facts
PAIRWISE = {"__and__", "__or__", "__xor__", "__add__", "__mul__", "Concat"}


def signed(value, bits):
    return value - (value >> bits - 1 << bits)


def rotated(value, by, bits):
    by %= bits
    return value << by | value >> bits - by


# Of values, which are numbers without a sign; results are cut to their width afterwards.
VALUES = {
    "__and__": lambda *values: functools.reduce(operator.and_, values),
    "__or__": lambda *values: functools.reduce(operator.or_, values),
    "__xor__": lambda *values: functools.reduce(operator.xor, values),
    "__add__": lambda *values: sum(values),
    "__mul__": lambda *values: math.prod(values),
    "__sub__": lambda one, *others: one - sum(others),
    "__invert__": operator.invert, "__neg__": operator.neg,
    "__eq__": operator.eq, "__ne__": operator.ne, "Not": operator.not_,
    "And": lambda *values: all(values), "Or": lambda *values: any(values),
    "If": lambda condition, one, other: one if condition else other,
    "ULT": operator.lt, "ULE": operator.le, "UGT": operator.gt, "UGE": operator.ge,
    "__lt__": operator.lt, "__le__": operator.le, "__gt__": operator.gt, "__ge__": operator.ge,
}  # fmt: skip
# Of values and the width of the first.
WIDE = {
    "__lshift__": lambda one, by, bits: one << by if by < bits else 0,
    "LShR": lambda one, by, bits: one >> by if by < bits else 0,
    "__rshift__": lambda one, by, bits: signed(one, bits) >> min(by, bits),
    "RotateLeft": rotated,
    "RotateRight": lambda one, by, bits: rotated(one, -by, bits),
    "SLT": lambda one, other, bits: signed(one, bits) < signed(other, bits),
    "SLE": lambda one, other, bits: signed(one, bits) <= signed(other, bits),
    "SGT": lambda one, other, bits: signed(one, bits) > signed(other, bits),
    "SGE": lambda one, other, bits: signed(one, bits) >= signed(other, bits),
}


def groups(facts, more):
    """Facts and more, divided so that no two parts share an unknown; the questions first."""
    found = []
    for index, one in enumerate((*more, *facts)):
        names, members = set(one.variables), [(index, one)]
        if not names:
            continue
        others = []
        for other in found:
            if names.isdisjoint(other[0]):
                others.append(other)
            else:
                names |= other[0]
                members += other[1]
        found = [*others, (names, members)]
    count = len(more)
    for _, members in sorted(found, key=lambda one: min(index for index, _ in one[1])):
        members.sort(key=lambda one: one[0])
        yield (
            [one for index, one in members if index >= count],
            [one for index, one in members if index < count],
        )


class Solution:
    """Values of all unknowns. What holds in it is possible, without another question."""

    def __init__(self, unknowns):
        self.unknowns, self.values = unknowns, {}

    def value(self, ast):
        key = ast.hash()
        if key not in self.values:
            self.values[key] = self.known(ast)
        return self.values[key]

    def holds(self, condition):
        return self.value(condition) is True

    def known(self, ast):
        op, args = ast.op, ast.args
        if op in ("BVV", "BoolV"):
            return args[0]
        if op in ("BVS", "BoolS"):
            # Younger than the solution: any value will do.
            return self.unknowns.get(args[0], False if op == "BoolS" else 0)
        if op == "Extract":
            return self.value(args[2]) >> args[1] & (1 << len(ast)) - 1
        if op == "ZeroExt":
            return self.value(args[1])
        if op == "SignExt":
            return signed(self.value(args[1]), len(args[1])) & (1 << len(ast)) - 1
        values = [self.value(one) for one in args]
        if op == "Concat":
            return functools.reduce(
                lambda sum_, part: sum_ << len(part[0]) | part[1], zip(args, values), 0
            )
        if op == "Reverse":
            return int.from_bytes(values[0].to_bytes(len(ast) // 8, "big"), "little")
        result = WIDE[op](*values, len(args[0])) if op in WIDE else VALUES[op](*values)
        return result & (1 << len(ast)) - 1 if isinstance(ast, claripy.ast.BV) else result


class Solver:
    """Facts that share no unknown are questions of their own: sizes and places apart from bins, as
    long as nothing says how they belong together. Answers are remembered, since the same question
    comes again in each case of a scene; so are solvers with facts, since the next questions mostly
    begin with them."""

    def __init__(self, seconds=None):
        """`seconds`: after so many, it gives up."""
        self.manager = bitwuzla.TermManager()
        self.end = time.monotonic() + seconds if seconds else None
        self.terms, self.answers, self.unknowns = {}, {}, {}
        self.live = []
        self.queries, self.seconds, self.slowest = 0, 0.0, 0.0

    def satisfiable(self, facts, *more):
        """Whether values for all unknowns satisfy the facts and more."""
        return self.solve(facts, *more) is not None

    def solve(self, facts, *more):
        """A solution of the facts and more, or None."""
        if any(one.is_false() for one in (*facts, *more)):
            return None
        values = {}
        for group in groups(facts, more):
            answer = self.answer(*group)
            if answer is None:
                return None
            values |= answer
        return Solution(values)

    def answer(self, facts, more):
        """Values for the unknowns of facts and more, or None."""
        known = [one.hash() for one in facts]
        key = frozenset(known), frozenset(one.hash() for one in more)
        if key not in self.answers:
            began = time.monotonic()
            if self.end and began > self.end:
                raise TooLong
            self.answers[key] = self.asked(facts, known, more)
            seconds = time.monotonic() - began
            self.queries, self.seconds = self.queries + 1, self.seconds + seconds
            self.slowest = max(self.slowest, seconds)
        return self.answers[key]

    def asked(self, facts, known, more):
        solver = self.prepared(facts, known)
        answer = solver.check_sat(*map(self.term, more))
        if answer == bitwuzla.Result.UNKNOWN:
            solver = self.fresh([*facts, *more])
            answer = solver.check_sat()
        if answer == bitwuzla.Result.UNKNOWN:
            raise RuntimeError("the solver has no answer")
        if answer != bitwuzla.Result.SAT:
            return None
        names = frozenset().union(*(one.variables for one in (*facts, *more)))
        values = {name: solver.get_value(self.unknowns[name]).value(10) for name in names}
        return {name: int(value) for name, value in values.items()}

    def prepared(self, facts, known):
        """A solver with these facts: the one that has most of them already, or a new one."""
        fitting = [one for one in self.live if known[: len(one[0])] == one[0]]
        best = max(fitting, key=lambda one: len(one[0]), default=None)
        if best is None:
            best = [], self.fresh((), PATIENCE)
        else:
            self.live.remove(best)
        have, solver = best
        for one in facts[len(have) :]:
            solver.assert_formula(self.term(one))
        self.live = [*self.live[-(PREPARED - 1) :], (known, solver)]
        return solver

    def fresh(self, facts, milliseconds=0):
        """A solver that has these facts, with a limit for each answer."""
        options = bitwuzla.Options()
        options.set(bitwuzla.Option.PRODUCE_MODELS, True)
        options.set(bitwuzla.Option.TIME_LIMIT_PER, milliseconds)
        solver = bitwuzla.Bitwuzla(self.manager, options)
        for one in facts:
            solver.assert_formula(self.term(one))
        return solver

    def term(self, ast):
        """The term of a claripy expression."""
        if ast.hash() not in self.terms:
            self.terms[ast.hash()] = self.convert(ast)
        return self.terms[ast.hash()]

    def convert(self, ast):
        make, op, args = self.manager.mk_term, ast.op, ast.args
        if op == "BVV":
            return self.manager.mk_bv_value(self.manager.mk_bv_sort(len(ast)), args[0])
        if op == "BVS":
            return self.unknown(args[0], self.manager.mk_bv_sort(len(ast)))
        if op in ("BoolV", "BoolS"):
            if op == "BoolS":
                return self.unknown(args[0], self.manager.mk_bool_sort())
            return self.manager.mk_true() if args[0] else self.manager.mk_false()
        if op == "Extract":
            return make(KIND.BV_EXTRACT, [self.term(args[2])], [args[0], args[1]])
        if op == "ZeroExt":
            return make(KIND.BV_ZERO_EXTEND, [self.term(args[1])], [args[0]])
        if op == "SignExt":
            return make(KIND.BV_SIGN_EXTEND, [self.term(args[1])], [args[0]])
        if op == "Reverse":
            bytes_ = [self.term(byte) for byte in reversed(args[0].chop(8))]
            return make(KIND.BV_CONCAT, bytes_) if len(bytes_) > 1 else bytes_[0]
        terms = [self.term(one) for one in args]
        if len(terms) == 1 and op in ("And", "Or"):
            return terms[0]
        if op not in PAIRWISE:
            return make(SIMPLE[op], terms)
        result = terms[0]
        for one in terms[1:]:
            result = make(SIMPLE[op], [result, one])
        return result

    def unknown(self, name, sort):
        if name not in self.unknowns:
            self.unknowns[name] = self.manager.mk_const(sort, name)
        return self.unknowns[name]
