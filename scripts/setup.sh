#!/usr/bin/env bash
# Installs what building, testing and the demo need and this machine lacks. Debian; root or sudo. Rust itself is not
# installed: https://rustup.rs or your distribution has it.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

if [ "${1:-}" = --help ]; then
    sed -n '2,3s/^# //p' "$0"
    exit 0
fi

if ! command -v cargo >/dev/null; then
    echo "setup: cargo is missing: install Rust 1.88 or newer (https://rustup.rs), then run this again" >&2
    exit 1
fi
minimum=88
minor=$(rustc --version | sed -E 's/^rustc 1\.([0-9]+).*/\1/')
if [ "$minor" -lt "$minimum" ]; then
    echo "setup: $(rustc --version) is too old: memoman needs 1.$minimum or newer" >&2
    exit 1
fi
for component in rustfmt clippy; do
    cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || {
        echo "setup: cargo's $component is missing: rustup component add $component, or your distribution's package" >&2
        exit 1
    }
done

# command that shows it is there, package that brings it
needed=(
    gcc gcc
    g++ g++
    ld binutils
    perl perl
    git git
    python3 python3
    sqlite3 sqlite3
    node nodejs
    redis-server redis-server
    redis-benchmark redis-tools
    valgrind valgrind
    clang-22 clang-22
    llvm-symbolizer-22 llvm-22
)
packages=()
for ((i = 0; i < ${#needed[@]}; i += 2)); do
    command -v "${needed[i]}" >/dev/null || packages+=("${needed[i + 1]}")
done
# clang's sanitizer runtimes have no command of their own.
if ! compgen -G '/usr/lib/llvm-22/lib/clang/22/lib/*/libclang_rt.tsan*' >/dev/null; then
    packages+=(libclang-rt-22-dev)
fi
# The examples' hosts.
for file in /usr/include/sqlite3.h:libsqlite3-dev /usr/include/lua5.4/lua.h:liblua5.4-dev; do
    [ -e "${file%:*}" ] || packages+=("${file#*:}")
done
command -v pkg-config >/dev/null || packages+=(pkg-config)
# valgrind needs the dynamic linker's symbols.
if ! valgrind -q true 2>/dev/null; then
    packages+=(libc6-dbg)
fi
if ! echo 'int main(void){return 0;}' | gcc -x c -fsanitize=address,undefined - -o /dev/null 2>/dev/null; then
    packages+=(libasan8 libubsan1)
fi

if [ ${#packages[@]} -eq 0 ]; then
    echo "setup: everything is there"
    exit 0
fi
install_packages setup "${packages[@]}"
echo "setup: done"
