#!/usr/bin/env bash
# Installs the hosts of the examples: Debian's SQLite and Lua. Root or sudo.
set -euo pipefail
packages=()
for package in gcc g++ libc6-dev pkg-config libsqlite3-dev liblua5.4-dev python3; do
    case $package in
        pkg-config) command -v pkg-config >/dev/null && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || packages+=("$package")
done
[ ${#packages[@]} -gt 0 ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "examples/setup.sh: this system has no apt-get; install by hand what these Debian packages hold: ${packages[*]}" >&2
    exit 1
fi
sudo=()
[ "$(id -u)" -eq 0 ] || sudo=(sudo)
echo "setup: installing ${packages[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
