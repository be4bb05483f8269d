"""Memory by named words, and the cases of a scene.

A scene speaks of few words: some of the control structure, and headers, links and ghosts of the
blocks that a call touches. Each has an address that is a sum of unknowns and a constant. Two words
are told apart by that sum, by the region that they lie in, or by the solver; where both answers are
possible, the case splits in two.
"""

import claripy

MASK = (1 << 64) - 1
BITWISE = ("__xor__", "__and__", "__or__", "__invert__", "Extract", "Concat", "LShR", "__lshift__")
sums, canons = {}, {}


def number(value, bits=64):
    return claripy.BVV(value, bits)


def linear(ast):
    """A term as a sum: ({hash: (factor, atom)}, constant), modulo 2^64."""
    key = ast.hash()
    if key not in sums:
        sums[key] = as_sum(ast)
    return sums[key]


def as_sum(ast):
    op, args = ast.op, ast.args
    if op == "BVV":
        return {}, args[0]
    if op in ("__add__", "__sub__", "__neg__"):
        parts, constant = {}, 0
        for index, one in enumerate(args):
            sign = -1 if op == "__neg__" or op == "__sub__" and index else 1
            atoms, plus = linear(one)
            constant += sign * plus
            for key, (factor, atom) in atoms.items():
                parts[key] = (parts.get(key, (0, 0))[0] + sign * factor, atom)
        return {k: f for k, f in parts.items() if f[0] & MASK}, constant & MASK
    factor = None
    if op == "__lshift__" and args[1].op == "BVV":
        factor, term = 1 << min(args[1].args[0], 64), args[0]
    elif op == "__mul__" and len(args) == 2 and "BVV" in (args[0].op, args[1].op):
        factor, term = (
            (args[0].args[0], args[1]) if args[0].op == "BVV" else (args[1].args[0], args[0])
        )
    if factor is not None and len(ast) == 64:
        atoms, constant = linear(term)
        parts = {k: (f * factor, atom) for k, (f, atom) in atoms.items()}
        return {k: f for k, f in parts.items() if f[0] & MASK}, constant * factor & MASK
    if op in BITWISE:
        simple = claripy.simplify(ast)
        if simple.hash() != ast.hash():
            return linear(simple)
    return {ast.hash(): (1, ast)}, 0


def canon(ast):
    """The term with its sums in one form, so that equal addresses are equal terms."""
    if not isinstance(ast, claripy.ast.Base) or ast.op in ("BVV", "BVS", "BoolV", "BoolS"):
        return ast
    key = ast.hash()
    if key not in canons:
        canons[key] = as_canon(ast)
    return canons[key]


def as_canon(ast):
    args = [canon(one) if isinstance(one, claripy.ast.Base) else one for one in ast.args]
    if any(one is not other for one, other in zip(args, ast.args)):
        ast = (
            claripy.simplify(ast.make_like(ast.op, tuple(args)))
            if ast.op in BITWISE
            else ast.make_like(ast.op, tuple(args))
        )
    if ast.op in ("__eq__", "__ne__") and isinstance(ast.args[0], claripy.ast.BV):
        return balanced(ast)
    if ast.op in ORDERS and len(ast.args[0]) == 64:
        return ordered(ast)
    if isinstance(ast, claripy.ast.Bool) or len(ast) != 64:
        return ast
    if ast.op not in ("__add__", "__sub__", "__neg__", *BITWISE):
        return ast
    return from_sum(*linear(ast))


ORDERS = ("ULT", "ULE", "UGT", "UGE", "__lt__", "__le__", "__gt__", "__ge__")


def multiple(sum_, bits):
    """Whether all parts of a sum are multiples of 2^bits: their last bits are a known zero."""
    atoms, constant = sum_
    return constant % (1 << bits) == 0 and all(
        atom.op == "Concat" and atom.args[-1].op == "BVV" and atom.args[-1].args[0] == 0
        and len(atom.args[-1]) >= bits
        for _, atom in atoms.values()
    )  # fmt: skip


def small(sum_):
    """Whether a sum cannot wrap: at most 7 parts below 2^60 each, which begin with known zeros."""
    atoms, constant = sum_
    return (
        constant < 1 << 60
        and sum(factor for factor, _ in atoms.values()) < 7
        and all(
            0 < factor < 7
            and atom.op == "Concat"
            and atom.args[0].op == "BVV"
            and atom.args[0].args[0] == 0
            and len(atom.args[0]) >= 4
            for factor, atom in atoms.values()
        )
    )


def unshifted(term):
    """The sum whose multiples of 2^bits a term counts; and the bits."""
    op, args = term.op, term.args
    if op == "Concat" and len(args) == 2 and args[0].op == "BVV" and args[0].args[0] == 0:
        high, low = args[1].args[:2] if args[1].op == "Extract" else (0, 0)
        if high == 63 and low == len(args[0]) and len(args[1].args[2]) == 64:
            sum_ = linear(args[1].args[2])
            if multiple(sum_, low):
                return sum_, low
    return linear(term), 0


def ordered(comparison):
    """A comparison of two sums that cannot wrap, without what both sides have."""
    (one, bits), (other, same_bits) = map(unshifted, comparison.args)
    if bits != same_bits or not (small(one) and small(other)):
        return comparison
    (atoms, constant), (others, plus) = one, other
    least = min(constant, plus)
    common = {key: min(f, others[key][0]) for key, (f, _) in atoms.items() if key in others}
    if not common and not least and not bits:
        return comparison
    one, other = (
        {key: (f - common.get(key, 0), atom) for key, (f, atom) in side.items()}
        for side in (atoms, others)
    )
    one, other = (
        from_sum({key: part for key, part in side.items() if part[0]}, rest - least)
        for side, rest in ((one, constant), (other, plus))
    )
    return comparison.make_like(comparison.op, (one, other))


