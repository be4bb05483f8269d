#!/usr/bin/env bash
# The shim on 64-bit ARM: scripts/arm64.sh [user|system]
#
#   user     programs of c_tests/preload under qemu-user: scripts/check-linux.sh shim
#   system   Debian's arm64 kernel in qemu-system-aarch64, whose addresses have 48 bits: threads
#            beside glibc's malloc in the same machine
#
# scripts/setup.sh check-arm64 installs the tools; the kernel comes from Debian's archive.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
group=arm64
cd "$root"
target_settings aarch64
library=$folder/$triple/release/libmemoman_preload.so
folder=$target/arm64
scripts/setup.sh --check check-arm64
mkdir -p "$folder"

# One root file system in memory: init, the dynamic linker, the C library, the shim, the program.
system() {
    local image=$folder/kernel root=$folder/root apt package compile
    if [ ! -d "$image" ]; then
        apt=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64
            -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache"
            -o Dir::State::status=/dev/null)
        mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
        apt-get "${apt[@]}" -qq update || return 1
        package=$(apt-cache "${apt[@]}" search -n '^linux-image-6.*cloud-arm64-unsigned' | sort -V |
            tail -1 | cut -d' ' -f1)
        (cd "$folder" && apt-get "${apt[@]}" -qq download "$package" &&
            dpkg -x "$package"*.deb kernel) || return 1
    fi
    rm -rf "$root"
    mkdir -p "$root/lib" "$root/proc"
    compile=(clang-22 -O1 "${compiling[@]}")
    "${compile[@]}" -static c_tests/arm64/init.c -o "$root/init" || return 1
    "${compile[@]}" c_tests/arm64/threads.c -o "$root/threads" -lpthread || return 1
    cp "/usr/$cross/lib/"{ld-linux-aarch64.so.1,libc.so.6} "$library" "$root/lib/"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$folder/initrd.gz"
    timeout 300 qemu-system-aarch64 -M virt -cpu cortex-a72 -smp 2 -m 512 -nographic -no-reboot \
        -nic none -kernel "$image"/boot/vmlinuz-* -initrd "$folder/initrd.gz" \
        -append 'console=ttyAMA0 rdinit=/init quiet panic=-1' </dev/null >"$folder/console"
    tr -d '\r' <"$folder/console" | grep -a '^arm64: '
    # At most three times glibc's time, and not the 80 times of heaps that never serve.
    tr -d '\r' <"$folder/console" | awk '
        /^arm64: glibc/ { glibc = $3 }
        /^arm64: memoman/ { ours = $3 }
        END { exit !(glibc > 0 && ours > 0 && ours <= 3 * glibc) }'
}

shim() {
    folder=$target/sizes cross_cargo build --quiet --release -p memoman-preload \
        -Zbuild-std=core,compiler_builtins
}

if [ "${1:-user}" = user ]; then
    TARGET=aarch64 scripts/check-linux.sh shim | grep -v ' passed, ' | relay
    [ "${PIPESTATUS[0]}" -eq 0 ] || grep -q '^FAIL' "$results" || fail shim-has-ended-early
fi
if [ "${1:-system}" = system ] && check builds shim; then
    check threads_beside_glibc system
    cat "$work/log"
fi
finish
