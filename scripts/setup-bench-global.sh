#!/usr/bin/env bash
# Installs the allocators that `make bench-global` compares with: Debian's jemalloc, tcmalloc, mimalloc. Root or sudo.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

if [ "${1:-}" = --help ]; then
    sed -n '2s/^# //p' "$0"
    exit 0
fi
missing=()
for package in libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
install_packages setup-bench-global "${missing[@]}"
