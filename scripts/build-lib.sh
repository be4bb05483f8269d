#!/usr/bin/env bash
# Builds the libraries into a folder.
#   scripts/build-lib.sh OUT [release|dev|asan|tsan|debug|small|i686|i686-small|arm|cortex-m3]
#
# OUT gets libmemoman.a, include/ and, for release and dev, libmemoman.so.0 (+ link) and
# libmemoman_preload.so. The archive is prelinked: one object in which only the header's functions are global, so that
# it links into a program beside any other Rust static library. asan and tsan instrument the Rust
# side and add the planted bugs that the suite's self-test calls. debug is the debug library
# (docs/debugging.md): libmemoman-debug.a, libmemoman-debug.so.0 (+ link), libmemoman_preload-debug.so. small is what
# microcontrollers get (docs/book/embedded.md), for this machine.
set -euo pipefail

usage() {
    sed -n '2,11s/^# \{0,1\}//p' "$0"
}
case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    '') usage >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
out=$1
variant=${2:-release}
mkdir -p "$out/include"
out=$(cd "$out" && pwd)
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
host=$(rustc -vV | sed -n 's/^host: //p')
export MEMOMAN_HEADER=${MEMOMAN_HEADER:-verify}

sanitizer=
profile=dev
folder=debug
suffix=
case $variant in
    release) profile=release folder=release ;;
    dev) ;;
    asan) sanitizer=address ;;
    tsan) sanitizer=thread ;;
    # Frame pointers lead to the call sites.
    debug)
        profile=release folder=release suffix=-debug
        export RUSTFLAGS="--cfg memoman_debug -Cforce-frame-pointers=yes"
        target=$target/memoman-debug
        ;;
    small)
        profile=release folder=release
        export RUSTFLAGS="--cfg memoman_small"
        target=$target/small
        ;;
    i686 | i686-small | arm | cortex-m3) exec scripts/other-targets.sh lib "$variant" "$out" ;;
    *) echo "build-lib.sh: no variant '$variant': release, dev, asan, tsan, debug, small, i686, i686-small, arm or cortex-m3" >&2; exit 2 ;;
esac

# Beyond what the source says is to be compiled into its caller, little is: cold code is a third smaller, the hot paths are as
# they were.
if [ "$variant" = release ]; then
    export RUSTFLAGS="${RUSTFLAGS:-} -Cllvm-args=-inline-threshold=25"
fi

if [ -n "$sanitizer" ]; then
    # The sanitizers of the stable toolchain, whose switch is named for the nightly one.
    export RUSTC_BOOTSTRAP=1
    export RUSTFLAGS="-Zsanitizer=$sanitizer -Cunsafe-allow-abi-mismatch=sanitizer --cfg memoman_planted_bug --cfg memoman_instrumented -Cforce-frame-pointers=yes"
    target=$target/$variant
    cargo build --quiet --package memoman --target "$host" --target-dir "$target"
    built=$target/$host/$folder
else
    cargo build --quiet --package memoman --package memoman-preload --profile "$profile" --target-dir "$target"
    built=$target/$folder
fi

# Left alone when it is the same, so that what was built with it stays fresh.
for header in memoman.h memoman.hpp memoman/tlsf.h; do
    cmp -s "include/$header" "$out/include/$header" || install -D -m 644 "include/$header" "$out/include/$header"
done

# The functions that the header declares, and the planted ones of a sanitizer's build.
functions=$(scripts/header-functions.sh include/memoman.h)
if [ -n "$sanitizer" ]; then
    functions="$functions mm_planted_overflow mm_planted_read mm_planted_race mm_planted_word"
fi

# Prelink: pull in what the functions need, drop the rest, make everything else local.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
keep=()
for function in $functions; do
    keep+=(-u "$function")
    echo "$function" >>"$work/keep"
done
collect=()
if [ "$profile" = release ]; then
    collect=(--gc-sections)
fi
ld -r "${collect[@]}" "${keep[@]}" -o "$work/memoman.o" "$built/libmemoman.a"
# Rust's prebuilt objects carry bitcode, which linker plugins would try to read: away with it.
objcopy --keep-global-symbols="$work/keep" --remove-section=.llvmbc --remove-section=.llvmcmd "$work/memoman.o"
if [ "$profile" = release ]; then
    objcopy --strip-debug --strip-unneeded "$work/memoman.o"
fi
ar rcsD "$work/libmemoman.a" "$work/memoman.o"
# Replaced only when it differs, so that what was built with it stays fresh.
place() {
    cmp -s "$1" "$2" || install -m "$3" "$1" "$2"
}
place "$work/libmemoman.a" "$out/libmemoman$suffix.a" 644

if [ -z "$sanitizer" ]; then
    # The shared library is linked from the same object, by the linker that rustc brings where it has one: cargo can give
    # no version to the symbols. MEMOMAN_0: what a program asks for is what a library of this SONAME has.
    echo "MEMOMAN_0 { global: $(sed 's/$/;/' "$work/keep" | tr '\n' ' ')local: *; };" >"$work/memoman.map"
    shared=$work/memoman.o
    if [ "$variant" = release ]; then
        # Without unwind tables, a seventh of its size: nothing unwinds through it, and a report ends in a jump to abort or to the
        # user's handler, so that backtraces lead on to the caller. The archive has them.
        shared=$work/shared.o
        objcopy --remove-section=.eh_frame --remove-section=.rela.eh_frame "$work/memoman.o" "$shared"
    fi
    linker=()
    if [ -x "$(rustc --print sysroot)/lib/rustlib/$host/bin/gcc-ld/ld.lld" ]; then
        linker=(-B "$(rustc --print sysroot)/lib/rustlib/$host/bin/gcc-ld" -fuse-ld=lld)
    fi
    gcc -shared "${linker[@]}" -Wl,-soname,"libmemoman$suffix.so.0" -Wl,--version-script="$work/memoman.map" \
        -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro,-z,now "$shared" -lpthread -ldl -o "$work/libmemoman.so"
    cp "$built/libmemoman_preload.so" "$work/libmemoman_preload.so"
    if [ "$profile" = release ]; then
        strip --strip-unneeded --remove-section=.comment "$work/libmemoman.so" "$work/libmemoman_preload.so"
    fi
    place "$work/libmemoman.so" "$out/libmemoman$suffix.so.0" 755
    ln -sf "libmemoman$suffix.so.0" "$out/libmemoman$suffix.so"
    place "$work/libmemoman_preload.so" "$out/libmemoman_preload$suffix.so" 755
fi
