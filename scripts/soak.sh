#!/usr/bin/env bash
# Random traffic over the handle API, the global wrapper and the shim, one after the other, with
# live figures, until the time or the operations are over. A finding names its seed and operation.
#
#   scripts/soak.sh        from the environment (`make soak` takes SECONDS for the first):
#     SOAK_SECONDS=n  seconds in all (60)         OPS=n     operations of each front, not a time
#     SEED=n          the first round's seed (1)  SAN=asan  AddressSanitizer; UBSan for the C side
#     FRONT=name      handle, global or shim only
#   scripts/soak.sh check  a short run; an overwritten byte must be found, twice in one operation
set -euo pipefail
. "$(dirname "$0")/lib.sh"
group=soak
cd "$root"
seconds=${SOAK_SECONDS:-60}
mode=${1:-run}
case $mode in run | check) ;; *) misused "check, or nothing" ;; esac

out=$target/soak
mkdir -p "$out"
[ $mode = run ] || OPS=${OPS:-300000}
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
        host=$(rust_host)
        # memoman_instrumented: without the marks for memory checkers.
        flags="-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer"
        RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_OPT_LEVEL=2 \
            RUSTFLAGS="$flags --cfg memoman_instrumented -Cforce-frame-pointers=yes" \
            cargo build --quiet --package memoman --package memoman-preload --target "$host" \
            --target-dir "$target/asan"
        install "$target/asan/$host/debug/libmemoman.a" "$out/libmemoman-asan.a"
        install "$target/asan/$host/debug/libmemoman_preload.so" "$out/libmemoman_preload-asan.so"
        program=$out/soak-asan
        gcc "${warnings[@]}" -O2 -fsanitize=address,undefined -fno-sanitize-recover=all \
            "${sources[@]}" "$out/libmemoman-asan.a" -lpthread -ldl -lm -o "$program"
        shim=$out/libmemoman_preload-asan.so
        ;;
    *) misused "SAN is '$SAN': asan, or nothing" ;;
esac

read -ra fronts <<<"${FRONT:-handle global shim}"
echo "soak: ${program##*/}, seed ${SEED:-1}, ${OPS:-no limit of} operations, $seconds s;" \
    "commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
export MM_SEED=${SEED:-1} MM_OPS=${OPS:-0} SOAK_SHIM=$shim MM_LOG_DIR=$out
export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:abort_on_error=1
unset MEMOMAN_RESERVE MEMOMAN_GROW MEMOMAN_LOCK MEMOMAN_STATS LD_PRELOAD

# A byte of a live block is overwritten from some operation on: each front must find it, twice in
# the same operation.
broken() { # FRONT SEED: prints the finding.
    SOAK_BREAK=20000 MM_SEED=$2 MM_OPS=$((3 << 20)) "$program" "soak_$1" 2>&1 |
        grep '^FAIL soak' || true
}
finds_an_overwritten_byte() {
    local first second seed
    first=$(broken "$1" "$MM_SEED")
    # The second time from the round's own seed, which the finding names.
    seed=$(sed -nE 's/.*seed ([0-9]+), operation.*/\1/p' <<<"$first")
    second=$(broken "$1" "${seed:-0}")
    echo "$first"
    echo "$second"
    [ -n "$first" ] && [ "${first#*[}" = "${second#*[}" ]
}

status=0
for front in "${fronts[@]}"; do
    [ $mode = run ] || check "$front-finds-an-overwritten-byte" \
        finds_an_overwritten_byte "$front" || status=1
done
export SOAK_SECONDS=$(((seconds + ${#fronts[@]} - 1) / ${#fronts[@]}))
for front in "${fronts[@]}"; do
    if ! "$program" "soak_$front"; then
        echo "soak: FOUND in $front; the line above names seed and operation:" \
            "make soak ${SAN:+SAN=$SAN }FRONT=$front SEED=<seed> OPS=<operation>"
        status=1
    fi
done
[ $status -ne 0 ] || echo "soak: nothing found"
exit $status
