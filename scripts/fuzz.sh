#!/usr/bin/env bash
# Coverage-guided fuzzing with libFuzzer, under AddressSanitizer, of Rust and C alike. Targets: fuzz/*.c.
#
#   scripts/fuzz.sh run SECONDS [TARGET...]   fuzz for so long in all, shared by the targets; new inputs go to target/fuzz/corpus
#   scripts/fuzz.sh replay                    every committed input once, and the self-tests: what `make check` runs
#   scripts/fuzz.sh one TARGET FILE           one input, with the full report
#   scripts/fuzz.sh merge [TARGET...]         write fuzz/corpus anew: the fewest inputs with the same coverage
#   scripts/fuzz.sh build                     the programs only, in target/fuzz
#
# fuzz/corpus/TARGET has the committed inputs, fuzz/regressions/TARGET the ones that once found a bug, named for it.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=(handle corrupted shim environment)
declare -A longest=([handle]=512 [corrupted]=320 [shim]=512 [environment]=160)
target=${CARGO_TARGET_DIR:-target}
out=$target/fuzz
crashes=$out/crashes
host=$(rustc -vV | sed -n 's/^host: //p')
export ASAN_OPTIONS=${ASAN_OPTIONS:-quarantine_size_mb=8:allocator_may_return_null=1:detect_leaks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
mkdir -p "$out/bin" "$crashes"

flags=(-std=gnu11 -g -O2 -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all
    -I include -I c_tests/support -I fuzz)

# The libraries as archives with coverage counters and AddressSanitizer. The target folder is that of the asan
# variant, which has the build scripts already.
build_libraries() {
    local built=$target/asan/$host/debug name
    local -x RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_OPT_LEVEL=2
    local -x RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer --cfg memoman_planted_bug --cfg memoman_instrumented --cfg memoman_fuzz \
-Cforce-frame-pointers=yes -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"
    cargo build --quiet --package memoman --target "$host" --target-dir "$target/asan"
    renew "$built/libmemoman.a" "$out/libmemoman.a"
    cargo rustc --quiet --package memoman-preload --crate-type staticlib --target "$host" --target-dir "$target/asan"

    # The environment and stderr become functions of the harness.
    renew "$built/libmemoman.a" "$out/libenvironment.a" --redefine-sym secure_getenv=fuzz_getenv --redefine-sym syscall=fuzz_syscall
    # The shim's names get a prefix, so that the fuzzer keeps its own malloc.
    {
        sed -nE 's/.*extern "C" fn ([a-z_0-9]+)\(.*/\1/p' crates/memoman-preload/src/{names,inspect,loading}.rs
        sed -nE 's/^    (_Z[A-Za-z0-9_]+) .*/\1/p' crates/memoman-preload/src/operators.rs
    } | sed 's/.*/& shim_&/' >"$out/names"
    renew "$built/libmemoman_preload.a" "$out/libshim.a" --redefine-syms="$out/names"
    for name in malloc calloc realloc free posix_memalign _Znwm _ZdlPv; do
        if nm --defined-only "$out/libshim.a" 2>/dev/null | grep -E " [TW] $name\$" >/dev/null; then
            echo "fuzz.sh: $name has kept its name: it would be the fuzzer's own" >&2
            exit 1
        fi
    done
}

# renew FROM TO [OBJCOPY OPTION...]: only when it differs, so that what was linked with it stays fresh.
renew() {
    local from=$1 to=$2
    shift 2
    objcopy --remove-section=.llvmbc --remove-section=.llvmcmd "$@" "$from" "$to.new"
    if cmp -s "$to.new" "$to"; then rm "$to.new"; else mv "$to.new" "$to"; fi
}

# link TARGET PROGRAM [FLAG...]
link() {
    local name=$1 program=$2 library=$out/libmemoman.a
    shift 2
    local sources=("fuzz/$name.c" fuzz/harness.c c_tests/support/fill.c)
    case $name in
        shim) library=$out/libshim.a ;;
        environment) library=$out/libenvironment.a ;;
        *) sources+=(c_tests/support/heap.c) ;;
    esac
    local one fresh=yes
    for one in "${sources[@]}" "$library" fuzz/harness.h c_tests/support/heap.h include/memoman.h scripts/fuzz.sh; do
        [ "$program" -nt "$one" ] || fresh=
    done
    if [ -z "$fresh" ]; then
        clang-22 "${flags[@]}" -fsanitize=fuzzer "$@" "${sources[@]}" "$library" -lpthread -ldl -lm -o "$program"
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

say() { # target, file: what a crash leaves
    echo "fuzz: $1 FOUND A BUG; its input is $2"
    echo "fuzz: see it again with: scripts/fuzz.sh one $1 $2"
    echo "fuzz: once it is fixed, keep the input as fuzz/regressions/$1/NAME"
}

