#!/usr/bin/env bash
# Installs what packages and their tests need beyond scripts/setup.sh: debhelper, cmake, abigail-tools, mandoc. Debian; root or sudo.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

if [ "${1:-}" = --help ]; then
    sed -n '2s/^# //p' "$0"
    exit 0
fi
# command that shows it is there, package that brings it
needed=(dh debhelper cmake cmake abidw abigail-tools mandoc mandoc man man-db pkg-config pkgconf fakeroot fakeroot)
packages=()
for ((i = 0; i < ${#needed[@]}; i += 2)); do
    command -v "${needed[i]}" >/dev/null || packages+=("${needed[i + 1]}")
done
[ ${#packages[@]} -gt 0 ] || exit 0
install_packages setup-install "${packages[@]}"
