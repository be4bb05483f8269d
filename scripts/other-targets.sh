#!/usr/bin/env bash
# Builds and tests memoman for other word sizes and processors.
#
#   scripts/other-targets.sh lib NAME OUT          libmemoman.a and the header, into OUT
#   scripts/other-targets.sh check NAME [quick]    the core's Rust tests and the C suite; quick: a
#                                                  part of the Rust tests
#
#   i686        32-bit x86, which an x86-64 machine runs itself
#   i686-small  the small build (--cfg memoman_small), with the word size of a microcontroller
#   arm, aarch64, riscv64, s390x
#               Linux on 32-bit ARMv7, 64-bit ARM, RISC-V and IBM Z (big-endian) under qemu-user
#   thumbv6m, thumbv7m (or cortex-m3), thumbv7em-hf, thumbv8m.main-hf, riscv32imac, riscv32imc
#               microcontrollers without operating system, the small build; scripts/embedded.sh
#               tests them
#   windows     64-bit Windows (MinGW): also memoman.dll with its import libraries;
#               scripts/check-windows.sh tests it
#   wasm32      WebAssembly, the handle API; check: the C suite's programs that need no operating
#               system, as WASI programs in node
#
# scripts/setup.sh check-32, check-arm, check-linux, check-embedded and check-wasm install the
# tools; scripts/cross.sh has the compilers.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
[ $# -ge 2 ] || misused "say what to do, and for which target"
cd "$root"
what=$1
name=$2

target_settings "$name"

lib() {
    local out=$1 built=$folder/$triple/$profile/libmemoman.a
    scripts/setup.sh --check $wants
    mkdir -p "$out/include"
    cross_cargo rustc --quiet --package memoman --lib --crate-type staticlib --profile "$profile" \
        -Zbuild-std=core,compiler_builtins
    mkdir -p "$out/include/memoman"
    cp include/memoman.{h,hpp} "$out/include/"
    cp include/memoman/{record,tlsf}.h "$out/include/memoman/"
    if [ -n "$bare" ]; then
        prelink "$built" "$folder/$triple/prelinked.a"
        built=$folder/$triple/prelinked.a
    fi
    place "$built" "$out/libmemoman.a"
    [ "$name" != windows ] || windows_library "$out"
}

# windows_library OUT: memoman.dll, and its import library for MinGW and for MSVC's linker.
windows_library() {
    local out=$1
    {
        printf 'LIBRARY memoman.dll\nEXPORTS\n'
        header_functions include/memoman.h
    } >"$work/memoman.def"
    x86_64-w64-mingw32-gcc -shared "$work/memoman.def" "$out/libmemoman.a" -Wl,--gc-sections -s \
        -Wl,--out-implib,"$work/libmemoman.dll.a" -o "$work/memoman.dll"
    llvm-dlltool-22 -m i386:x86-64 -d "$work/memoman.def" -l "$work/memoman.lib"
    for file in memoman.dll libmemoman.dll.a memoman.lib; do
        place "$work/$file" "$out/$file"
    done
}

# prelink FROM TO: one object in which the header's functions are global, and the Rust
# runtime's memcpy, memmove, memset and memcmp weak: a C library's own replace them, and a firmware
# without one needs none. Each function keeps its own section.
prelink() {
    local from=$1 to=$2 tools=$bare function keep=()
    # Rust's objects carry bitcode that the tools' plugins would try to read.
    "${tools}objcopy" --remove-section=.llvmbc --remove-section=.llvmcmd "$from" "$work/plain.a"
    # The header's functions that a target without operating system has.
    "${tools}nm" --defined-only "$work/plain.a" 2>/dev/null |
        awk '$2 == "T" && $3 ~ /^mm_/ { print $3 }' | sort -u >"$work/keep"
    while read -r function; do keep+=(-u "$function"); done <"$work/keep"
    # Compilers call these by themselves.
    keep+=(-u memcpy -u memmove -u memset -u memcmp)
    # shellcheck disable=SC2086 # a list of words
    "${tools}ld" $emulation -r --gc-sections "${keep[@]}" -o "$work/memoman.o" "$work/plain.a"
    "${tools}nm" --defined-only "$work/memoman.o" | awk '$2 == "W" { print $3 }' >>"$work/keep"
    "${tools}objcopy" --keep-global-symbols="$work/keep" --strip-debug "$work/memoman.o"
    rm -f "$to"
    "${tools}ar" rcsD "$to" "$work/memoman.o"
}

test_it() {
    local programs=() program
    if [ "${1:-}" = quick ]; then
        # Compiling takes longest: only the programs that depend on the word size.
        for program in allocate answers create extend pools resize; do
            programs+=(--test $program)
        done
        local -x CARGO_PROFILE_TEST_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
    fi
    # Without any optimisation the tests take far longer than their build; debug assertions stay on.
    cross_cargo test --package memoman-core ${programs:+--lib} "${programs[@]}" --no-fail-fast \
        -Zbuild-std=std,panic_unwind --config 'profile.dev.panic="unwind"' \
        --config 'profile.dev.package.memoman-core.opt-level=2'
    [ "${1:-}" != quick ] || return 0
    [ "$name" != i686 ] || i686_example
    MEMOMAN_VARIANTS=$name cargo test --package memoman-tests
}

# The commands of docs/book/embedded.md, the tables of docs/book/sizes.md, the debugger script.
i686_example() {
    local lib=$target/i686
    scripts/build-lib.sh "$lib" i686
    gcc -m32 -std=c99 -Wall -Wextra -Werror -O2 -I "$lib/include" examples/quickstart.c \
        "$lib/libmemoman.a" -lpthread -o "$work/quickstart"
    "$work/quickstart" | tee "$work/drawn"
    grep -q '^valid: yes$' "$work/drawn"
    scripts/docs.sh tables-32
    scripts/check-debugger.sh 32-bit
}

# wasm_program NAME SOURCE…: a WASI program with Debian's C library for it.
wasm_program() {
    local name=$1 library=/usr/lib/wasm32-wasi source objects=()
    shift
    for source in "$@"; do
        objects+=("$work/$(basename "$source").o")
        clang-22 --target=wasm32-wasip1 --sysroot=/usr -isystem /usr/include/wasm32-wasi -std=c11 \
            -O2 -Wall -Wextra -Werror -I "$out/include" -I c_tests/wasm -I c_tests \
            -c "$source" -o "${objects[-1]}" || return 1
    done
    wasm-ld-22 -L"$library" "$library/crt1.o" "${objects[@]}" "$out/libmemoman.a" \
        -lc \
        /usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a -o "$work/$name.wasm"
}

wasm_run() { NODE_NO_WARNINGS=1 timeout 120 node c_tests/wasm/run.mjs "$work/$1.wasm"; }

# wasm_suite NAME: a program of the C suite; each of its tests is a line.
wasm_suite() {
    local status=0
    wasm_program "$1" "c_tests/$1.c" c_tests/single/suite.c c_tests/support/{heap,fill}.c &&
        wasm_run "$1" >"$work/lines" || status=$?
    relay <"$work/lines"
    [ $status -eq 0 ] || fail "$1 exit status $status"
}

# The commands of docs/book/embedded.md.
wasm_page() (
    mkdir -p "$work/page/build" && ln -s "$out" "$work/page/build/wasm" &&
        cp c_tests/wasm/program.c "$work/page/" && cd "$work/page" &&
        sed -n 's/^\$ \(clang-22\|wasm-ld-22\) /\1 /p' "$root/docs/book/embedded.md" >commands &&
        [ "$(wc -l <commands)" -eq 2 ] && bash -e commands && timeout 60 node -e '
            const module = new WebAssembly.Module(require("fs").readFileSync("program.wasm"));
            const count = WebAssembly.Module.imports(module).length;
            const { run } = new WebAssembly.Instance(module).exports;
            process.exit(count === 0 && run() === 1 ? 0 : 1);'
)

test_wasm() {
    local program
    group=wasm
    out=$target/wasm32
    lib "$out"
    for program in accounting alignment create extend pools realloc sizes; do
        wasm_suite $program
    done
    wasm_program double_free c_tests/single/double_free.c
    check commands_of_the_page wasm_page || true
    expect misuse_without_a_handler_traps 70 'trap: unreachable' wasm_run double_free
    finish
}

case $what in
    lib) lib "${3:?a folder to build into}" ;;
    check)
        case $name in
            cortex-m3) scripts/embedded.sh ;;
            thumb* | riscv32*) misused "scripts/embedded.sh checks '$name'" ;;
            windows) scripts/check-windows.sh ;;
            wasm32) test_wasm ;;
            *) test_it "${3:-}" ;;
        esac
        ;;
    *) misused "lib or check, not '$what'" ;;
esac
