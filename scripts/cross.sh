# shellcheck shell=bash
# Targets for other processors and their compilers. Sourced, after lib.sh, by the scripts that build
# for them.
#
#   target_settings NAME   sets triple, linker, flags, wants and folder; for a Linux also cross (the
#                          C library's prefix), runner and compiling (flags of clang), for a
#                          microcontroller bare (the prefix of its tools) and emulation (of its ld)
#   cross_cargo COMMAND…   Debian's cargo and rustc with these settings
#   build_libraries OUT NAME…   build-lib.sh OUT/NAME NAME for each, one for each core of this
#                          machine at a time: most of it is Rust's `core`, by one rustc per target
#
# The compiler is Debian's rustc-web, which builds Rust's standard library from rust-web-src, so
# that no toolchain is downloaded.

target_settings() {
    local flag gcc
    runner='' cross='' flags='' profile=release bare='' emulation=''
    folder=$target/sizes
    compiling=()
    case $1 in
        i686 | i686-small)
            triple=i686-unknown-linux-gnu linker=gcc wants=check-32
            if [ "$1" = i686-small ]; then
                flags='--cfg memoman_small'
                folder=$folder/small
            fi
            ;;
        arm) triple=armv7-unknown-linux-gnueabihf cross=arm-linux-gnueabihf wants=check-arm ;;
        aarch64) triple=aarch64-unknown-linux-gnu cross=aarch64-linux-gnu wants=check-arm64 ;;
        riscv64) triple=riscv64gc-unknown-linux-gnu cross=riscv64-linux-gnu wants=check-linux ;;
        s390x) triple=s390x-unknown-linux-gnu cross=s390x-linux-gnu wants=check-linux ;;
        wasm32) triple=wasm32-unknown-unknown linker=wasm-ld-22 wants=check-wasm ;;
        thumbv6m) bare_metal thumbv6m-none-eabi arm-none-eabi- ;;
        thumbv7m | cortex-m3) bare_metal thumbv7m-none-eabi arm-none-eabi- ;;
        thumbv7em-hf) bare_metal thumbv7em-none-eabihf arm-none-eabi- ;;
        thumbv8m.main-hf) bare_metal thumbv8m.main-none-eabihf arm-none-eabi- ;;
        riscv32imac | riscv32imc)
            bare_metal "$1-unknown-none-elf" riscv64-unknown-elf- '-m elf32lriscv'
            ;;
        windows)
            triple=x86_64-pc-windows-gnu linker=x86_64-w64-mingw32-gcc wants=check-windows
            ;;
        *) misused "no target '$1'" ;;
    esac
    [ -n "$cross" ] || return 0
    # gcc-multilib and Debian's cross gcc exclude each other: clang and the cross C library.
    linker=clang-22
    gcc=/usr/lib/gcc-cross/$cross/12
    compiling=("--target=$cross" --sysroot=/ -fuse-ld=lld -B"$gcc" -L"$gcc" -B"/usr/$cross/lib"
        -L"/usr/$cross/lib")
    [ "$1" != riscv64 ] || compiling+=(-march=rv64gc -mabi=lp64d)
    for flag in "${compiling[@]}"; do flags+=" -Clink-arg=$flag"; done
    compiling+=(-isystem "/usr/$cross/include")
    runner="qemu-${cross%%-*} -L /usr/$cross"
}

# bare_metal TRIPLE TOOLS [EMULATION]: the small build; TOOLS is the prefix of the binary tools,
# EMULATION what their ld needs.
bare_metal() {
    triple=$1 bare=$2 emulation=${3:-} linker=${2}ld
    wants=firmware-archives
    profile=small
    # A folder of its own: two cargos do not build in one folder at a time.
    folder=$folder/$triple
    flags='--cfg memoman_small'
}

cross_cargo() {
    local key=${triple^^} target=$triple json=()
    key=CARGO_TARGET_${key//[-.]/_}
    if [ -n "$bare" ]; then
        target=$folder/spec/$triple.json
        json=(-Zjson-target-spec)
        mkdir -p "$folder/spec"
        target_without_frame_pointers >"$target"
    fi
    env PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 "${key}_LINKER=$linker" "${key}_RUSTFLAGS=$flags" \
        "${key}_RUSTDOCFLAGS=$flags" ${runner:+"${key}_RUNNER=$runner"} \
        /usr/bin/cargo "$@" --target "$target" "${json[@]}" --target-dir "$folder"
}

build_libraries() {
    local out=$1
    shift
    printf '%s\n' "$@" | xargs -P "$(nproc)" -I NAME scripts/build-lib.sh "$out/NAME" NAME
}

# rustc's target without frame pointers: only debuggers use them, and each costs flash and a
# register. rustc has no switch for it.
target_without_frame_pointers() {
    PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 /usr/bin/rustc -Zunstable-options \
        --print target-spec-json --target "$triple" |
        sed 's/"frame-pointer": "always"/"frame-pointer": "may-omit"/'
}
