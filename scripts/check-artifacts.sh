#!/usr/bin/env bash
# Symbols, dependencies, sizes and header of what is shipped: scripts/check-artifacts.sh [DIST]
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=artefacts
dist=$(cd "${1:-$root/dist}" && pwd)
so=$dist/libmemoman.so.0
archive=$dist/libmemoman.a
shim=$dist/libmemoman_preload.so
header=$dist/include/memoman.h
sources=$root/c_tests/artefacts

functions() { header_functions "$header"; }
exported() { { functions; echo memoman_published; } | sort -u; }
defined() {
    nm "$@" --defined-only --without-symbol-versions |
        awk 'NF == 3 && $2 ~ /[TDBRVWi]/ { print $3 }' | sort -u
}
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
at_most() {
    local bytes
    bytes=$(stat -c %s "$1")
    echo "$1 has $bytes bytes, limit $2"
    [ "$bytes" -le "$2" ]
}
same() { diff <(printf '%s\n' "$1") <(printf '%s\n' "$2"); }

exports_the_header() { same "$(exported)" "$(defined -D "$so")"; }
archive_exports_the_header() { same "$(exported)" "$(defined "$archive")"; }
# The linker folds equal functions: a program may compare the exported ones' addresses.
functions_are_apart() {
    ! nm -D --defined-only "$so" | awk '$2 == "T" { print $1 }' | sort | uniq -d | grep .
}
replaces_no_malloc() {
    ! { nm -D --defined-only "$so"; nm --defined-only "$archive"; } |
        grep -E ' [TWViBD] (malloc|free|calloc|realloc|_Zn|_Zd)'
}
needs_libc_only() { same libc.so.6 "$(needed "$1")"; }
# Every symbol of the library has the version of its SONAME. The shim's names have none: they
# replace the C library's.
has_versions() {
    [ "$(nm -D --defined-only "$so" | grep -c '@@MEMOMAN_0$')" -eq "$(exported | wc -l)" ]
}
has_no_versions() { ! readelf -V "$shim" | grep -F 'Version definition section'; }
has_soname() { readelf -d "$so" | grep -F '[libmemoman.so.0]'; }
survives_unloading() {
    cc -std=c11 -Wall -Wextra "$sources/unload.c" -o "$work/unload" -lpthread -ldl &&
        "$work/unload" "$so"
}
one_member() { same memoman.o "$(ar t "$archive")"; }
# Undefined and local names alike; nothing of Rust's panics, formatting or unwinding may be left.
# The unstripped build is checked too: a stripped one could hide the names.
no_panics() {
    local file names='core::panicking|core::fmt::|rust_begin_unwind|_Unwind_|rust_eh_personality'
    names+='|core::option::(expect|unwrap)_failed|core::slice::index'
    for file in "$@"; do
        ! nm -C "$file" 2>/dev/null | grep -E "$names" || return 1
    done
}
# grep reads all of it: nm must not meet a closed pipe.
keeps_names() { nm -C "$1" | grep mm_malloc >/dev/null; }

# By the names of the unstripped library: a hot call does not read the variable WATCHER; mm_validate
# does, which shows that the test sees a read.
reads_the_watcher() { objdump -d --disassemble="$2" "$1" | grep WATCHER >/dev/null; }
hot_calls_read_no_watcher() {
    local function
    reads_the_watcher "$1" mm_validate || { echo "the read in mm_validate is not seen"; return 1; }
    for function in mm_malloc mm_free mm_calloc mm_realloc mm_memalign; do
        ! reads_the_watcher "$1" $function || { echo "$function reads it"; return 1; }
    done
}

compiles() { # compiler, standard, language
    printf '#include <memoman.h>\nint main(void) { return mm_version() == 0; }\n' >"$work/alone.$3"
    "$1" "-std=$2" -pedantic -Wall -Wextra -Werror -I "$dist/include" -c "$work/alone.$3" \
        -o /dev/null
}

version_matches() {
    gcc -I "$dist/include" "$sources/version.c" "$archive" -lpthread -o "$work/version" &&
        same "$(memoman_version)" "$("$work/version")"
}

links_beside_rust() {
    rustc --edition 2024 --crate-type staticlib -O -o "$work/libother.a" \
        "$sources/rust_library.rs" &&
        link_both "$archive" "$work/libother.a" && link_both "$work/libother.a" "$archive"
}
link_both() {
    gcc -I "$dist/include" "$sources/beside_rust.c" "$@" -lpthread -ldl -lm -o "$work/both" &&
        "$work/both"
}

links_shared() {
    gcc -I "$dist/include" "$root/examples/quickstart.c" -L "$dist" -lmemoman -o "$work/shared" &&
        LD_LIBRARY_PATH=$dist "$work/shared"
}

shim_exports() { ! comm -23 <(sort "$sources/shim.names") <(defined -D "$shim") | grep .; }

# The constructors are one pointer of memoman's, for the fork handlers; in the shim those of
# MEMOMAN_TRACE and of the names, and the compiler's own one stand beside it.
registers_at_load() {
    constructors "$archive" 8 && constructors "$so" 8 && constructors "$shim" 32
}
constructors() {
    local bytes
    bytes=$(readelf -SW "$1" |
        awk '/ \.init_array/ { sub(/.*INIT_ARRAY +/, ""); print $3; exit }')
    [ $((16#$bytes)) -eq "$2" ] || { echo "$1: 0x$bytes bytes of constructors"; return 1; }
}

check "libmemoman.so exports exactly the header's functions" exports_the_header
check "libmemoman.a exports exactly the header's functions" archive_exports_the_header
check "no malloc, free, new or delete in the library" replaces_no_malloc
check "no two exported functions have one address" functions_are_apart
check "libmemoman.so needs libc only" needs_libc_only "$so"
check "libmemoman_preload.so needs libc only" needs_libc_only "$shim"
check "libmemoman.so has its SONAME" has_soname
check "every symbol of libmemoman.so has the version MEMOMAN_0" has_versions
check "no symbol of libmemoman_preload.so has a version" has_no_versions
check "libmemoman.so is at most 96 KiB" at_most "$so" $((96 << 10))
check "libmemoman.a is at most 320 KiB" at_most "$archive" $((320 << 10))
check "the fork handlers are registered when a library is loaded" registers_at_load
check "a thread may end after the library is unloaded" survives_unloading
check "libmemoman.a has one member" one_member
check "no panic, formatting or unwinding in the archive" no_panics "$archive"
unstripped=$target/release
check "the unstripped libraries have names to look at" keeps_names "$unstripped/libmemoman.so"
check "no panic, formatting or unwinding in the shared libraries" \
    no_panics "$unstripped/libmemoman.so" "$unstripped/libmemoman_preload.so"
check "hot calls do not test for a memory checker" \
    hot_calls_read_no_watcher "$unstripped/libmemoman.so"
check "libmemoman_preload.so exports the malloc family and operators" shim_exports
for standard in c89 c99 c11 c17; do
    check "header alone, gcc $standard" compiles gcc $standard c
done
for standard in c++11 c++17; do
    check "header alone, g++ $standard" compiles g++ $standard cpp
done
check "header alone, clang c99" compiles clang-22 c99 c
check "header alone, clang c++11" compiles clang-22 c++11 cpp
check "the committed header is what the source generates" \
    cargo check --quiet --package memoman --features header --manifest-path "$root/Cargo.toml"
check "the shipped header is the committed one" cmp "$root/include/memoman.h" "$header"
check "mm_version, macros and Cargo.toml agree" version_matches
check "links beside another Rust static library, in either order" links_beside_rust
check "quickstart runs with the shared library" links_shared
finish
