#!/usr/bin/env bash
# Builds the tool `memoman` into OUT/bin and its recorder into OUT/lib: scripts/build-tools.sh OUT
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ -n "${1:-}" ] || misused "say into which folder"
out=$1
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$root"
"$root/scripts/setup.sh" --check tools
cargo build --quiet --release --package memoman-cli --target-dir "$target"
place "$target/release/memoman" "$out/bin/memoman" 755
