#!/usr/bin/env bash
# The theorems about the abstract model of a heap, tests/model, checked by Dafny: scripts/proof.sh
#
# Then each planted mistake in a copy of the model must make a theorem fail.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
group=proof
model=$root/tests/model

# verified FILE: all of its lemmas. (Debian's z3 does not know one option of Dafny's, and says so.)
verified() {
    dafny /compile:0 /nologo /timeLimit:120 "$1" 2>/dev/null |
        grep -E '^[a-z]+[.]dfy|^Dafny' | tee "$work/told"
    grep -Eq '^Dafny program verifier finished with [1-9][0-9]* verified, 0 errors$' "$work/told"
}

# refuted NAME FILE OLD NEW: with OLD become NEW, a theorem of FILE fails.
refuted() {
    local copy=$work/model
    rm -rf "$copy"
    cp -r "$model" "$copy"
    [ "$(swap "$3" "$4" "$copy/$2")" = 1 ] || die "$2 has no \`$3\`"
    if verified "$copy/$2" >/dev/null; then
        fail "$1"
    elif grep -q 'This is the postcondition\|assertion violation\|precondition' "$work/told"; then
        ok "$1-is-refuted: $(grep -c ': Error' "$work/told") errors"
    else
        fail "$1 $(tail -n 3 "$work/told" | tr '\n' ' ')"
    fi
}

for file in index pool; do check "$file" verified "$model/$file.dfy" || true; done
refuted bit-kept index.dfy 'second := x.second[b := list != []]' 'second := x.second'
refuted first-bit-kept index.dfy 'SomeBit(second, b / 64)]' 'x.first[b / 64]]'
refuted search-from-the-own-bin index.dfy 'above := Next(x, own + 1)' 'above := Next(x, own)'
refuted rest-below-the-smallest pool.dfy 'if b.size - k >= MIN then' 'if b.size > k then'
refuted one-before-not-joined pool.dfy 'p[i - 1].isFree then i - 1' 'p[i - 1].isFree then i'
finished with [1-9][0-9]* verified, 0 errors$' "$work/told"
}

# refuted NAME FILE OLD NEW: with OLD become NEW, a theorem of FILE fails.
refuted() {
    local copy=$work/model
    rm -rf "$copy"
    cp -r "$model" "$copy"
    [ "$(swap "$3" "$4" "$copy/$2")" = 1 ] || die "$2 has no \`$3\`"
    if verified "$copy/$2" >/dev/null; then
        fail "$1"
    elif grep -q 'This is the postcondition\|assertion violation\|precondition' "$work/told"; then
        ok "$1-is-refuted: $(grep -c ': Error' "$work/told") errors"
    else
        fail "$1 $(tail -n 3 "$work/told" | tr '\n' ' ')"
    fi
}

for file in index pool; do check "$file" verified "$model/$file.dfy" || true; done
refuted bit-kept index.dfy 'second := x.second[b := list != []]' 'second := x.second'
refuted first-bit-kept index.dfy 'SomeBit(second, b / 64)]' 'x.first[b / 64]]'
refuted search-from-the-own-bin index.dfy 'above := Next(x, own + 1)' 'above := Next(x, own)'
refuted rest-below-the-smallest heap.dfy 'if size - n >= MIN then' 'if size - n > 0 then'
refuted one-before-not-joined heap.dfy '!p[i - 1].used then i - 1' '!p[i - 1].used then i'
refuted rest-not-listed heap.dfy 'Insert(index, Span(at + n, size - n)) else' 'index else'
finish
