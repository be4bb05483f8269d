#!/usr/bin/env bash
# Builds and tests memoman for other word sizes and processors.
#   scripts/other-targets.sh setup i686|arm|cortex-m3                 installs Debian's cross tools
#   scripts/other-targets.sh lib i686|i686-small|arm|cortex-m3 OUT    builds libmemoman.a and the header into OUT
#   scripts/other-targets.sh check i686|i686-small|arm [quick]        the core's Rust tests and the C suite; quick: a part of the former
#
# cortex-m3 is the small build (--cfg memoman_small), which i686-small tests with the same word size. i686 is 32-bit x86, which an x86-64 machine runs itself; arm is 32-bit ARMv7 under qemu-user; cortex-m3 is ARMv7-M without
# operating system (scripts/embedded.sh tests it). Rust's standard library is built from Debian's rust-web-src by the
# compiler of the same version, so no toolchain has to be downloaded.
set -euo pipefail
case "${1:-}" in
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
if [ $# -lt 2 ]; then
    echo "other-targets.sh: say what to do, and for which target; --help explains" >&2
    exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/packages.sh
what=$1
name=$2
folder=${CARGO_TARGET_DIR:-$root/target}/sizes

# gcc-multilib and Debian's cross gcc cannot be installed together: ARM uses clang with the cross C library alone.
runner=
profile=release
without_frame_pointers=
packages=(rustc-web cargo-web rust-web-src gcc clang-22)
flags=
case $name in
    i686 | i686-small)
        triple=i686-unknown-linux-gnu
        packages+=(gcc-multilib)
        linker=gcc
        if [ "$name" = i686-small ]; then
            flags='--cfg memoman_small'
            folder=$folder/small
        fi
        ;;
    arm)
        triple=armv7-unknown-linux-gnueabihf
        packages+=(lld-22 qemu-user libc6-dev-armhf-cross libgcc-12-dev-armhf-cross)
        linker=clang-22
        cross=arm-linux-gnueabihf
        for flag in --target=$cross -fuse-ld=lld --sysroot=/ -B/usr/lib/gcc-cross/$cross/12 -L/usr/lib/gcc-cross/$cross/12 \
            -B/usr/$cross/lib -L/usr/$cross/lib; do
            flags="$flags -Clink-arg=$flag"
        done
        runner="qemu-arm -L /usr/$cross"
        ;;
    cortex-m3)
        triple=thumbv7m-none-eabi
        packages+=(gcc-arm-none-eabi qemu-system-arm)
        linker=arm-none-eabi-ld
        profile=small
        flags='--cfg memoman_small'
        without_frame_pointers=yes
        ;;
    *) echo "other-targets.sh: no target '$name': i686, i686-small, arm or cortex-m3" >&2; exit 2 ;;
esac

# cargo COMMAND ARGUMENTS...: Debian's cargo and rustc, with the settings of the target.
cross_cargo() {
    local key=${triple^^}
    key=CARGO_TARGET_${key//-/_}
    local target=$triple json=()
    if [ -n "$without_frame_pointers" ]; then
        target=$folder/spec/$triple.json
        json=(-Zjson-target-spec)
        mkdir -p "$folder/spec"
        target_without_frame_pointers >"$target"
    fi
    env PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 "${key}_LINKER=$linker" "${key}_RUSTFLAGS=$flags" \
        "${key}_RUSTDOCFLAGS=$flags" ${runner:+"${key}_RUNNER=$runner"} \
        /usr/bin/cargo "$@" --target "$target" "${json[@]}" --target-dir "$folder"
}

# The target as rustc knows it, but that functions need no frame pointer: only debuggers use it, and each one costs flash and
# a register. No switch of rustc's turns it off.
target_without_frame_pointers() {
    PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 /usr/bin/rustc -Zunstable-options --print target-spec-json --target "$triple" |
        sed 's/"frame-pointer": "always"/"frame-pointer": "may-omit"/'
}

setup() {
    local missing=() package
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    install_packages setup "${missing[@]}"
}

lib() {
    local out=$1 built=$folder/$triple/$profile/libmemoman.a
    if ! [ -x /usr/bin/rustc ] || ! [ -x /usr/bin/cargo ]; then
        echo "other-targets.sh: Debian's rustc-web is missing: run scripts/other-targets.sh setup $name" >&2
        exit 1
    fi
    mkdir -p "$out/include"
    cross_cargo rustc --quiet --package memoman --lib --crate-type staticlib --profile "$profile" -Zbuild-std=core,compiler_builtins
    cp include/memoman.h "$out/include/memoman.h"
    if [ "$name" = cortex-m3 ]; then
        prelink "$built" "$folder/$triple/prelinked.a" arm-none-eabi-
        built=$folder/$triple/prelinked.a
    fi
    # Replaced only when it differs, so that what was built with it stays fresh.
    cmp -s "$built" "$out/libmemoman.a" || cp "$built" "$out/libmemoman.a"
}

# prelink FROM TO TOOLS: one object in which the header's functions are global, and the Rust runtime's memcpy and its like
# weak: a C library's own come first, and a firmware that has none needs none. Each function keeps its own section.
prelink() {
    local from=$1 to=$2 tools=$3 work function keep=()
    if ! command -v "${tools}ld" >/dev/null; then
        echo "other-targets.sh: ${tools}ld is missing: run scripts/other-targets.sh setup $name" >&2
        exit 1
    fi
    work=$(mktemp -d)
    # Rust's objects carry bitcode, which the tools' plugins would try to read: away with it.
    "${tools}objcopy" --remove-section=.llvmbc --remove-section=.llvmcmd "$from" "$work/plain.a"
    # The header's functions, as far as a target without operating system has them.
    for function in $("${tools}nm" --defined-only "$work/plain.a" 2>/dev/null | awk '$2 == "T" && $3 ~ /^mm_/ { print $3 }' | sort -u); do
        keep+=(-u "$function")
        echo "$function" >>"$work/keep"
    done
    # Compilers call these by themselves.
    keep+=(-u memcpy -u memmove -u memset -u memcmp)
    "${tools}ld" -r --gc-sections "${keep[@]}" -o "$work/memoman.o" "$work/plain.a"
    "${tools}nm" --defined-only "$work/memoman.o" | awk '$2 == "W" { print $3 }' >>"$work/keep"
    "${tools}objcopy" --keep-global-symbols="$work/keep" --strip-debug "$work/memoman.o"
    rm -f "$to"
    "${tools}ar" rcsD "$to" "$work/memoman.o"
    rm -rf "$work"
}

check() {
    local programs=() program
    if [ "${1:-}" = quick ]; then
        # Compiling is most of the time: no more than what depends on the word size, and all but the core as it comes.
        for program in allocate answers create extend pools resize; do programs+=(--test $program); done
        local -x CARGO_PROFILE_TEST_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
    fi
    # The tests are far slower than their build without any optimisation; debug assertions stay on.
    cross_cargo test --package memoman-core ${programs:+--lib} "${programs[@]}" --no-fail-fast -Zbuild-std=std,panic_unwind \
        --config 'profile.dev.panic="unwind"' --config 'profile.dev.package.memoman-core.opt-level=2'
    [ "${1:-}" = quick ] || MEMOMAN_VARIANTS=$name cargo test --package memoman-tests
}

case $what in
    setup) setup ;;
    lib) lib "${3:?a folder to build into}" ;;
    check)
        [ "$name" != cortex-m3 ] || exec scripts/embedded.sh
        check "${3:-}"
        ;;
    *) echo "other-targets.sh: setup, lib or check; not '$what'" >&2; exit 2 ;;
esac
