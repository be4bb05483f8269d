#!/usr/bin/env bash
# memoman on Linux for another processor, under qemu-user: TARGET=NAME scripts/check-linux.sh [PART]
#
#   TARGET   riscv64, s390x (big-endian), aarch64, or arm, for which there is no shim
#   PART     core   the core's Rust tests and the C suite, the `_global` functions among it
#            shim   programs of c_tests/preload under the shim: names, operators, threads, forks
#
# scripts/setup.sh check-linux (arm: check-arm, aarch64: check-arm64) installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
PROGRESS=8
group=${TARGET:-}
cd "$root"
target_settings "$group"
[ -n "$cross" ] || misused "TARGET=$group is no Linux that is emulated here"
part=${1:-}
if [ "$group" = arm ]; then
    [ "$part" != shim ] || misused "TARGET=arm has no shim"
    part=core
fi
scripts/setup.sh --check $wants || exit 1
out=$folder/linux/$group
library=$folder/$triple/release/libmemoman_preload.so
mkdir -p "$out"

core() {
    local log=$out/core.log status
    scripts/other-targets.sh check "$group" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    awk '/^test result: ok/ { passed += $4 } END { print passed " tests passed" }' "$log"
    [ "$status" -eq 0 ] && grep -Eq "^total +$group +[1-9][0-9]* +0 " "$log"
}

shim() {
    cross_cargo build --quiet --release -p memoman-preload -Zbuild-std=core,compiler_builtins
}

# program NAME.c|NAME.cpp [ARGUMENT…]: compiles and runs it under qemu-user and the shim.
program() {
    local source=$1 name=${1%.*} compiler=(clang-22 -std=gnu11)
    shift
    case $source in
        *.cpp) compiler=(clang++-22 -std=c++17 -isystem "/usr/$cross/include/c++/12"
            -isystem "/usr/$cross/include/c++/12/$cross" -Wno-everything) ;;
    esac
    "${compiler[@]}" -O1 -g -w -fno-builtin "${compiling[@]}" -I c_tests/preload \
        "c_tests/preload/$source" -o "$out/$name" -lpthread -ldl || return 1
    libraries "c_tests/preload/$source" || return 1
    # shellcheck disable=SC2086 # a list of words
    (cd "$out" && MM_OPS=20000 timeout 600 $runner -E "LD_PRELOAD=$library" "./$name" "$@")
}

# libraries SOURCE: those that its comments name, which it loads from its own folder. A jump to
# dlopen in place of a call would name the wrong caller.
libraries() {
    local file flags
    while read -r file flags; do
        # shellcheck disable=SC2086 # a list of words
        clang-22 -std=gnu11 -O1 -fno-optimize-sibling-calls -g -w -fPIC -shared \
            "${compiling[@]}" "c_tests/preload/libraries/$file" $flags -ldl \
            -o "$out/${file%.c}.so" || return 1
    done < <(sed -n 's,^// library: ,,p' "$1")
}

# Its last case sets a limit that qemu-user does not have.
operators() {
    program operators.cpp >"$work/operators"
    grep nothrow_gives_null "$work/operators"
}

# Its last case measures resident memory, the emulator's own among it.
threads() {
    program threads.c >"$work/threads"
    grep blocks_are_freed_on_other_threads "$work/threads"
}

# So does this one's. To start a thread takes the emulator milliseconds.
thread_churn() {
    program thread_churn.c 10000 >"$work/churn"
    grep short_lived_threads_take_over_heaps "$work/churn"
}

if [ "${part:-core}" = core ]; then
    check core_and_c_suite core
    tail -n 1 "$out/core.log"
fi
if [ "${part:-shim}" = shim ] && check shim_builds shim; then
    check operators operators
    check threads threads
    check thread_churn thread_churn
    for source in own_array_operators.cpp semantics.c aligned.c cross_free.c fork_storm.c \
        mallinfo.c deepbind.c; do
        check "${source%.*}" program "$source"
    done
fi
finish
