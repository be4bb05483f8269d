#!/usr/bin/env bash
# Symbolic execution of the shipped library: scripts/symbolic.sh [DIST [quick|step]]
#
# Runs tests/symbolic/prove.py (size arithmetic) and prove_step.py (one step keeps the invariants)
# on DIST/libmemoman.so.0, and on copies of the library with planted bugs, each of which must be
# reported. quick: memalign's planted bug, one of a merge, and a scene of each function; step: only
# prove_step.py. SYMBOLIC_JOBS=n, SYMBOLIC_NICE=n (10).
set -euo pipefail
. "$(dirname "$0")/lib.sh"
dist=$(cd "${1:-$root/dist}" && pwd)
venv=$target/symbolic
[ -x "$venv/bin/python" ] || die "target/symbolic is missing: run scripts/setup.sh symbolic"
run() {
    local program=$1
    shift
    nice -n "${SYMBOLIC_NICE:-10}" "$venv/bin/python" -B "$root/tests/symbolic/$program" \
        ${SYMBOLIC_JOBS:+--jobs "$SYMBOLIC_JOBS"} "$@"
}
prove() { run prove.py "$@"; }

# copy_of_sources: into $copy.
copy=$work/planted
copy_of_sources() {
    rm -rf "$copy"
    mkdir "$copy"
    cp -r "$root"/{Cargo.toml,Cargo.lock,build.rs,src,crates,tests} "$copy"
}

# build_copy: the library with the planted bugs of $copy, as $bugged.
bugged=$venv/planted/release/libmemoman.so
build_copy() {
    RUSTFLAGS="${RUSTFLAGS:-} -Cllvm-args=-inline-threshold=25" \
        cargo build --quiet --offline --release --package memoman \
        --manifest-path "$copy/Cargo.toml" --target-dir "$venv/planted" ||
        die "the library with the planted bugs does not build"
}

# step_planted SCENES NAME…: the library with these bugs of scripts/planted.sh, each on the
# path of one of the scenes; each scene must be refuted.
step_planted() {
    local scenes=$1
    shift
    copy_of_sources
    "$root/scripts/planted.sh" --plant "$copy" "$@" || die "a bug cannot be planted"
    printf '     planted: %s\n' "$@"
    build_copy
    run prove_step.py --planted "$scenes" "$bugged"
}

# planted FUNCTIONS SCENES [OLD NEW]…: in the library from a core patched so, and with the bugs
# $also of scripts/planted.sh, each of the functions must be reported, in one of the scenes.
planted() {
    local functions=$1 scenes=() scene
    for scene in $2; do scenes+=(--scene "$scene"); done
    shift 2
    copy_of_sources
    while [ $# -gt 0 ]; do
        # A patch that does not apply must not pass for a bug that is found, or is not.
        [ "$(swap "$1" "$2" "$copy"/{crates/memoman-core/src,src/ffi}/*.rs)" -gt 0 ] ||
            die "the sources have no \`$1\`: bring the planted bugs up to date"
        echo "     planted: $2"
        shift 2
    done
    # shellcheck disable=SC2086 # a list of words
    [ -z "${also:-}" ] || "$root/scripts/planted.sh" --plant "$copy" $also ||
        die "a bug cannot be planted"
    build_copy
    prove --planted "$functions" "${scenes[@]}" "$bugged"
}

failed=0
# Bounds tests dropped: memalign's sum cannot overflow 64 bits within the bound.
no_bounds=('bytes.wrapping_sub(1) >= (*control).limit' 'bytes == 0'
    'bytes > (*control).limit' 'false')
if [ "${2:-}" = quick ]; then
    also=merge-without-unlinking-the-next planted mm_memalign exact "${no_bounds[@]}" || failed=1
    run prove_step.py --planted free_after_used_before_free "$bugged" || failed=1
    run prove_step.py --layout below --scene free_after_used_before_used \
        "$dist/libmemoman.so.0" || failed=1
    prove --keep "$venv/results" --function mm_memalign --scene exact "$dist/libmemoman.so.0" ||
        failed=1
    prove --keep "$venv/results" --function mm_malloc --function mm_calloc --function mm_realloc \
        --scene smallest --scene alone_no_free_block "$dist/libmemoman.so.0" || failed=1
    exit $failed
fi
# Eight bugs in one library, each on the path of one scene alone.
scenes=free_after_used_before_free,free_after_free_before_used,free_after_alone_before_free
scenes+=,malloc_exact,malloc_wilderness,malloc_split
scenes+=,realloc_shrinks_before_free,realloc_grows_into_alone
step_planted $scenes merge-without-unlinking-the-next merge-without-unlinking-the-one-before \
    merge-of-both-without-unlinking-the-next prev-free-kept-on-exact-hit \
    prev-free-kept-on-wilderness-taken-whole prev-free-kept-on-split-taken-whole \
    shrink-without-unlinking-the-next grow-forward-without-unlinking || failed=1
step_planted malloc_exact,malloc_wilderness,free_after_used_before_free bitmap-bit-kept-on-pop \
    bitmap-bit-kept-on-wilderness-taken-whole bitmap-bit-kept-on-unlink || failed=1
step_planted malloc_exact first-level-bit-kept || failed=1
step_planted malloc_wilderness,free_after_free_before_end split-one-quantum-short \
    merge-of-both-without-unlinking-the-one-before || failed=1
step_planted malloc_split,memalign_wilderness remainder-one-quantum-short \
    gap-without-prev-free-behind || failed=1
# The short programs that the machine code is compared with, each without one of its writes.
run prove_step.py --forget || failed=1
run prove_step.py "$dist/libmemoman.so.0" || failed=1
[ "${2:-}" != step ] || exit $failed
planted mm_malloc,mm_memalign,mm_realloc,mm_calloc 'exact alone_coarse' "${no_bounds[@]}" ||
    failed=1
# Count times size wraps; a gap too small for a block; growing past the end of the next free block.
planted mm_calloc,mm_memalign,mm_realloc 'exact next_free_no_free_block' \
    'count.saturating_mul(size)' 'count.wrapping_mul(size)' \
    'if gap == QUANTUM {' 'if gap == 3 * QUANTUM {' \
    'let total = have + next_size' 'let total = have + next_size + QUANTUM' || failed=1
# A split one quantum short: the remainder begins inside the block. Planted alone, because the
# library makes the scenes, too.
planted mm_malloc 'exact' \
    'form_free((*control).cookie, block.offset(wanted), rest)' \
    'form_free((*control).cookie, block.offset(wanted - QUANTUM), rest + QUANTUM)' || failed=1
# A block one quantum smaller than the request, cut from the wilderness.
planted mm_malloc 'small_wilderness' \
    'let mut taken = wanted;' 'let mut taken = wanted - QUANTUM;' || failed=1
# The library as it is shipped takes longest.
prove --keep "$venv/results" "$dist/libmemoman.so.0" || failed=1
exit $failed
