#!/usr/bin/env bash
# Installs the programs that `make programs` runs. Debian; root or sudo. About a gigabyte, most of it chromium.
set -euo pipefail
. "$(dirname "$0")/packages.sh"

if [ "${1:-}" = --help ]; then
    sed -n '2s/^# //p' "$0"
    exit 0
fi
# command that shows it is there, package that brings it
needed=(
    python3 python3
    node nodejs
    redis-server redis-server
    redis-benchmark redis-tools
    nginx nginx-light
    wrk wrk
    sqlite3 sqlite3
    git git
    make make
    perl perl
    ruby ruby
    lua5.4 lua5.4
    convert imagemagick
    chromium chromium
    bc bc
    pgrep procps
    /usr/bin/time time
)
missing=()
for ((i = 0; i < ${#needed[@]}; i += 2)); do
    PATH=$PATH:/usr/sbin command -v "${needed[i]}" >/dev/null || missing+=("${needed[i + 1]}")
done
# Its commands lie in a folder of its own; pgbench is one of them.
compgen -G '/usr/lib/postgresql/*/bin/pgbench' >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -gt 0 ] || exit 0
install_packages setup-programs "${missing[@]}"
