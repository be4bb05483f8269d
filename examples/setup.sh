#!/usr/bin/env bash
# Installs the hosts of the examples: Debian's SQLite and Lua. Root or sudo.
set -euo pipefail
. "$(dirname "$0")/../scripts/packages.sh"
packages=()
for package in gcc g++ libc6-dev pkg-config libsqlite3-dev liblua5.4-dev python3; do
    case $package in
        pkg-config) command -v pkg-config >/dev/null && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || packages+=("$package")
done
[ ${#packages[@]} -gt 0 ] || exit 0
install_packages examples "${packages[@]}"
