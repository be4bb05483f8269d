#!/usr/bin/env bash
# Checks what is shipped: symbols, dependencies, sizes, the header. check-artifacts.sh DIST
# One line a check; ends with "N passed, N failed"; exits with 1 if one failed.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
dist=$(cd "${1:-$root/dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
so=$dist/libmemoman.so.0
archive=$dist/libmemoman.a
shim=$dist/libmemoman_preload.so
header=$dist/include/memoman.h
passed=0
failed=0

# check "what" command…: passes when the command succeeds; its output is shown when it fails.
check() {
    local what=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok   artefacts $what"
        passed=$((passed + 1))
    else
        echo "FAIL artefacts $what"
        sed 's/^/       /' "$work/log" | head -20
        failed=$((failed + 1))
    fi
}

functions() { "$root/scripts/header-functions.sh" "$header"; }
defined() { nm "$@" --defined-only --without-symbol-versions | awk 'NF==3 && $2 ~ /[TDBRVWi]/ {print $3}' | sort -u; }
needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }
at_most() { local bytes; bytes=$(stat -c %s "$1"); echo "$1 has $bytes bytes, limit $2"; [ "$bytes" -le "$2" ]; }
same() { diff <(printf '%s\n' "$1") <(printf '%s\n' "$2"); }

exports_the_header() { same "$(functions)" "$(defined -D "$so")"; }
archive_exports_the_header() { same "$(functions)" "$(defined "$archive")"; }
replaces_no_malloc() { ! { nm -D --defined-only "$so"; nm --defined-only "$archive"; } | grep -E ' [TWViBD] (malloc|free|calloc|realloc|_Zn|_Zd)'; }
needs_libc_only() { same libc.so.6 "$(needed "$1")"; }
# Every symbol of the library has the version of its SONAME; the shim's names have none: they stand for the C library's.
has_versions() { [ "$(nm -D --defined-only "$so" | grep -c '@@MEMOMAN_0$')" -eq "$(functions | wc -l)" ]; }
has_no_versions() { ! readelf -V "$shim" | grep -F 'Version definition section'; }
has_soname() { readelf -d "$so" | grep -F '[libmemoman.so.0]'; }
survives_unloading() { cc -std=c11 -Wall -Wextra "$root/c_tests/artefacts/unload.c" -o "$work/unload" -lpthread -ldl && "$work/unload" "$so"; }
one_member() { same memoman.o "$(ar t "$archive")"; }
# The unstripped build is looked at too: a stripped one could hide the names.
no_panics() {
    local file
    for file in "$@"; do
        # --undefined and local names alike; nothing of Rust's panic, formatting or unwinding may be left.
        ! nm -C "$file" 2>/dev/null | grep -E 'core::panicking|core::fmt::|rust_begin_unwind|_Unwind_|rust_eh_personality|core::option::(expect|unwrap)_failed|core::slice::index' || return 1
    done
}
keeps_names() { nm -C "$1" | grep mm_malloc >/dev/null; } # all of it read: nm must not meet a closed pipe

# The unstripped library's names: a call that asks nobody does not read the variable; one that does shows that the reading is seen.
asks_for_a_checker() { objdump -d --disassemble="$2" "$1" | grep WATCHER >/dev/null; }
hot_calls_ask_for_no_checker() {
    local function
    asks_for_a_checker "$1" mm_validate || { echo "mm_validate is not seen to ask"; return 1; }
    for function in mm_malloc mm_free mm_calloc mm_realloc mm_memalign; do
        ! asks_for_a_checker "$1" $function || { echo "$function asks"; return 1; }
    done
}

compiles() { # compiler, standard, language
    printf '#include <memoman.h>\nint main(void) { return mm_version() == 0; }\n' >"$work/alone.$3"
    "$1" "-std=$2" -pedantic -Wall -Wextra -Werror -I "$dist/include" -c "$work/alone.$3" -o /dev/null
}

version_matches() {
    local version
    version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    cat >"$work/version.c" <<'C'
#include <memoman.h>
#include <stdio.h>
#include <string.h>
int main(void) {
    char parts[32];
    snprintf(parts, sizeof parts, "%d.%d.%d", MM_VERSION_MAJOR, MM_VERSION_MINOR, MM_VERSION_PATCH);
    printf("%s\n", mm_version());
    return strcmp(mm_version(), MM_VERSION_STRING) != 0 || strcmp(parts, MM_VERSION_STRING) != 0
        || MM_VERSION != MM_VERSION_MAJOR * 10000 + MM_VERSION_MINOR * 100 + MM_VERSION_PATCH;
}
C
    gcc -I "$dist/include" "$work/version.c" "$archive" -lpthread -o "$work/version" && same "$version" "$("$work/version")"
}

