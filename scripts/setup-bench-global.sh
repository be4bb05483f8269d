#!/usr/bin/env bash
# Installs the allocators that `make bench-global` compares with: Debian's jemalloc, tcmalloc, mimalloc. Root or sudo.
set -euo pipefail

if [ "${1:-}" = --help ]; then
    sed -n '2s/^# //p' "$0"
    exit 0
fi
missing=()
for package in libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "setup-bench-global: this system has no apt-get; install by hand: ${missing[*]}" >&2
    exit 1
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup-bench-global: run as root, or install sudo; missing: ${missing[*]}" >&2
        exit 1
    }
    sudo=(sudo)
fi
echo "setup-bench-global: installing ${missing[*]}"
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
