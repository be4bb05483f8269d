#!/usr/bin/env bash
# `make`, `make debug` and `make install` where PATH is one folder of links, target/check/alone/bin:
# cargo, rustc, a C compiler, binutils, and bash, make, sed, awk, grep and coreutils. Anything else
# that the build calls is not found, and the build fails.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=build
cd "$root"

folder=$target/check/alone
rm -rf "$folder"
mkdir -p "$folder/bin"
link() {
    local tool place
    for tool in "$@"; do
        place=$(type -P "$tool") || die "$tool is missing"
        ln -s "$place" "$folder/bin/$tool"
    done
}
link cargo rustc cc gcc
link ar as ld nm objcopy objdump ranlib readelf strip
link bash sh make sed awk grep
link basename cat chmod cp cut date dirname env expr head id install ln ls mkdir mktemp mv printf \
    pwd readlink realpath rm rmdir sha256sum sort tail tee touch tr true uname uniq wc

# alone COMMAND…: with that PATH, and of the environment only what cargo needs.
alone() {
    env -i PATH="$folder/bin" HOME="$HOME" ${CARGO_HOME:+CARGO_HOME="$CARGO_HOME"} \
        ${RUSTUP_HOME:+RUSTUP_HOME="$RUSTUP_HOME"} ${CC:+CC="$CC"} \
        ${RUSTUP_TOOLCHAIN:+RUSTUP_TOOLCHAIN="$RUSTUP_TOOLCHAIN"} CARGO_TARGET_DIR="$target" "$@"
}
built() { alone make --no-print-directory DIST="$folder/dist" "$@"; }
without_jobserver() { # with a cargo that fails where it would warn
    local status=0
    mv "$folder/bin/cargo" "$folder/hidden"
    printf '#!/bin/sh\n[ -z "$MAKEFLAGS" ] && exec %s "$@"\n' "$(readlink "$folder/hidden")" \
        >"$folder/bin/cargo"
    chmod 755 "$folder/bin/cargo"
    built -j2 || status=$?
    mv "$folder/hidden" "$folder/bin/cargo"
    return $status
}
without() { # TOOL COMMAND…: with a PATH that lacks it
    local status=0
    mv "$folder/bin/$1" "$folder/hidden"
    "${@:2}" || status=$?
    mv "$folder/hidden" "$folder/bin/$1"
    return $status
}
installed() {
    built install PREFIX=/usr DESTDIR="$folder/root" && cmp "$1" "$folder/root/usr/lib/${1##*/}" &&
        [ -s "$folder/root/usr/share/man/man3/mm_malloc.3" ]
}

check make built
check cargo_gets_no_jobserver_that_make_has_closed without_jobserver
check make_debug built debug
check make_install installed "$folder/dist/libmemoman.a"
check make_install_of_the_debug_library installed "$folder/dist/libmemoman-debug.a"
check same_library_as_with_the_full_PATH cmp "$folder/dist/libmemoman.so.0" dist/libmemoman.so.0
# The folder is all there is: a tool that is not linked is not found, and said to be missing.
expect perl_is_not_found 127 '' alone bash -c perl
expect missing_linker_is_reported 2 'setup: binutils is missing: ' without ld built
expect folder_that_cannot_be_made_is_reported 2 'make DIST=FOLDER' built DIST=Makefile/dist
expect missing_tool_of_a_check_is_reported 1 'setup: valgrind is missing: ' \
    alone scripts/setup.sh --check wcet
expect nothing_is_installed_without_apt_get 1 'setup: valgrind is missing: ' \
    alone scripts/setup.sh wcet
finish
