#!/usr/bin/env bash
# Builds and tests memoman for other word sizes and processors.
#   scripts/other-targets.sh setup i686|arm      installs Debian's cross tools
#   scripts/other-targets.sh lib i686|arm OUT    builds libmemoman.a and the header into OUT
#   scripts/other-targets.sh check i686|arm      the core's Rust tests and the C suite
#
# i686 is 32-bit x86, which an x86-64 machine runs itself; arm is 32-bit ARMv7 under qemu-user. Rust's standard library is
# built from Debian's rust-web-src by the compiler of the same version, so no toolchain has to be downloaded.
set -euo pipefail
case "${1:-}" in
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
if [ $# -lt 2 ]; then
    echo "other-targets.sh: say what to do, and for which target; --help explains" >&2
    exit 2
fi
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
what=$1
name=$2
folder=${CARGO_TARGET_DIR:-$root/target}/sizes

# gcc-multilib and Debian's cross gcc cannot be installed together: ARM uses clang with the cross C library alone.
runner=
packages=(rustc-web cargo-web rust-web-src gcc clang-22)
flags=
case $name in
    i686)
        triple=i686-unknown-linux-gnu
        packages+=(gcc-multilib)
        linker=gcc
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
    *) echo "other-targets.sh: no target '$name': i686 or arm" >&2; exit 2 ;;
esac

# cargo COMMAND ARGUMENTS...: Debian's cargo and rustc, with the settings of the target.
cross_cargo() {
    local key=${triple^^}
    key=CARGO_TARGET_${key//-/_}
    env PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 "${key}_LINKER=$linker" "${key}_RUSTFLAGS=$flags" ${runner:+"${key}_RUNNER=$runner"} \
        /usr/bin/cargo "$@" --target "$triple" --target-dir "$folder"
}

setup() {
    local missing=() package sudo=()
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    echo "setup: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    "${sudo[@]}" apt-get update -qq
    "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

lib() {
    local out=$1
    mkdir -p "$out/include"
    cross_cargo rustc --quiet --package memoman --lib --crate-type staticlib --release -Zbuild-std=core,compiler_builtins
    cp include/memoman.h "$out/include/memoman.h"
    # Replaced only when it differs, so that what was built with it stays fresh.
    cmp -s "$folder/$triple/release/libmemoman.a" "$out/libmemoman.a" || cp "$folder/$triple/release/libmemoman.a" "$out/libmemoman.a"
}

check() {
    # The tests are far slower than their build without any optimisation; debug assertions stay on.
    cross_cargo test --package memoman-core --no-fail-fast -Zbuild-std=std,panic_unwind \
        --config 'profile.dev.panic="unwind"' --config 'profile.dev.package.memoman-core.opt-level=2'
    MEMOMAN_VARIANTS=$name cargo test --package memoman-tests
}

case $what in
    setup) setup ;;
    lib) lib "${3:?a folder to build into}" ;;
    check) check ;;
    *) echo "other-targets.sh: setup, lib or check; not '$what'" >&2; exit 2 ;;
esac
