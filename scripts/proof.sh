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
    dafny /compile:0 /nologo /timeLimit:120 "$1" 2>/dev/null >"$work/all" || true
    grep -E '^[a-z/]*[a-z]+[.]dfy|^Dafny' "$work/all" | tee "$work/told"
    grep -Eq '^Dafny program verifier finished with [1-9][0-9]* verified, 0 errors$' "$work/told"
}

# refuted NAME FILE OLD NEW: with OLD become NEW, a theorem of FILE fails.
refuted() {
    local copy=$work/model
    rm -rf "$copy"
    cp -r "$model" "$copy"
    [ "$(swap "$3" "$4" "$copy/$2")" -gt 0 ] || die "$2 has no place for $1"
    if verified "$copy/$2" >/dev/null; then
        fail "$1"
    elif grep -Eq 'verified, [1-9][0-9]* errors?$' "$work/told"; then
        ok "$1-is-refuted"
    else
        fail "$1 $(tail -n 1 "$work/told")"
    fi
}

for file in index pool heap; do check "$file" verified "$model/$file.dfy" || true; done
refuted bit-kept index.dfy 'second := x.second[b := list != []]' 'second := x.second'
refuted search-from-the-own-bin index.dfy 'above := Next(x, own + 1)' 'above := Next(x, own)'
refuted rest-below-the-smallest pool.dfy 'if b.size - k >= MIN then' 'if b.size > k then'
refuted one-before-not-joined pool.dfy 'p[i - 1].isFree then i - 1' 'p[i - 1].isFree then i'
refuted flag-behind-kept heap.dfy 'f[..l + 1] + FreeBits(r) + f[e + 1..]' \
    'f[..l + 1] + FreeBits(r[..|r| - 1]) + f[e..]'
refuted gap-below-the-smallest heap.dfy 'requires gap == 0 || gap >= MIN' 'requires gap >= 0'
finish
