#!/usr/bin/env bash
# The shim on 64-bit ARM: scripts/arm64.sh [user|system]
#
#   user     programs of c_tests/preload under qemu-user: scripts/check-linux.sh shim
#   system   Debian's arm64 kernels in qemu-system-aarch64, whose addresses have 48 bits, with pages
#            of 4 and of 16 KiB: threads beside glibc's malloc in the same machine, and programs of
#            c_tests/preload
#
# scripts/setup.sh check-arm64 installs the tools; the kernels come from Debian's archive.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/cross.sh"
PROGRESS=8
group=arm64
cd "$root"
target_settings aarch64
library=$folder/$triple/release/libmemoman_preload.so
folder=$target/arm64
scripts/setup.sh --check check-arm64
mkdir -p "$folder"

# Those whose figures are pages or mappings, and those of threads.
programs=(aligned handed_over mallinfo semantics threads)

# system PAGES KERNEL CPU: one root file system in memory: init, the dynamic linker, the C library,
# the shim, the programs. KERNEL is a pattern of a Debian package's name.
system() {
    local image=$folder/kernel-$1 root=$folder/root apt package compile name
    if [ ! -d "$image" ]; then
        apt=(-o APT::Architecture=arm64 -o APT::Architectures::=arm64
            -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache"
            -o Dir::State::status=/dev/null
            -o APT::Sandbox::User="$(id -un)")
        mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
        apt-get "${apt[@]}" -qq update || return 1
        package=$(apt-cache "${apt[@]}" search -n "^linux-image-6.*-$2\$" | sort -V |
            tail -1 | cut -d' ' -f1)
        (cd "$folder" && apt-get "${apt[@]}" -qq download "$package" && mkdir "$image" &&
            dpkg --fsys-tarfile "$package"_*.deb |
            tar -x -C "$image" --wildcards './boot/vmlinuz-*' && rm "$package"_*.deb) || return 1
    fi
    rm -rf "$root"
    mkdir -p "$root/lib" "$root/proc" "$root/tests"
    compile=(clang-22 -O1 "${compiling[@]}")
    "${compile[@]}" -static c_tests/arm64/init.c -o "$root/init" || return 1
    "${compile[@]}" c_tests/arm64/threads.c -o "$root/threads" -lpthread || return 1
    for name in "${programs[@]}"; do
        "${compile[@]}" -std=gnu11 -w -fno-builtin -I c_tests/preload "c_tests/preload/$name.c" \
            -o "$root/tests/$name" -lpthread -ldl || return 1
    done
    cp "/usr/$cross/lib/"{ld-linux-aarch64.so.1,libc.so.6} "$library" "$root/lib/"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$folder/initrd.gz"
    timeout 300 qemu-system-aarch64 -M virt -cpu "$3" -smp 2 -m 512 -nographic -no-reboot \
        -nic none -kernel "$image"/boot/vmlinuz-* -initrd "$folder/initrd.gz" \
        -append 'console=ttyAMA0 rdinit=/init quiet panic=-1' </dev/null >"$folder/console"
    tr -d '\r' <"$folder/console" | grep -a '^arm64: '
    # At most three times glibc's time, and not the 80 times of heaps that never serve.
    tr -d '\r' <"$folder/console" | awk -v pages="$1" -v programs=${#programs[@]} '
        /^arm64: pages of/ { bytes = $4 }
        /^arm64: glibc/ { glibc = $3 }
        /^arm64: memoman/ { ours = $3 }
        /^arm64: .* programs passed/ { passed = $2 }
        END { exit !(bytes == pages && glibc > 0 && ours > 0 && ours <= 3 * glibc &&
            passed == programs) }'
}

shim() {
    folder=$target/sizes cross_cargo build --quiet --release -p memoman-preload \
        -Zbuild-std=core,compiler_builtins
}

if [ "${1:-user}" = user ]; then
    TARGET=aarch64 scripts/check-linux.sh shim | grep --line-buffered -v ' passed, ' | relay
    [ "${PIPESTATUS[0]}" -eq 0 ] || grep -q '^FAIL' "$results" || fail shim-has-ended-early
fi
if [ "${1:-system}" = system ] && check builds shim; then
    check pages_of_4_kib system 4096 cloud-arm64-unsigned cortex-a72
    cat "$work/log"
    check pages_of_16_kib system 16384 arm64-16k-unsigned max,pauth-impdef=on
    cat "$work/log"
fi
finish