# One target until its time is over, with one line of progress.
fuzz() {
    local name=$1 seconds=$2 log=$out/$1.log pid line='' began=$EPOCHSECONDS file
    local corpus=$out/corpus/$name
    mkdir -p "$corpus" "fuzz/corpus/$name"
    rm -f "$crashes/$name"-*
    "$out/bin/$name" -max_total_time="$seconds" -max_len="${longest[$name]}" -len_control=20 -timeout=20 -rss_limit_mb=2048 \
        -artifact_prefix="$crashes/$name-" ${SEED:+-seed=$SEED} "$corpus" "fuzz/corpus/$name" >"$log" 2>&1 &
    pid=$!
    while kill -0 $pid 2>/dev/null; do
        sleep 2
        line=$(grep -aE '^#[0-9]' "$log" | tail -n 1 | tr '\t' ' ' | sed -E 's/ +/ /g; s/ L: .*//') || true
        printf -v line 'fuzz: %-11s %4d of %d s  %-90.90s' "$name" $((EPOCHSECONDS - began)) "$seconds" "$line"
        [ ! -t 1 ] || printf '\r%s' "$line"
    done
    [ ! -t 1 ] || printf '\r'
    printf '%s\n' "$line"
    if wait $pid; then
        return 0
    fi
    grep -aE 'FOUND:|^==.*ERROR|^SUMMARY|runtime error|ALARM' "$log" | head -n 4 || true
    for file in "$crashes/$name"-*; do
        [ -e "$file" ] && say "$name" "$file"
    done
    return 1
}

failed=0
fail() {
    echo "FAIL fuzz $1"
    failed=1
}

# Every input of a folder; ends with "ok …" only if as many were executed as there are.
replay() {
    local name=$1 folder=$2 kind=$3 log=$out/$1-$3.log files count
    mapfile -t files < <(find "$folder" -type f 2>/dev/null | sort)
    count=${#files[@]}
    if [ "$count" -eq 0 ]; then
        [ "$kind" = regressions ] || fail "$name-$kind no inputs in $folder"
        return 0
    fi
    if ! "$out/bin/$name" -timeout=60 "${files[@]}" >"$log" 2>&1; then
        fail "$name-$kind $(grep -aE 'FOUND:|ERROR:|runtime error' "$log" | head -n 1); input: $(sed -n 's/^Running: //p' "$log" | tail -n 1)"
    elif [ "$(grep -c '^Executed ' "$log")" -ne "$count" ]; then
        fail "$name-$kind $(grep -c '^Executed ' "$log") of $count inputs executed"
    else
        echo "ok fuzz $name-$kind $count of $count inputs executed"
    fi
}

# A bug is planted in each target: its committed inputs must find it.
replay_planted() {
    local name=$1 log=$out/$1-planted.log files
    mapfile -t files < <(find "fuzz/corpus/$name" -type f | sort)
    if "$out/bin/$name-planted" -timeout=60 "${files[@]}" >"$log" 2>&1; then
        fail "$name-finds-planted-bug: ${#files[@]} inputs passed"
    elif ! grep -qaE 'FOUND:|AddressSanitizer: heap-buffer-overflow' "$log"; then
        fail "$name-finds-planted-bug: ended, but without a finding; see $log"
    else
        echo "ok fuzz $name-finds-planted-bug"
    fi
}

# The fuzzer itself, from nothing, finds a bug in Rust behind four bytes, and says so.
self_test() {
    local log=$out/planted.log
    rm -f "$crashes"/planted-*
    if "$out/bin/planted" -seed=1 -runs=4000000 -max_len=8 -artifact_prefix="$crashes/planted-" >"$log" 2>&1; then
        fail "planted-bug-is-found: $(grep -a '^Done' "$log")"
    elif ! grep -qa 'AddressSanitizer: heap-buffer-overflow' "$log" || ! grep -qa 'mm_planted_overflow' "$log"; then
        fail "planted-bug-is-found: ended, but without a report; see $log"
    else
        echo "ok fuzz planted-bug-is-found"
    fi
    if "$out/bin/planted" "$crashes"/planted-* >"$log" 2>&1; then
        fail "planted-bug-is-replayed: no report the second time"
    else
        echo "ok fuzz planted-bug-is-replayed"
    fi
}

chosen() { if [ $# -gt 0 ]; then targets=("$@"); fi; }

case "${1:-}" in
    run)
        seconds=${2:?how many seconds}
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
        exit $failed
        ;;
    one)
        build
        exec "$out/bin/$2" -timeout=60 "$3"
        ;;
    merge)
        shift
        chosen "$@"
        build
        for name in "${targets[@]}"; do
            rm -rf "$out/merged"
            mkdir -p "$out/merged" "$out/corpus/$name" "fuzz/corpus/$name"
            "$out/bin/$name" -set_cover_merge=1 -use_counters=0 -max_len="${longest[$name]}" "$out/merged" "fuzz/corpus/$name" "$out/corpus/$name" \
                >"$out/$name-merge.log" 2>&1
            rm -rf "fuzz/corpus/$name"
            mv "$out/merged" "fuzz/corpus/$name"
            echo "fuzz: $name: $(find "fuzz/corpus/$name" -type f | wc -l) inputs, $(cat "fuzz/corpus/$name"/* | wc -c) bytes"
        done
        ;;
    build) build ;;
    *)
        sed -n '2,11s/^# \{0,1\}//p' "$0"
        [ "${1:-}" = --help ]
        ;;
esac
