#!/usr/bin/env bash
# Builds the tool `memoman` into OUT/bin, its recorder into OUT/lib, its man pages and completions
# into OUT/share: scripts/build-tools.sh OUT
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ -n "${1:-}" ] || misused "say into which folder"
out=$1
mkdir -p "$out" || die "choose a folder that can be written: make tools DIST=FOLDER"
out=$(cd "$out" && pwd)
cd "$root"
"$root/scripts/setup.sh" --check tools
quiet=(--quiet)
[ ! -t 2 ] || quiet=()
cargo build "${quiet[@]}" --release --package memoman-cli --package memoman-record \
    --features memoman-cli/peers --target-dir "$target"
cp "$target/release/memoman" "$target/release/libmemoman_record.so" "$work"
strip --strip-unneeded "$work/memoman" "$work/libmemoman_record.so"
place "$work/memoman" "$out/bin/memoman" 755
place "$work/libmemoman_record.so" "$out/lib/libmemoman_record.so" 755
"$out/bin/memoman" generate "$out/share"
