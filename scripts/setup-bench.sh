#!/usr/bin/env bash
# Installs what the measurements need beyond scripts/setup.sh: valgrind, with its headers. Debian; root or sudo.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

if [ "${1:-}" = --help ]; then
    sed -n '2s/^# //p' "$0"
    exit 0
fi
if command -v valgrind >/dev/null && [ -e /usr/include/valgrind/callgrind.h ]; then
    exit 0
fi
install_packages setup-bench valgrind
