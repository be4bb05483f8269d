#!/usr/bin/env bash
# Uses an installed memoman as a stranger would, in an empty folder: packaging/use.sh GROUP FOLDER
#
# FOLDER holds a copy of packaging/example. Where memoman is not in the system's own folders, the
# caller sets PKG_CONFIG_PATH, CMAKE_PREFIX_PATH, LD_LIBRARY_PATH, INCLUDEDIR, PRELOAD and FLAGS
# (-I, -L). Works without the source tree.
set -uo pipefail
case "${1:-}" in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
group=$1
cd "$2" || exit 1
include=${INCLUDEDIR:-/usr/include}
version=$(sed -n 's/^#define MM_VERSION_STRING "\(.*\)"/\1/p' "$include/memoman.h")
read -ra flags <<<"${FLAGS:-}"

# expect NAME TEXT COMMAND…: the command succeeds and prints TEXT.
expect() {
    local name=$1 text=$2 output status=0
    shift 2
    output=$("$@" 2>&1) || status=$?
    if [ $status -eq 0 ] && [[ $output == *"$text"* ]]; then
        echo "ok install $group:$name"
    else
        output=$(tail -c 400 <<<"$output" | tr '\n' ' ')
        echo "FAIL install $group:$name status $status: $output"
    fi
}

# build_and_run COMMAND…: the command makes ./program, which then runs.
build_and_run() { rm -f program; "$@" -o program && ./program; }

pkgconfig() { build_and_run "$1" "${@:3}" "$2" $(pkg-config --cflags --libs ${package:-memoman}); }
static_by_pkgconfig() {
    build_and_run cc hello.c $(pkg-config --cflags memoman) -Wl,-Bstatic \
        $(pkg-config --static --libs memoman | sed 's/-lpthread//') -Wl,-Bdynamic &&
        is_static ./program
}
is_static() { [ -x "$1" ] && ! ldd "$1" | grep libmemoman; }
shared_is_the_soname() { ldd ./program | grep -o 'libmemoman.so.0 '; }
with_cmake() { cmake -S . -B build && cmake --build build; }
# find_version VERSION: cmake in a project that wants this version.
find_version() {
    printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' 'project(old C)' \
        "find_package(memoman $1 REQUIRED)" >old/CMakeLists.txt
    cmake -S old -B "old/$1"
}
refuses_version() { ! find_version "$1" >old/log 2>&1 && tr -s ' \n' ' ' <old/log; }

expect pkg_config_version "$version" pkg-config --modversion memoman
expect pkg_config_c "hello from C, memoman $version" pkgconfig cc hello.c -std=c99
expect links_by_soname libmemoman.so.0 shared_is_the_soname
expect pkg_config_cpp 'hello from C++' pkgconfig c++ hello.cpp -std=c++17
package=memoman-tlsf expect pkg_config_tlsf 'hello from tlsf.h' pkgconfig cc hello_tlsf.c -std=c99
expect pkg_config_static "memoman $version" static_by_pkgconfig
expect plain_c "hello from C, memoman $version" build_and_run cc "${flags[@]}" hello.c -lmemoman
expect plain_cpp 'hello from C++' build_and_run c++ -std=c++17 "${flags[@]}" hello.cpp -lmemoman
expect plain_tlsf 'hello from tlsf.h' \
    build_and_run cc "${flags[@]}" -I "$include/memoman" hello_tlsf.c -lmemoman
expect cmake_builds 'Built target hello_tlsf' with_cmake
expect cmake_shared "memoman $version" build/hello
expect cmake_static "memoman $version" build/hello_static
expect cmake_static_is_static '' is_static build/hello_static
expect cmake_cpp 'hello from C++' build/hello_cpp
expect cmake_tlsf 'hello from tlsf.h' build/hello_tlsf
mkdir old
expect cmake_accepts_its_version 'Generating done' find_version "$version"
expect cmake_accepts_its_major 'Generating done' find_version "${version%%.*}"
expect cmake_refuses_newer 'compatible with requested version' refuses_version "${version%.*}.999"
expect cmake_refuses_other_major 'compatible with requested version' \
    refuses_version "$((${version%%.*} + 1))"
expect preload 'peak' \
    env LD_PRELOAD="${PRELOAD:-libmemoman_preload.so}" MEMOMAN_STATS=1 ./program
