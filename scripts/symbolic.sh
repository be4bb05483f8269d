#!/usr/bin/env bash
# Symbolic execution of the shipped library: symbolic.sh DIST [quick]
# Installs angr into target/symbolic the first time. Then runs tests/symbolic/prove.py over DIST/libmemoman.so.0, and over
# copies of the library with planted bugs (bounds and overflow tests dropped), each of which must be reported.
# quick: memalign's planted bug, and a scene of each function, in a minute.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dist=$(cd "${1:-$root/dist}" && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target/symbolic"
venv=$(cd "$target/symbolic" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! cmp -s "$root/tests/symbolic/requirements.txt" "$venv/installed"; then
    echo "installing angr into $venv"
    if ! python3 -m venv "$venv" 2>"$work/log"; then
        cat "$work/log" >&2
        echo "symbolic.sh: python3 cannot make a virtual environment: apt-get install python3-venv" >&2
        exit 1
    fi
    "$venv/bin/pip" install --quiet -r "$root/tests/symbolic/requirements.txt"
    cp "$root/tests/symbolic/requirements.txt" "$venv/installed"
fi
prove() { nice -n "${SYMBOLIC_NICE:-10}" "$venv/bin/python" -B "$root/tests/symbolic/prove.py" ${SYMBOLIC_JOBS:+--jobs "$SYMBOLIC_JOBS"} "$@"; }

# planted FUNCTIONS SCENES TEXT REPLACEMENT...: the library from a core patched so, wherever in its sources and however the lines are
# broken; in it each of those functions must be reported, in one of these scenes.
planted() {
    local functions=$1 scenes=() scene copy=$work/planted
    for scene in $2; do scenes+=(--scene "$scene"); done
    shift 2
    rm -rf "$copy"
    mkdir "$copy"
    cp -r "$root"/{Cargo.toml,Cargo.lock,build.rs,src,crates,tests} "$copy"
    while [ $# -gt 0 ]; do
        # A patch that no longer applies must not pass for a bug that is not found, or the other way round.
        OLD=$1 NEW=$2 perl -0pi -e '
            BEGIN { $old = join "\\s+", map { quotemeta } split " ", $ENV{OLD} }
            $n += s/$old/$ENV{NEW}/g; END { exit($n ? 0 : 1) }' "$copy"/{crates/memoman-core/src,src/ffi}/*.rs || {
            echo "symbolic.sh: the sources have no \`$1\`: bring the planted bugs up to date" >&2
            exit 1
        }
        echo "     planted: $2"
        shift 2
    done
    # The header is not needed, and its generator takes longer to build than the library.
    rm "$copy/build.rs"
    sed -i -e '/^build = /d' -e '/^\[build-dependencies\]/,/^$/d' "$copy/Cargo.toml"
    RUSTFLAGS="${RUSTFLAGS:-} -Cllvm-args=-inline-threshold=25" \
        cargo build --quiet --offline --release --package memoman --manifest-path "$copy/Cargo.toml" --target-dir "$venv/planted" || {
        echo "symbolic.sh: the library with the planted bugs does not build" >&2
        exit 1
    }
    prove --planted "$functions" "${scenes[@]}" "$venv/planted/release/libmemoman.so"
}

failed=0
# Bounds and overflow tests dropped. (In memalign both: within the bound, its sum cannot overflow 64 bits.)
no_bounds=('bytes.wrapping_sub(1) >= (*control).limit' 'bytes == 0'
    'size.checked_add(align).and_then(|n| n.checked_add(QUANTUM))' 'Some(size.wrapping_add(align).wrapping_add(QUANTUM))'
    'bytes > (*control).limit' 'false')
if [ "${2:-}" = quick ]; then
    planted mm_memalign exact "${no_bounds[@]}" || failed=1
    prove --keep "$venv/results" --function mm_memalign --scene exact "$dist/libmemoman.so.0" || failed=1
    prove --keep "$venv/results" --function mm_malloc --function mm_calloc --function mm_realloc \
        --scene smallest --scene alone_no_free_block "$dist/libmemoman.so.0" || failed=1
    exit $failed
fi
planted mm_malloc,mm_memalign,mm_realloc,mm_calloc 'exact alone_coarse' "${no_bounds[@]}" || failed=1
# Count times size wraps; a gap too small for a block; growing past the end of the free block behind.
planted mm_calloc,mm_memalign,mm_realloc 'exact next_free_no_free_block' \
    'count.saturating_mul(size)' 'count.wrapping_mul(size)' \
    'if gap == QUANTUM {' 'if gap == 3 * QUANTUM {' \
    'let total = have + next_size' 'let total = have + next_size + QUANTUM' || failed=1
# A split one quantum short: the remainder begins inside the block. (Alone: the library makes the scenes, too.)
planted mm_malloc 'exact' \
    'form_free(control, block.offset(wanted), rest)' 'form_free(control, block.offset(wanted - QUANTUM), rest + QUANTUM)' || failed=1
# A block one quantum smaller than what was asked for, cut from the wilderness.
planted mm_malloc 'small_wilderness' 'let mut taken = wanted;' 'let mut taken = wanted - QUANTUM;' || failed=1
# The library as it is shipped, last: what takes longest.
prove --keep "$venv/results" "$dist/libmemoman.so.0" || failed=1
exit $failed
