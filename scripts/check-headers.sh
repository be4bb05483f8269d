#!/usr/bin/env bash
# The headers beside memoman.h: every name of tlsf.h, the C++ types.
#
#   scripts/check-headers.sh [DIST [quick|full]]   full: every compiler with every standard
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=install
dist=$(cd "${1:-$root/dist}" && pwd)
extent=${2:-quick}
sources=$root/c_tests/headers
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

# program NAME COMPILER FLAGS…: compiles `files` with the library, runs the program with what
# follows NAME's colon, and relays its result lines. Two at a time, in the background.
program() {
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    result_of "$@" &
}
result_of() {
    local name=$1 log status=0
    shift
    log=$work/${name//[:\/]/_}
    {
        "$@" "${files[@]}" "$dist/libmemoman.a" -o "$log.bin" &&
            timeout 120 "$log.bin" "${name#*:}"
    } >"$log.log" 2>&1 || status=$?
    relay <"$log.log"
    if [ "$status" -ne 0 ]; then
        fail "$name exit status $status"
    elif ! grep -q '^ok install ' "$log.log"; then
        fail "$name ran no tests"
    fi
}

warnings=(-Wall -Wextra -Wpedantic -Werror)
sanitizers=(-fsanitize=address,undefined -fno-sanitize-recover=all)
[ "$extent" = quick ] || sanitizers+=(-g)

tlsf() {
    local compiler standard name
    local api=("${warnings[@]}" -I "$dist/include/memoman")
    local sources_c=("$sources/tlsf_program.c" "$sources/tlsf_other_unit.c")
    for compiler in gcc clang-22; do
        files=("${sources_c[@]}")
        for standard in c89 c99 c11 c17; do
            program "tlsf:$compiler-$standard" "$compiler" "-std=$standard" "${api[@]}"
        done
        files=(-x c++ "${sources_c[@]}" -x none)
        for standard in c++98 c++17 c++20; do
            program "tlsf:$compiler-$standard" "${compiler/gcc/g++}" "${api[@]}" "-std=$standard"
        done
    done
    files=("${sources_c[@]}")
    program tlsf:asan-ubsan gcc "${sanitizers[@]}" "${api[@]}"
    wait

    gcc "${api[@]}" "${files[@]}" "$dist/libmemoman.a" -o "$work/asserts" &&
        expect tlsf:remove_of_a_used_pool_asserts 134 tlsf_remove_pool "$work/asserts" --remove-used
    gcc -DNDEBUG "${api[@]}" "${files[@]}" "$dist/libmemoman.a" -o "$work/refuses" &&
        expect tlsf:remove_of_a_used_pool_is_refused_with_ndebug 0 refused \
            "$work/refuses" --remove-used
    # The page's walker, in a program that walks a pool with one block.
    {
        sed -n '/^```c$/,/^```$/{/^```/!p}' "$root/docs/book/tlsf.md"
        echo 'static double memory[4096];'
        echo 'int main(void) {'
        echo '    tlsf_t tlsf = tlsf_create_with_pool(memory, sizeof memory);'
        echo '    if (tlsf_malloc(tlsf, 100) == NULL) return 1;'
        echo '    tlsf_walk_pool(tlsf_get_pool(tlsf), print_block, NULL);'
        echo '}'
    } >"$work/page.c"
    gcc "${warnings[@]}" -I "$dist/include" "$work/page.c" "$dist/libmemoman.a" -o "$work/page"
    expect tlsf:program_of_the_page 0 'used 104 bytes' "$work/page"
    # The header is free of what these warnings are about.
    printf '#include "tlsf.h"\nint main() { return tlsf_check(nullptr); }\n' >"$work/strict.cpp"
    for compiler in g++ clang++-22; do
        "$compiler" -std=c++20 "${api[@]}" -Wold-style-cast -Wcast-qual -Wconversion \
            -Wzero-as-null-pointer-constant "$work/strict.cpp" "$dist/libmemoman.a" \
            -o "$work/strict"
        expect "tlsf:strict_warnings_$compiler" 0 '' "$work/strict"
        rm -f "$work/strict"
    done
    # Every name of tlsf.h 3.1.
    for name in create create_with_pool destroy get_pool add_pool remove_pool malloc memalign \
        realloc free block_size size align_size block_size_min block_size_max pool_overhead \
        alloc_overhead walk_pool check check_pool; do
        grep -q "tlsf_$name" "$sources/tlsf_api.h" ||
            fail "tlsf:signature_of_tlsf_$name is not tested"
    done
}

cpp() {
    local compiler standard variant name
    files=("$sources"/cpp_*.cpp)
    # compiler, standard, variant
    local quick=(clang++-22 c++17 default g++ c++20 bare-plain)
    local full=(clang++-22 c++23 default g++ c++17 plain clang++-22 c++20 libcxx
        clang++-22 c++17 libcxx-bare)
    for compiler in g++ clang++-22; do
        for standard in c++17 c++20; do
            for variant in default bare; do full+=("$compiler" "$standard" "$variant"); done
        done
    done
    [ "$extent" = full ] || full=("${quick[@]}")
    set -- "${full[@]}"
    while [ $# -gt 0 ]; do
        local flags=("-std=$2" "${warnings[@]}" -I "$dist/include")
        case $3 in
            default) flags+=("${sanitizers[@]}") ;;
            bare) flags+=("${sanitizers[@]}" -fno-exceptions -fno-rtti) ;;
            bare-plain) flags+=(-fno-exceptions -fno-rtti) ;;
            plain) ;;
            libcxx) flags+=(-stdlib=libc++) ;;
            libcxx-bare) flags+=(-stdlib=libc++ -fno-exceptions -fno-rtti) ;;
        esac
        program "cpp:$1-$2-$3" "$1" "${flags[@]}"
        shift 3
    done
    wait

    # Without exceptions: abort, or the function that the program defines.
    local bare=(g++ -std=c++17 -fno-exceptions -fno-rtti "${warnings[@]}" -I "$dist/include"
        "$sources/cpp_main.cpp" "$dist/libmemoman.a")
    "${bare[@]}" -o "$work/aborts"
    expect cpp:out_of_memory_without_exceptions_aborts 134 '' "$work/aborts" --out-of-memory
    "${bare[@]}" '-DMEMOMAN_OUT_OF_MEMORY()=std::exit(42)' -o "$work/hook"
    expect cpp:out_of_memory_calls_the_hook 42 '' "$work/hook" --out-of-memory
    echo '#include <memoman.hpp>' >"$work/old.cpp"
    expect cpp:older_standard_is_refused_with_advice 0 'needs C++17 or later: -std=c++17' one_error
}

# That error, and no further one that follows from it.
one_error() {
    g++ -std=c++14 -I "$dist/include" -c "$work/old.cpp" -o "$work/old" 2>"$work/log"
    cat "$work/log"
    [ "$(grep -c 'error:' "$work/log")" -eq 1 ]
}

tlsf
cpp
finish
