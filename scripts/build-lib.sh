#!/usr/bin/env bash
# Builds the libraries into a folder: scripts/build-lib.sh OUT [VARIANT]
#
# OUT gets include/ and libmemoman.a, an archive of one object in which only the header's functions
# are global, so that it links beside any other Rust static library. Variants:
#   release     libmemoman.so.0 (and link) and libmemoman_preload.so too
#   dev         the same without optimisation
#   debug       the debug library (docs/debugging.md): libmemoman-debug.a, libmemoman-debug.so.0
#               (and link), libmemoman_preload-debug.so
#   asan, tsan  the archive, its Rust code under a sanitizer, with the planted bugs of the C suite's
#               self-test
#   small       the build for microcontrollers (docs/book/embedded.md), for this machine
#   i686, arm, riscv64, thumbv7m …   other targets: scripts/other-targets.sh lists them
# Needs cargo, rustc, a C compiler (CC, or cc) and binutils.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
[ -n "${1:-}" ] || misused "say into which folder"
out=$1
variant=${2:-release}
mkdir -p "$out/include" ||
    die "choose a folder that can be written: make DIST=FOLDER CARGO_TARGET_DIR=FOLDER"
out=$(cd "$out" && pwd)
cd "$root"
"$root/scripts/setup.sh" --check all
host=$(rust_host)

# The linker that rustc brings, where it brings one.
lld=$(rustc --print sysroot)/lib/rustlib/$host/bin/gcc-ld

# At a terminal cargo shows what it compiles: the first time takes a minute.
quiet=(--quiet)
[ ! -t 2 ] || quiet=()

sanitizer=
profile=dev
folder=debug
suffix=
case $variant in
    release | debug | small) profile=release folder=release ;;&
    # Cold calls are not inlined: their code is a third smaller, the hot paths stay as they are.
    release) export RUSTFLAGS="${RUSTFLAGS:-} -Cllvm-args=-inline-threshold=5" ;;
    dev) ;;
    asan) sanitizer=address ;;
    tsan) sanitizer=thread ;;
    debug)
        suffix=-debug target=$target/memoman-debug
        # Frame pointers lead to the call sites.
        export RUSTFLAGS="--cfg memoman_debug -Cforce-frame-pointers=yes"
        ;;
    small)
        target=$target/small
        export RUSTFLAGS="--cfg memoman_small"
        ;;
    i686* | arm | aarch64 | riscv* | s390x | thumb* | cortex-m3 | wasm32 | windows)
        scripts/other-targets.sh lib "$variant" "$out"
        exit
        ;;
    *) misused "no variant '$variant'" ;;
esac

if [ -n "$sanitizer" ]; then
    # The sanitizers of the stable toolchain: their switch is named for the nightly one.
    export RUSTC_BOOTSTRAP=1
    RUSTFLAGS="-Zsanitizer=$sanitizer -Cunsafe-allow-abi-mismatch=sanitizer"
    RUSTFLAGS+=" --cfg memoman_planted_bug --cfg memoman_instrumented -Cforce-frame-pointers=yes"
    export RUSTFLAGS
    target=$target/$variant
    cargo build "${quiet[@]}" --package memoman --target "$host" --target-dir "$target"
    built=$target/$host/$folder
else
    built=$target/$folder shim=$profile shims=$target/$folder
    [ "$variant" != release ] || shim=shim shims=$target/shim
    cargo build "${quiet[@]}" --package memoman --profile "$profile" --target-dir "$target"
    # The layout of the shim's parts is for the linker that rustc brings.
    layout=()
    if [ "$variant $host" = "release x86_64-unknown-linux-gnu" ] && [ -x "$lld/ld.lld" ]; then
        for option in "-B$lld" -fuse-ld=lld -Xlinker --script -Xlinker \
            "$root/crates/memoman-preload/layout.ld"; do
            layout+=("-Clink-arg=$option")
        done
    fi
    cargo rustc "${quiet[@]}" --package memoman-preload --lib --profile "$shim" \
        --target-dir "$target" -- "${layout[@]}"
fi

