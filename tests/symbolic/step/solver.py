"""Terms of claripy, decided by bitwuzla."""

import time

import bitwuzla

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
PAIRWISE = {"__and__", "__or__", "__xor__", "__add__", "__mul__", "Concat"}


class Solution:
    """Values of all unknowns. What holds in it is possible, without another question."""

    def __init__(self, solver, values):
        self.solver, self.values = solver, values

    def value(self, term):
        return int(self.values.get_value(self.solver.term(term)).value(10))

    def holds(self, condition):
        return self.values.get_value(self.solver.term(condition)).value() is True


class Solver:
    """Answers are remembered: the same question comes again in each case of a scene."""

    def __init__(self):
        self.manager = bitwuzla.TermManager()
        self.terms, self.answers, self.unknowns = {}, {}, {}
        self.queries, self.seconds, self.slowest = 0, 0.0, 0.0

    def satisfiable(self, constraints):
        """Whether values for all unknowns satisfy all constraints."""
        key = frozenset(one.hash() for one in constraints)
        if key not in self.answers:
            self.answers[key] = self.solve(constraints) is not None
        return self.answers[key]

    def solve(self, constraints):
        """A solution of the constraints, or None."""
        constraints = [one for one in constraints if not one.is_true()]
        if any(one.is_false() for one in constraints):
            return None
        began = time.monotonic()
        options = bitwuzla.Options()
        options.set(bitwuzla.Option.PRODUCE_MODELS, True)
        solver = bitwuzla.Bitwuzla(self.manager, options)
        for one in constraints:
            solver.assert_formula(self.term(one))
        answer = solver.check_sat()
        if answer == bitwuzla.Result.UNKNOWN:
            raise RuntimeError("the solver has no answer")
        seconds = time.monotonic() - began
        self.queries, self.seconds = self.queries + 1, self.seconds + seconds
        self.slowest = max(self.slowest, seconds)
        return Solution(self, solver) if answer == bitwuzla.Result.SAT else None

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