links_beside_rust() {
    cat >"$work/other.rs" <<'RUST'
use std::collections::HashMap;
#[unsafe(no_mangle)]
pub extern "C" fn other_sum(n: u32) -> u32 {
    let map: HashMap<u32, String> = (0..n).map(|i| (i, i.to_string())).collect();
    map.values().map(|text| text.parse::<u32>().unwrap()).sum()
}
RUST
    cat >"$work/both.c" <<'C'
#include <memoman.h>
#include <stdint.h>
extern uint32_t other_sum(uint32_t);
static char memory[32768];
int main(void) {
    mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
    void *block = mm_malloc(heap, 100);
    mm_free(heap, block);
    return !(block != 0 && mm_validate(heap) && other_sum(10) == 45);
}
C
    rustc --edition 2024 --crate-type staticlib -O -o "$work/libother.a" "$work/other.rs" &&
        gcc -I "$dist/include" "$work/both.c" "$archive" "$work/libother.a" -lpthread -ldl -lm -o "$work/both" && "$work/both" &&
        gcc -I "$dist/include" "$work/both.c" "$work/libother.a" "$archive" -lpthread -ldl -lm -o "$work/both" && "$work/both"
}

links_shared() {
    gcc -I "$dist/include" "$root/examples/quickstart.c" -L "$dist" -lmemoman -o "$work/shared" &&
        LD_LIBRARY_PATH=$dist "$work/shared"
}

shim_exports() {
    local name missing=0
    for name in malloc calloc realloc reallocarray free cfree posix_memalign aligned_alloc memalign valloc pvalloc \
        malloc_usable_size free_sized free_aligned_sized mallinfo mallinfo2 mallopt malloc_info malloc_trim malloc_stats dlopen dlmopen \
        __libc_malloc __libc_calloc __libc_realloc __libc_free __libc_memalign __libc_valloc __libc_pvalloc \
        __posix_memalign __libc_cfree \
        _Znwm _Znam _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t _ZnwmSt11align_val_t _ZnamSt11align_val_t \
        _ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm \
        _ZdlPvRKSt9nothrow_t _ZdaPvRKSt9nothrow_t _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t \
        _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t _ZdlPvSt11align_val_tRKSt9nothrow_t \
        _ZdaPvSt11align_val_tRKSt9nothrow_t; do
        defined -D "$shim" | grep -x "$name" >/dev/null || { echo "missing: $name"; missing=1; }
    done
    return $missing
}

# One pointer of ours in the archive, and beside the compiler's own one in the shared libraries: the fork handlers.
registers_at_load() {
    local file bytes
    for file in "$archive" "$so" "$shim"; do
        bytes=$((16#$(readelf -SW "$file" | awk '/ \.init_array/ { sub(/.*INIT_ARRAY +/, ""); print $3; exit }')))
        [ "$bytes" -eq $([ "$file" = "$archive" ] && echo 8 || echo 16) ] || { echo "$file: $bytes bytes of constructors"; return 1; }
    done
}

check "libmemoman.so exports exactly the header's functions" exports_the_header
check "libmemoman.a exports exactly the header's functions" archive_exports_the_header
check "no malloc, free, new or delete in the library" replaces_no_malloc
check "libmemoman.so needs libc only" needs_libc_only "$so"
check "libmemoman_preload.so needs libc only" needs_libc_only "$shim"
check "libmemoman.so has its SONAME" has_soname
check "every symbol of libmemoman.so has the version MEMOMAN_0" has_versions
check "no symbol of libmemoman_preload.so has a version" has_no_versions
check "libmemoman.so is at most 64 KiB" at_most "$so" $((64 << 10))
check "libmemoman.a is at most 256 KiB" at_most "$archive" $((256 << 10))
check "the fork handlers are registered when a library is loaded" registers_at_load
check "a thread may end after the library is unloaded" survives_unloading
check "libmemoman.a has one member" one_member
check "no panic, formatting or unwinding in the archive" no_panics "$archive"
unstripped=${CARGO_TARGET_DIR:-$root/target}/release
check "the unstripped libraries have names to look at" keeps_names "$unstripped/libmemoman.so"
check "no panic, formatting or unwinding in the shared libraries" no_panics "$unstripped/libmemoman.so" "$unstripped/libmemoman_preload.so"
check "without a memory checker, no hot call asks for one" hot_calls_ask_for_no_checker "$unstripped/libmemoman.so"
check "libmemoman_preload.so exports the malloc family and operators" shim_exports
for standard in c89 c99 c11 c17; do
    check "header alone, gcc $standard" compiles gcc $standard c
done
for standard in c++11 c++17; do
    check "header alone, g++ $standard" compiles g++ $standard cpp
done
check "header alone, clang c99" compiles clang-22 c99 c
check "header alone, clang c++11" compiles clang-22 c++11 cpp
check "the committed header is what the source generates" env MEMOMAN_HEADER=verify cargo build --quiet --release --package memoman --manifest-path "$root/Cargo.toml"
check "the shipped header is the committed one" cmp "$root/include/memoman.h" "$header"
check "mm_version, macros and Cargo.toml agree" version_matches
check "links beside another Rust static library, in either order" links_beside_rust
check "quickstart runs with the shared library" links_shared

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
