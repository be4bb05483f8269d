#!/usr/bin/env bash
# Installs what the measurements need beyond scripts/setup.sh: valgrind, with its headers. Debian; root or sudo.
set -euo pipefail

if [ "${1:-}" = --help ]; then
    sed -n '2s/^# //p' "$0"
    exit 0
fi
if command -v valgrind >/dev/null && [ -e /usr/include/valgrind/callgrind.h ]; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "setup-bench: this system has no apt-get; install valgrind with its headers by hand" >&2
    exit 1
fi
sudo=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup-bench: run as root, or install sudo; missing: valgrind" >&2
        exit 1
    }
    sudo=(sudo)
fi
echo "setup-bench: installing valgrind"
"${sudo[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends valgrind >/dev/null
