#!/usr/bin/env bash
# Random traffic over the handle API, the global wrapper and the shim, one after the other, with live figures, until the
# time or the operations are over. Exits with 1 on a finding, which names its seed and operation. From the environment
# (`make soak` takes SECONDS for the first):
#
#   SOAK_SECONDS=n  seconds in all (60)           OPS=n     operations of each front instead of a time
#   SEED=n          the first round's seed (1)    SAN=asan  Rust and C under AddressSanitizer, the C side under UBSan too
#   FRONT=name      handle, global or shim only
#
# scripts/soak.sh check: a short run, and an overwritten byte that must be found, twice in the same operation.
set -euo pipefail
seconds=${SOAK_SECONDS:-60}
cd "$(dirname "$0")/.."
if [ "${1:-}" = --help ]; then
    sed -n '2,11s/^# \{0,1\}//p' "$0"
    exit 0
fi

target=${CARGO_TARGET_DIR:-target}
out=$target/soak
mkdir -p "$out"
out=$(cd "$out" && pwd)
if [ "${1:-}" = check ]; then
    OPS=${OPS:-300000}
fi
[ -z "${OPS:-}" ] || seconds=0
sources=(c_tests/soak/soak.c c_tests/support/*.c)
warnings=(-std=gnu11 -g -Wall -Wextra -Werror -I include -I c_tests/support)

case ${SAN:-} in
    '')
        scripts/build-lib.sh "$out/lib" release
        install -t "$out" "$out/lib/libmemoman.a" "$out/lib/libmemoman_preload.so"
        program=$out/soak
        gcc "${warnings[@]}" -O3 "${sources[@]}" "$out/libmemoman.a" -lpthread -ldl -o "$program"
        shim=$out/libmemoman_preload.so
        ;;
    asan)
        host=$(rustc -vV | sed -n 's/^host: //p')
        # Instrumented, so it must not see its own marks: they are for the released library.
        RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_OPT_LEVEL=2 \
            RUSTFLAGS="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer --cfg memoman_instrumented -Cforce-frame-pointers=yes" \
            cargo build --quiet --package memoman --package memoman-preload --target "$host" --target-dir "$target/asan"
        install "$target/asan/$host/debug/libmemoman.a" "$out/libmemoman-asan.a"
        install "$target/asan/$host/debug/libmemoman_preload.so" "$out/libmemoman_preload-asan.so"
        program=$out/soak-asan
        gcc "${warnings[@]}" -O2 -fsanitize=address,undefined -fno-sanitize-recover=all "${sources[@]}" \
            "$out/libmemoman-asan.a" -lpthread -ldl -lm -o "$program"
        shim=$out/libmemoman_preload-asan.so
        ;;
    *)
        echo "soak.sh: SAN is '$SAN': asan, or nothing" >&2
        exit 2
        ;;
esac

fronts=(${FRONT:-handle global shim})
echo "soak: ${program##*/}, seed ${SEED:-1}, ${OPS:-no limit of} operations, $seconds s; commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
export MM_SEED=${SEED:-1} MM_OPS=${OPS:-0} SOAK_SHIM=$shim MM_LOG_DIR=$out
export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1
unset MEMOMAN_RESERVE MEMOMAN_GROW MEMOMAN_LOCK MEMOMAN_STATS LD_PRELOAD

# A byte of a live block is overwritten from some operation on: each front must say so, the same each time.
check() {
    local front seed first second
    for front in "${fronts[@]}"; do
        if SOAK_BREAK=20000 MM_OPS=$((3 << 20)) "$program" "soak_$front" >"$out/first" 2>&1; then
            echo "FAIL soak $front-finds-an-overwritten-byte nothing found"
            status=1
            continue
        fi
        first=$(grep '^FAIL soak' "$out/first") || true
        # Again, as its line says: from the round's own seed.
        seed=$(sed -nE 's/.*seed ([0-9]+), operation.*/\1/p' <<<"$first")
        SOAK_BREAK=20000 MM_SEED=${seed:-0} MM_OPS=$((3 << 20)) "$program" "soak_$front" >"$out/second" 2>&1 || true
        second=$(grep '^FAIL soak' "$out/second") || true
        if [ -n "$first" ] && [ "${first#*[}" = "${second#*[}" ]; then
            echo "ok soak $front-finds-an-overwritten-byte ($first)"
        else
            echo "FAIL soak $front-finds-an-overwritten-byte '$first' against '$second'"
            status=1
        fi
    done
}

status=0
if [ "${1:-}" = check ]; then
    check
fi
for front in "${fronts[@]}"; do
    if ! SOAK_SECONDS=$(((seconds + ${#fronts[@]} - 1) / ${#fronts[@]})) "$program" "soak_$front"; then
        echo "soak: FOUND in $front; the line above names seed and operation: make soak ${SAN:+SAN=$SAN }FRONT=$front SEED=<seed> OPS=<operation>"
        status=1
    fi
done
[ $status -eq 0 ] && echo "soak: nothing found"
exit $status
