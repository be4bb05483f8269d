#!/usr/bin/env bash
# Coverage-guided fuzzing with libFuzzer, Rust and C under AddressSanitizer. Targets: fuzz/*.c.
#
#   scripts/fuzz.sh run SECONDS [TARGET…]  fuzz for so long in all, shared by the targets; new
#                                          inputs go to target/fuzz/corpus
#   scripts/fuzz.sh replay                 every committed input once, and the self-tests
#   scripts/fuzz.sh one TARGET FILE        one input, with the full report
#   scripts/fuzz.sh merge [TARGET…]        write fuzz/corpus anew: fewest inputs, the same coverage
#   scripts/fuzz.sh build                  the programs only, in target/fuzz
#
# fuzz/corpus/TARGET holds the committed inputs, fuzz/regressions/TARGET those that found a bug,
# named for it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
group=fuzz
cd "$root"

targets=(handle corrupted shim environment trace records)
declare -A longest=([handle]=512 [corrupted]=320 [shim]=512 [environment]=160 [trace]=2048
    [records]=1024)
out=$target/fuzz
crashes=$out/crashes
host=$(rust_host)
asan=quarantine_size_mb=8:allocator_may_return_null=1:detect_leaks=1
export ASAN_OPTIONS=${ASAN_OPTIONS:-$asan}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
mkdir -p "$out/bin" "$crashes"

flags=(-std=gnu11 -g -O2 -Wall -Wextra -Werror -fsanitize=address,undefined
    -fno-sanitize-recover=all -I include -I c_tests/support -I fuzz)

# The libraries as archives with coverage counters and AddressSanitizer. The asan variant's target
# folder holds the build scripts already.
build_libraries() {
    local built=$target/asan/$host/debug name
    local -x RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_OPT_LEVEL=2
    local -x RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer \
--cfg memoman_planted_bug --cfg memoman_instrumented --cfg memoman_fuzz \
-Cforce-frame-pointers=yes -Ccodegen-units=1 -Cpasses=sancov-module \
-Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
    cargo build --quiet --package memoman --target "$host" --target-dir "$target/asan"
    renew "$built/libmemoman.a" "$out/libmemoman.a"
    cargo rustc --quiet --package memoman-preload --crate-type staticlib --target "$host" \
        --target-dir "$target/asan"
    cargo rustc --quiet --package memoman-trace --crate-type staticlib --target "$host" \
        --target-dir "$target/asan"
    renew "$built/libmemoman_trace.a" "$out/libtrace.a"

    # The environment and stderr become functions of the harness.
    renew "$built/libmemoman.a" "$out/libenvironment.a" \
        --redefine-sym secure_getenv=fuzz_getenv --redefine-sym syscall=fuzz_syscall
    # The shim's names get a prefix, so that the fuzzer keeps its own malloc.
    sed 's/.*/& shim_&/' c_tests/artefacts/shim.names >"$out/names"
    renew "$built/libmemoman_preload.a" "$out/libshim.a" --redefine-syms="$out/names"
    for name in malloc free posix_memalign _Znwm _ZdlPv dlopen pthread_create; do
        if nm --defined-only "$out/libshim.a" 2>/dev/null | grep -E " [TW] $name\$" >/dev/null; then
            die "$name has kept its name: it would replace the fuzzer's own"
        fi
    done
}

# renew FROM TO [OBJCOPY-OPTION…]
renew() {
    objcopy --remove-section=.llvmbc --remove-section=.llvmcmd "${@:3}" "$1" "$work/archive"
    place "$work/archive" "$2"
}

# link TARGET PROGRAM [FLAG…]
link() {
    local name=$1 program=$2 library=$out/libmemoman.a
    shift 2
    local sources=("fuzz/$name.c" fuzz/harness.c c_tests/support/fill.c) libraries=()
    case $name in
        trace | records)
            library=$out/libtrace.a
            libraries=(-lgcc_s) # the standard library's
            ;;
        shim) library=$out/libshim.a ;;
        environment) library=$out/libenvironment.a ;;
        *) sources+=(c_tests/support/heap.c) ;;
    esac
    local one fresh=yes
    for one in "${sources[@]}" "$library" fuzz/harness.h c_tests/support/heap.h include/memoman.h \
        scripts/fuzz.sh; do
        [ "$program" -nt "$one" ] || fresh=
    done
    if [ -z "$fresh" ]; then
        clang-22 "${flags[@]}" -fsanitize=fuzzer "$@" "${sources[@]}" "$library" \
            "${libraries[@]}" -lpthread -ldl -lm -o "$program"
    fi
}

build() {
    local name
    build_libraries
    for name in "${targets[@]}"; do
        link "$name" "$out/bin/$name"
        link "$name" "$out/bin/$name-planted" -DPLANTED
    done
    link planted "$out/bin/planted"
}

report() { # TARGET FILE
    echo "fuzz: $1 FOUND A BUG; its input is $2"
    echo "fuzz: reproduce it with: scripts/fuzz.sh one $1 $2"
    echo "fuzz: after the fix, keep the input as fuzz/regressions/$1/NAME"
}

