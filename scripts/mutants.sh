#!/usr/bin/env bash
# Mutation testing with cargo-mutants: scripts/mutants.sh [core] [global]; both without an argument.
#
#   scripts/mutants.sh prepare PACKAGE FOLDER   only the copy of the sources that is mutated
#   scripts/mutants.sh report [--write]         only the table, from the results so far
#
# Prints one line for each file and writes docs/mutants.csv; fails if fewer than 95 % of a package's
# viable mutants die, or if a survivor has no reason in docs/mutants-survivors.csv. About two hours
# on two processors, each of which takes a share of the mutants (MUTANTS_PARTS=n: more shares,
# because mutants that hang need no processor). Results so far: target/mutants/PACKAGE/.
# scripts/setup.sh mutants installs the tools.
#
# cargo-mutants skips `unsafe fn`, most of an allocator. It mutates a copy in which `unsafe` is
# struck from the functions' declarations (their bodies state it themselves): same lines, same
# programs, same tests.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"
outcome=$target/mutants

# Core tests that take seconds each run for the mutants only that all others let live. Left out: the
# models and the exhaustive search, slower still; the loom models and the debug library's tests,
# which need builds of their own; the test program that makes the heap Rust's own.
slow="corruption damage differential"
left_out="exhaustion model gate_model inbox_model lock_model slots_model visit_model rust debugged"

prepare() {
    local package=$1 tree=$2
    rm -rf "$tree"
    mkdir -p "$tree"
    # With new times, so that cargo takes nothing built before for up to date.
    git ls-files -co --exclude-standard -z | tar --null -T - -c --ignore-failed-read 2>/dev/null |
        tar -x -m -C "$tree"
    # Not in the files whose traits demand `unsafe fn`.
    find "$tree/crates/memoman-$package/src" -name '*.rs' ! -path '*/tests/*' \
        ! -name global_alloc.rs ! -name 'allocator*.rs' ! -name front.rs \
        -exec sed -i -E 's/\bunsafe fn /fn /' {} +
    sed -i -E -e 's/^unsafe_op_in_unsafe_fn = "deny"/unused_unsafe = "allow"/' \
        -e 's/^(missing_docs|unreachable_pub) = "deny"/\1 = "allow"/' "$tree/Cargo.toml"
    # One program for the quick tests and one for the slow ones: linking takes longest.
    local crate=$tree/crates/memoman-$package file name program
    sed -i '0,/^\[package\]/s//[package]\nautotests = false/' "$crate/Cargo.toml"
    printf '\n[[test]]\nname = "quick"\n\n[[test]]\nname = "slow"\n' >>"$crate/Cargo.toml"
    : >"$crate/tests/quick.rs"
    : >"$crate/tests/slow.rs"
    for file in "$crate"/tests/*.rs; do
        name=$(basename "$file" .rs)
        program=quick
        case $name in
            *_model | debugged) printf '\n[[test]]\nname = "%s"\n' "$name" >>"$crate/Cargo.toml" ;;
        esac
        case " quick slow $left_out " in *" $name "*) continue ;; esac
        case " $slow " in *" $name "*) program=slow ;; esac
        printf '#[path = "%s.rs"]\nmod %s;\n' "$name" "$name" >>"$crate/tests/$program.rs"
    done
}

parts() { echo "${MUTANTS_PARTS:-$(nproc)}"; }

# stage PACKAGE ARGUMENTS…: tries the mutants that have lived so far; each processor takes a part of
# them. The results of all stages and parts:
# target/mutants/PACKAGE/{caught,missed,timeout,unviable}.txt.
stage() {
    local package=$1 parts part place kind features=() waiting=()
    shift
    parts=$(parts)
    [ "$package" != core ] || features=(--features allocator-api2,critical-section)
    for ((part = 0; part < parts; part++)); do
        place=$outcome/$package/$part
        [ ! -d "$place/mutants.out" ] ||
            cat "$outcome/$package"/{caught,timeout,unviable}.txt \
                >"$place/mutants.out/previously_caught.txt"
        (
            cd "$place/tree"
            export RUST_BACKTRACE=0
            unset CARGO_TARGET_DIR
            cargo mutants --in-place --iterate --shard "$part/$parts" -p "memoman-$package" \
                "${features[@]}" -o "$place" --no-times "$@" ||
                [ $? -le 3 ] # 2: some live, 3: some time out
        ) &
        waiting+=($!)
    done
    for part in "${waiting[@]}"; do wait "$part"; done
    for kind in caught missed timeout unviable; do
        cat "$outcome/$package"/*/mutants.out/$kind.txt >>"$outcome/$package/$kind.txt"
    done
}

# The quick tests first, and all of them for the mutants that live; as --cargo-arg, so that the
# build, which takes longest, makes no more than they need. Then the mutants that only show
# elsewhere: the core's on 32-bit x86, where other tests prove what a header's seal proves on 64-bit
# targets; the global package's in the loom models, in the debug library's tests, and in the C
# programs under the shim.
run() {
    local package=$1 part
    for ((part = 0; part < $(parts); part++)); do
        prepare "$package" "$outcome/$package/$part/tree"
    done
    stage "$package" -e '**/src/debug/**' --cargo-arg=--test=quick
    stage "$package" -e '**/src/debug/**' \
        --cargo-arg=--lib --cargo-arg=--test=quick --cargo-arg=--test=slow
    "elsewhere_$package"
}

elsewhere_core() {
    PATH=/usr/bin:/bin:$PATH RUSTC_BOOTSTRAP=1 CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=gcc \
        stage core --cargo-arg=--target=i686-unknown-linux-gnu \
        --cargo-arg=-Zbuild-std=std,panic_unwind \
        --cargo-arg='--config=profile.mutants.panic="unwind"' --cargo-arg=--test=quick
}

# The C programs take 20 s and more, which cargo-mutants would take for a hang.
elsewhere_global() {
    RUSTFLAGS="--cfg loom" stage global -f lock.rs -f gate.rs -f inbox.rs \
        --cargo-arg=--test=lock_model --cargo-arg=--test=gate_model --cargo-arg=--test=inbox_model \
        --cargo-arg=--test=visit_model
    RUSTFLAGS="--cfg memoman_debug -Cforce-frame-pointers=yes" stage global \
        -f '**/src/debug/**' -f '**/src/process/heap.rs' -f '**/src/process/figures/**' \
        -f '**/src/process/regions.rs' -f '**/src/process/pages.rs' \
        --cargo-arg=--lib --cargo-arg=--test=debugged
    MEMOMAN_VARIANTS=preload stage global --timeout 200 -e '**/src/debug/**' \
        --test-package memoman-tests
}

report() { python3 scripts/mutants_report.py "$outcome" "$@"; }

case "${1:-}" in
prepare) prepare "$2" "$3" ;;
report) report "${@:2}" ;;
*)
    PATH=$target/tools/bin:$PATH
    [ $# -gt 0 ] || set -- core global
    for package in "$@"; do
        rm -rf "${outcome:?}/$package"
        run "$package"
    done
    report --write
    ;;
esac
