#!/usr/bin/env bash
# The long form of every check, one step after the other: `make verify`, `make verify ONLY=soak`.
#
#   scripts/verify.sh         a line for each step, then a table of what each has shown; logs in
#                             target/verify/. A step fails if its log does not show that it ran.
#   scripts/verify.sh --list  the steps' names, for ONLY
#
# From the environment:
#   FUZZ_SECONDS=n       of fuzzing in all (600)
#   SOAK_OPS=n           operations of the soak on each of its three fronts, plain (334000000); a
#                        tenth under the sanitizers
#   WITHSTAND_SECONDS=n  of 64 threads with forks between, in each build of the library (600)
#   CORRUPTIONS=n        heaps with random damage, and most places for each corruption of the
#                        catalogue (1000000)
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

logs=$target/verify
only=" ${ONLY:-} "
ops=${SOAK_OPS:-334000000} corruptions=${CORRUPTIONS:-1000000}
rows=() known=" " failures=0 list=0
[ "${1:-}" != --list ] || list=1
mkdir -p "$logs"

# step NAME PROOF COMMAND…: runs COMMAND, unless ONLY names other steps. The last line of its log
# that matches PROOF is the step's result; without one it has shown nothing.
step() {
    local name=$1 proof=$2 log=$logs/$1.log start=$SECONDS result=ok status shown
    shift 2
    known+="$name "
    if [ $list -eq 1 ]; then
        echo "$name"
        return
    fi
    [[ $only =~ ^\ *$ || $only == *" $name "* ]] || return 0
    printf '%6ds  %-12s ' $SECONDS "$name"
    "$@" >"$log" 2>&1 </dev/null
    status=$?
    shown=$(grep -aE -- "$proof" "$log" | tail -n 1 | tr -s ' \r' '  ' | cut -c 1-110)
    if [ $status -ne 0 ]; then
        result=FAILED shown="exit status $status; $log"
    elif [ -z "$shown" ]; then
        result=FAILED shown="no line of $log shows that it ran"
    fi
    printf '%s, %d s\n' "$result" $((SECONDS - start))
    rows+=("$(printf '%-12s %-6s %6d s  %s' "$name" $result $((SECONDS - start)) "$shown")")
    [ "$result" = ok ] && return
    failures=$((failures + 1))
    tail -n 20 "$log" | sed 's/^/        | /'
}

make=(make --no-print-directory)
step models '^pools .*complete' "${make[@]}" verify-models
step corruption '^(catalogue: [1-9]|[1-9][0-9]* words of )' \
    env MEMOMAN_PLACES="$corruptions" MEMOMAN_CORRUPTIONS="$corruptions" \
    cargo test --release -p memoman-core --lib group_i -- --nocapture
step damage '^[1-9][0-9]* heaps damaged' env MM_ROUNDS="$corruptions" \
    cargo test --release -p memoman-core --test damage -- --nocapture
step lives '^[1-9][0-9]* headers damaged' env MM_ROUNDS="$corruptions" \
    cargo test --release -p memoman-core --test lives -- --nocapture
step loom '^test result: ok[.] [1-9]' \
    env MEMOMAN_PREEMPTIONS=2 RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" \
    cargo test --release -p memoman-global --test '*_model' \
    --target-dir "$target/loom"
step symbolic '^ok +symbolic mm_realloc_aligned_gives.*[(][1-9]' "${make[@]}" symbolic
step proof '^[1-9][0-9]* passed, 0 failed' "${make[@]}" proof
step rtsan '^ok +realtime planted_in_rust_is_reported' "${make[@]}" rtsan
step constant '^constant [a-z]+.* [1-9][0-9]* [1-9]' "${make[@]}" constant
step check-32 '^total +i686 +[1-9][0-9]* +0 +[0-9]+$' "${make[@]}" check-32
step small-32 '^total +i686-small +[1-9][0-9]* +0 +[0-9]+$' \
    scripts/other-targets.sh check i686-small
step check-arm '^total +arm +[1-9][0-9]* +0 +[0-9]+$' "${make[@]}" check-arm
step check-riscv64 '^[1-9][0-9]* passed, 0 failed' "${make[@]}" check-linux TARGET=riscv64
step check-s390x '^[1-9][0-9]* passed, 0 failed' "${make[@]}" check-linux TARGET=s390x
step check-aarch64 '^[1-9][0-9]* passed, 0 failed' "${make[@]}" check-linux TARGET=aarch64
step check-windows '^[1-9][0-9]* passed, 0 failed' "${make[@]}" check-windows
step firmware '^[1-9][0-9]* passed, 0 failed' "${make[@]}" firmware-archives
step check-wasm '^ok +wasm misuse_without_a_handler_traps' "${make[@]}" check-wasm
step check-embedded '^ok +embedded variables-of-firmware' "${make[@]}" check-embedded
step check-crates '^ok +crates publish-dry-run' "${make[@]}" check-crates
step coverage '^coverage total +[1-9]' "${make[@]}" coverage
step planted '^[1-9][0-9]* planted, 0 not caught' "${make[@]}" planted
step install '^[1-9][0-9]* passed, 0 failed' "${make[@]}" check-install
step docs-look '^[1-9][0-9]* passed, 0 failed' "${make[@]}" docs-look
step fuzz '^fuzz: [a-z]+ +[1-9].* of ' "${make[@]}" fuzz SECONDS="${FUZZ_SECONDS:-600}"
step hostile '^test result: ok[.] [1-9]' env MEMOMAN_HOSTILE=2000 \
    cargo test -p memoman-cli --test hostile
step see '^[1-9][0-9]* passed, 0 failed' "${make[@]}" see
step soak '^soak shim +[1-9][0-9]* operations' "${make[@]}" soak OPS="$ops"
step soak-asan '^soak shim +[1-9][0-9]* operations' \
    "${make[@]}" soak OPS=$((ops / 10 + 1)) SAN=asan
step withstand '^test result: ok[.] [1-9]' \
    env MM_SECONDS="${WITHSTAND_SECONDS:-600}" MEMOMAN_VARIANTS=plain,asan,tsan \
    cargo test -p memoman-tests -- H_linked_withstand
step withstand-shim '^test result: ok[.] [1-9]' \
    env MM_SECONDS="${WITHSTAND_SECONDS:-600}" MEMOMAN_VARIANTS=preload,preload-debug \
    cargo test -p memoman-tests -- H_withstand
step mutants '^mutants .* total ' "${make[@]}" mutants

[ $list -eq 0 ] || exit 0
for name in ${ONLY:-}; do
    [[ $known == *" $name "* ]] || misused "no step '$name': --list names them"
done
printf '\n%-12s %-6s %8s  %s\n' step result time shown
printf '%s\n' "${rows[@]}"
printf '%d steps, %d failed, %d s; commit %s\n' ${#rows[@]} $failures $SECONDS \
    "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
[ ${#rows[@]} -gt 0 ] && [ $failures -eq 0 ]