for header in memoman.h memoman.hpp memoman/{tlsf,record,debug}.h; do
    place "include/$header" "$out/include/$header"
done

# The functions that the header declares, and the planted ones of a sanitizer's build.
header_functions include/memoman.h >"$work/keep"
# And the object with the address of the figures, for readers outside (docs/book/live-figures.md).
echo memoman_published >>"$work/keep"
[ "$variant" != debug ] || header_functions include/memoman/debug.h >>"$work/keep"
if [ -n "$sanitizer" ]; then
    printf '%s\n' mm_planted_{overflow,read,race,word} >>"$work/keep"
fi

# Prelink: pull in what the functions need, drop the rest, make everything else local.
keep=()
while read -r function; do keep+=(-u "$function"); done <"$work/keep"
[ "$profile" != release ] || keep+=(--gc-sections)
ld -r "${keep[@]}" -o "$work/memoman.o" "$built/libmemoman.a"
# Rust's prebuilt objects carry bitcode that linker plugins would try to read.
objcopy --keep-global-symbols="$work/keep" --weaken-symbol=memoman_published \
    --remove-section=.llvmbc --remove-section=.llvmcmd \
    "$work/memoman.o"
if [ "$profile" = release ]; then
    # Sections are named without rustc's hashes: shorter, and the same from build to build.
    objdump -h "$work/memoman.o" | awk '$2 ~ /17h[0-9a-f]+E$/ {
        short = $2; sub(/17h[0-9a-f]+E$/, "E", short); print "--rename-section " $2 "=" short
    }' | sort -u >"$work/sections"
    objcopy --strip-debug --strip-unneeded @"$work/sections" "$work/memoman.o"
fi
ar rcsD "$work/libmemoman.a" "$work/memoman.o"
place "$work/libmemoman.a" "$out/libmemoman$suffix.a"
[ -z "$sanitizer" ] || exit 0

# The shared library is linked from the same object, because cargo cannot give versions to symbols.
# MEMOMAN_0: a program finds its functions in every library of this SONAME.
sed -e '1s/^/MEMOMAN_0 { global: /' -e 's/$/;/' -e '$s/$/ local: *; };/' "$work/keep" \
    >"$work/memoman.map"
shared=$work/memoman.o
start=()
if [ "$variant" = release ]; then
    # Unwind tables are a seventh of the library's size, and nothing unwinds through it: a report
    # ends in a jump to abort or to the user's handler, so that backtraces lead on to the caller.
    # The archive keeps them. (Without a header for them, an unwinder finds none here at once.)
    shared=$work/shared.o
    # memmove is memcpy's function in the C libraries here: one import less.
    objcopy --remove-section=.eh_frame --remove-section=.rela.eh_frame \
        --redefine-sym memcpy=memmove "$work/memoman.o" "$shared"
    ${CC:-cc} -O1 -fPIC -fno-plt -fno-asynchronous-unwind-tables -c packaging/start.c \
        -o "$work/start.o"
    start=(-nostartfiles "$work/start.o" -Wl,--no-eh-frame-hdr)
fi
linker=()
# rustc's linker folds equal functions into one. The exported ones differ from each other.
[ ! -x "$lld/ld.lld" ] || linker=(-B "$lld" -fuse-ld=lld -Wl,--icf=all)
${CC:-cc} -shared "${linker[@]}" "${start[@]}" -Wl,-soname,"libmemoman$suffix.so.0" \
    -Wl,--version-script="$work/memoman.map" -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro,-z,now \
    "$shared" -lpthread -ldl -o "$work/libmemoman.so"
cp "$shims/libmemoman_preload.so" "$work/libmemoman_preload.so"
if [ "$profile" = release ]; then
    strip --strip-unneeded --remove-section=.comment "$work"/libmemoman{,_preload}.so
fi
place "$work/libmemoman.so" "$out/libmemoman$suffix.so.0" 755
ln -sf "libmemoman$suffix.so.0" "$out/libmemoman$suffix.so"
place "$work/libmemoman_preload.so" "$out/libmemoman_preload$suffix.so" 755
