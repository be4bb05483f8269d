#!/usr/bin/env bash
# Installs what packages and their tests need beyond scripts/setup.sh: debhelper, cmake, abigail-tools, mandoc. Debian; root or sudo.
set -euo pipefail

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
if ! command -v apt-get >/dev/null; then
    echo "setup-install: this system has no apt-get; install by hand what these Debian packages hold: ${packages[*]}" >&2
    exit 1
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup-install: run as root, or install sudo; missing: ${packages[*]}" >&2
        exit 1
    }
    sudo=(sudo)
fi
echo "setup-install: installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