# fuzz TARGET SECONDS: one line at the end, with libFuzzer's last figures.
fuzz() {
    local name=$1 seconds=$2 log=$out/$1.log corpus=$out/corpus/$1 status=0 began=$SECONDS file
    mkdir -p "$corpus" "fuzz/corpus/$name"
    rm -f "$crashes/$name"-*
    "$out/bin/$name" -max_total_time="$seconds" -max_len="${longest[$name]}" -len_control=20 \
        -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$crashes/$name-" ${SEED:+-seed=$SEED} \
        "$corpus" "fuzz/corpus/$name" >"$log" 2>&1 || status=$?
    printf 'fuzz: %-11s %4d of %d s  %.90s\n' "$name" $((SECONDS - began)) "$seconds" \
        "$(grep -aE '^#[0-9]' "$log" | tail -n 1 | sed -E 's/[ \t]+/ /g; s/ L: .*//')"
    [ $status -ne 0 ] || return 0
    grep -aE 'FOUND:|^==.*ERROR|^SUMMARY|runtime error|ALARM' "$log" | head -n 4 || true
    for file in "$crashes/$name"-*; do
        [ -e "$file" ] && report "$name" "$file"
    done
    return 1
}

# replay TARGET FOLDER KIND: every input of the folder; ok only if all of them were executed.
replay() {
    local name=$1 folder=$2 kind=$3 log=$out/$1-$3.log files count
    mapfile -t files < <(find "$folder" -type f 2>/dev/null | sort)
    count=${#files[@]}
    if [ "$count" -eq 0 ]; then
        [ "$kind" = regressions ] || fail "$name-$kind no inputs in $folder"
        return 0
    fi
    if ! "$out/bin/$name" -timeout=60 "${files[@]}" >"$log" 2>&1; then
        fail "$name-$kind $(grep -aE 'FOUND:|ERROR:|runtime error' "$log" | head -n 1);" \
            "input: $(sed -n 's/^Running: //p' "$log" | tail -n 1)"
    elif [ "$(grep -c '^Executed ' "$log")" -ne "$count" ]; then
        fail "$name-$kind $(grep -c '^Executed ' "$log") of $count inputs executed"
    else
        ok "$name-$kind $count of $count inputs executed"
    fi
}

# A bug is planted in each target: its committed inputs must find it.
replay_planted() {
    local name=$1 log=$out/$1-planted.log files
    mapfile -t files < <(find "fuzz/corpus/$name" -type f | sort)
    if "$out/bin/$name-planted" -timeout=60 "${files[@]}" >"$log" 2>&1; then
        fail "$name-finds-planted-bug: ${#files[@]} inputs passed"
    elif ! grep -qaE 'FOUND:|AddressSanitizer: heap-buffer-overflow' "$log"; then
        fail "$name-finds-planted-bug: ended without a finding; see $log"
    else
        ok "$name-finds-planted-bug"
    fi
}

# The fuzzer itself, from an empty corpus, finds a bug in Rust that four bytes guard.
self_test() {
    local log=$out/planted.log
    rm -f "$crashes"/planted-*
    if "$out/bin/planted" -seed=1 -runs=4000000 -max_len=8 -artifact_prefix="$crashes/planted-" \
        >"$log" 2>&1; then
        fail "planted-bug-is-found: $(grep -a '^Done' "$log")"
    elif ! grep -qa 'AddressSanitizer: heap-buffer-overflow' "$log" ||
        ! grep -qa 'mm_planted_overflow' "$log"; then
        fail "planted-bug-is-found: ended without a report; see $log"
    else
        ok "planted-bug-is-found"
    fi
    if "$out/bin/planted" "$crashes"/planted-* >"$log" 2>&1; then
        fail "planted-bug-is-replayed: no report the second time"
    else
        ok "planted-bug-is-replayed"
    fi
}

chosen() { if [ $# -gt 0 ]; then targets=("$@"); fi; }

case "${1:-}" in
    run)
        seconds=${2:?seconds}
        shift 2
        chosen "$@"
        build
        status=0
        for name in "${targets[@]}"; do
            fuzz "$name" $(((seconds + ${#targets[@]} - 1) / ${#targets[@]})) || status=1
        done
        [ $status -eq 0 ] && echo "fuzz: nothing found"
        exit $status
        ;;
    replay)
        build
        for name in "${targets[@]}"; do
            replay "$name" "fuzz/corpus/$name" corpus
            replay "$name" "fuzz/regressions/$name" regressions
            replay_planted "$name"
        done
        self_test
        finish
        ;;
    one)
        build
        "$out/bin/$2" -timeout=60 "$3"
        ;;
    merge)
        shift
        chosen "$@"
        build
        for name in "${targets[@]}"; do
            rm -rf "$out/merged"
            mkdir -p "$out/merged" "$out/corpus/$name" "fuzz/corpus/$name"
            "$out/bin/$name" -set_cover_merge=1 -use_counters=0 -max_len="${longest[$name]}" \
                "$out/merged" "fuzz/corpus/$name" "$out/corpus/$name" >"$out/$name-merge.log" 2>&1
            rm -rf "fuzz/corpus/$name"
            mv "$out/merged" "fuzz/corpus/$name"
            echo "fuzz: $name: $(find "fuzz/corpus/$name" -type f | wc -l) inputs," \
                "$(cat "fuzz/corpus/$name"/* | wc -c) bytes"
        done
        ;;
    build) build ;;
    *) misused "run, replay, one, merge or build" ;;
esac