def balanced(equality):
    """An equality without what both sides have, so that places in the pools are compared without
    the address of the pools."""
    one, other = equality.args
    if len(one) != 64:
        return equality
    (atoms, constant), (others, plus) = linear(one), linear(other)
    common = [key for key in atoms if key in others and atoms[key][0] == others[key][0]]
    if not common and not (constant and plus):
        return equality
    one = {key: part for key, part in atoms.items() if key not in common}
    other = {key: part for key, part in others.items() if key not in common}
    one, other = from_sum(one, constant - plus & MASK), from_sum(other, 0)
    return one == other if equality.op == "__eq__" else one != other


def from_sum(atoms, constant):
    result = None
    for key in sorted(atoms):
        factor, atom = atoms[key]
        factor &= MASK
        if factor > MASK // 2:
            atom, factor = -atom, -factor & MASK
        part = atom if factor == 1 else atom * factor
        result = part if result is None else result + part
    if result is None:
        return number(constant)
    return result + constant if constant else result


def same(one, other):
    """Equal terms, without a question."""
    return canon(one).hash() == canon(other).hash()


def place(ast):
    """The key of an address: its atoms and their factors; and the constant beside them."""
    atoms, constant = linear(canon(ast))
    return tuple(sorted((key, factor & MASK) for key, (factor, _) in atoms.items())), constant


class Contradiction(Exception):
    """The facts exclude each other: no heap is in this case."""


class Undecided(Exception):
    """The scene says too little about what the code does: no proof."""


class TooLong(Exception):
    """Not through in the time that the scene has: neither a proof nor a refutation."""


class Word:
    def __init__(self, address, region, value):
        self.address, self.region, self.value = address, region, value


class Case:
    """One case of a scene: facts, and the words of memory with their values before the call.

    A scene is a function of its case. `choose` splits it: the scene runs once for each sequence of
    answers that the facts allow."""

    def __init__(self, solver, answers):
        self.solver, self.answers, self.asked = solver, answers, 0
        self.facts, self.story, self.words, self.order = [], [], {}, []
        self.denied = set()
        self.fresh, self.solution, self.definitions = 0, None, []

    def unknown(self, name, bits=64):
        self.fresh += 1
        return claripy.BVS(f"{name}.{self.fresh}", bits, explicit_name=True)

    def assume(self, *facts):
        facts = [canon(fact) for fact in facts]
        self.facts += facts
        self.denied |= {canon(claripy.Not(fact)).hash() for fact in facts}
        if self.solution and not all(map(self.solution.holds, facts)):
            self.solution = None

    def possible(self, *more):
        more = [canon(one) for one in more]
        if any(one.hash() in self.denied for one in more):
            return False
        if self.solution is None:
            # A solution with them is one without them, too.
            self.solution = self.solver.solve(self.facts, *more)
            return self.solution is not None
        return all(map(self.solution.holds, more)) or self.solver.satisfiable(self.facts, *more)

    def surely(self, condition):
        return not self.possible(claripy.Not(condition))

    def choose(self, what, condition):
        """Whether the condition holds in this case. `what` says it in words."""
        condition = canon(condition)
        if condition.is_true() or condition.is_false():
            return condition.is_true()
        if self.asked == len(self.answers):
            options = [
                one
                for one, fact in ((True, condition), (False, claripy.Not(condition)))
                if self.possible(fact)
            ]
            if not options:
                raise Contradiction
            self.answers.append((options, len(options) > 1))
        (answer, *_), split = self.answers[self.asked]
        self.asked += 1
        # What holds in every heap of the case adds nothing to it.
        if split:
            self.story.append(what if answer else f"not {what}")
            self.assume(condition if answer else claripy.Not(condition))
        return answer

    # Words.

    def find(self, address):
        """The word at this address, by its sum alone, and the bytes into it."""
        key, constant = place(address)
        for rest in range(8):
            word = self.words.get((key, constant - rest & MASK))
            if word:
                return word, rest
        return None, 0

    def word(self, address, region):
        """The word at this address, which is that of a word of this region or a new one."""
        word, rest = self.find(address)
        if word:
            if rest:
                raise Undecided("a word begins inside another")
            return word
        for other in self.order:
            if other.region == region and self.choose(
                f"a word of {region[0]} {region[1]} is known", other.address == address
            ):
                self.words[place(address)] = other
                return other
        word = Word(canon(address), region, None)
        self.words[place(address)] = word
        self.order.append(word)
        return word

    def know(self, address, region, value):
        """The word has this value before the call."""
        word = self.word(address, region)
        if word.value is None:
            word.value = canon(value)
        else:
            if not self.possible(word.value == value):
                raise Contradiction
            self.assume(word.value == value)
        return word

    def before(self, address, region):
        """The value before the call: an unknown, unless it is known."""
        word = self.word(address, region)
        if word.value is None:
            word.value = self.unknown("word")
        return word.value


def cases(solver, scene):
    """The scene's runs, each with its case: (case, the scene's result)."""
    answers = []
    while True:
        case = Case(solver, answers)
        try:
            yield case, scene(case)
        except Contradiction:
            pass
        while answers and len(answers[-1][0]) == 1:
            answers.pop()
        if not answers:
            return
        answers[-1] = answers[-1][0][1:], True
