#!/usr/bin/env bash
# memoman on 64-bit Windows: scripts/check-windows.sh
#
# Builds libmemoman.a, memoman.dll and its import libraries with MinGW, and runs under wine: the C
# suite's programs that need no other process, the `_global` functions in eight threads, the C++
# header's tests, misuse, a program that lld-link links as MSVC's linker does, and a Rust program
# whose global allocator is memoman. The handle API is compiled for macOS, too. scripts/setup.sh
# check-windows installs the tools.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
PROGRESS=8
group=windows
cd "$root"
scripts/setup.sh --check check-windows || exit 1
target_settings windows
out=$folder/windows
mkdir -p "$out"
export WINEDEBUG=-all WINEPREFIX=$out/wine

run() { (cd "$out" && timeout 300 /usr/lib/wine/wine64 "$@"); }
options=(-O2 -g -Wall -Wextra -Wno-format -D__USE_MINGW_ANSI_STDIO=1 -I "$out/include"
    -I c_tests/windows -I c_tests)
compile() { x86_64-w64-mingw32-gcc -std=c11 "${options[@]}" "$@"; }

# suite NAME: a program of the C suite; each of its tests is a line.
suite() {
    local status=0
    compile "c_tests/$1.c" c_tests/single/suite.c c_tests/support/{heap,fill}.c \
        "$out/libmemoman.a" -static -pthread -o "$out/$1.exe" &&
        MM_OPS=40000 run "$1.exe" >"$work/lines" || status=$?
    tr -d '\r' <"$work/lines" | relay
    [ $status -eq 0 ] || fail "$1 exit status $status"
}

cpp() {
    x86_64-w64-mingw32-g++ -std=c++17 "${options[@]}" c_tests/headers/cpp_*.cpp \
        "$out/libmemoman.a" -static -o "$out/cpp.exe" || return 1
    run cpp.exe windows
}

linked() {
    local how=$1
    shift
    compile c_tests/windows/linked.c "$@" -o "$out/linked-$how.exe" && run "linked-$how.exe"
}

# With MSVC's ABI, its linker's stand-in, and the import library; without Microsoft's C library,
# which cannot be had here.
msvc() {
    printf 'LIBRARY kernel32.dll\nEXPORTS\n ExitProcess\n' >"$work/kernel32.def"
    llvm-dlltool-22 -m i386:x86-64 -d "$work/kernel32.def" -l "$work/kernel32.lib" &&
        clang-22 --target=x86_64-pc-windows-msvc -O1 -fno-builtin -ffreestanding \
            -DWITHOUT_C_LIBRARY -I "$out/include" -c c_tests/windows/linked.c -o "$work/msvc.obj" &&
        lld-link-22 /nologo /subsystem:console /entry:start "$work/msvc.obj" "$out/memoman.lib" \
            "$work/kernel32.lib" "/out:$out/msvc.exe" && run msvc.exe
}

# Rust's standard library for Windows is built from Debian's sources.
rust() {
    cross_cargo build --quiet --release -p memoman-global --example global \
        -Zbuild-std=std,panic_abort &&
        cp "$folder/$triple/release/examples/global.exe" "$out/"
}

# Not a Windows: its cargo check says that the handle API has no name of Linux in it. Nothing ran.
macos() {
    env PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 /usr/bin/cargo check --quiet -p memoman-core \
        -p memoman --target aarch64-apple-darwin -Zbuild-std=core,compiler_builtins \
        --target-dir "$folder"
}

# Windows' abort ends with status 3.
misuse() {
    compile c_tests/single/double_free.c "$out/libmemoman.a" -o "$out/misuse.exe" || return 1
    expect double_free_aborts_with_one_line 3 'memoman: double free' run misuse.exe
}

if check library scripts/build-lib.sh "$out" windows; then
    ls -l "$out"/*.{a,dll,lib} | awk '{ print "       " $9 ": " $5 " bytes" }' | sed "s|$out/||"
    run wineboot.exe -i >/dev/null 2>&1
    for program in accounting alignment create dump extend observe pools pools_small realloc \
        record sizes split threads; do
        suite $program
    done
    check cpp_header cpp
    check static_library linked static "$out/libmemoman.a"
    check import_library linked dll "$out/libmemoman.dll.a"
    check msvc_linker msvc
    misuse
    check rust_global_allocator_links rust
    if find /usr/lib -name bcryptprimitives.dll | grep -q .; then
        check rust_global_allocator run global.exe
    else
        skip "rust_global_allocator this wine lacks bcryptprimitives.dll, which Rust loads"
    fi
fi
check macos_compiles macos
finish
