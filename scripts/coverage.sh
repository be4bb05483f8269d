#!/usr/bin/env bash
# Line coverage of memoman-core by its own tests: scripts/coverage.sh [MINIMUM]
#
# One line for each file and the total; fails if the total is below MINIMUM percent (98). Modules of
# tests are not counted, because a test covers itself. COVERAGE_LINES=1 also lists the lines that no
# test ran, COVERAGE_TESTS=1 prints the output of the tests.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

minimum=${1:-98}
package=memoman-core
sources=crates/$package/src
target=$target/coverage
mkdir -p "$target"
rm -f "$target"/*.profraw

export CARGO_TARGET_DIR=$target CARGO_INCREMENTAL=0
export RUSTFLAGS="-Cinstrument-coverage -Cdebuginfo=0"
export LLVM_PROFILE_FILE="$target/%p-%m.profraw"
features=allocator-api2,allocator-api2-02,allocator-api2-03,critical-section
tests=(cargo test -p $package --features "$features" --lib --tests)
"${tests[@]}" >"$target/tests.log" 2>&1 || {
    cat "$target/tests.log" >&2
    die "the tests fail"
}
[ "${COVERAGE_TESTS:-0}" = 0 ] || cat "$target/tests.log"

# The test programs, as cargo names them.
mapfile -t programs < <("${tests[@]}" --quiet --no-run --message-format=json |
    grep -o '"executable":"[^"]*"' | cut -d '"' -f 4)
llvm-profdata-22 merge -sparse "$target"/*.profraw -o "$target/all.profdata"
# One report for each program: in a joint one, a function that one program lacks loses its counts.
for program in "${programs[@]}"; do
    llvm-cov-22 export -format=lcov -instr-profile="$target/all.profdata" "$program" \
        -sources "$root/$sources" 2>>"$target/cov.log"
done >"$target/lcov.info"

# shellcheck disable=SC2016
awk -v minimum="$minimum" -v lines="${COVERAGE_LINES:-0}" '
    /^SF:/ {
        path = substr($0, 4); name = path; sub(/.*\/src\//, "", name)
        if (name in tests) next
        if (path ~ /[_\/]tests\.rs$|\/src\/(corruption|tests)\//) { tests[name] = 1; next }
        files[++count] = name; number = 0; tests[name] = 0
        while ((getline text < path) > 0) {
            number++
            if (text ~ /^mod tests [{]/) tests[name] = number
        }
        close(path)
    }
    /^DA:/ {
        split(substr($0, 4), part, ",")
        if (tests[name] && part[1] >= tests[name]) next
        if (!((name, part[1]) in hits)) {
            hits[name, part[1]] = 0; all[name]++; total++; places[name] = places[name] " " part[1]
        }
        if (part[2] > 0 && !hits[name, part[1]]) { hits[name, part[1]] = 1; run[name]++; ran++ }
    }
    END {
        for (i = 1; i <= count; i++) {
            name = files[i]
            if (all[name]) printf "coverage %-14s %6.2f  %d of %d lines\n", name,
                100 * run[name] / all[name], run[name], all[name]
        }
        if (!total) { print "coverage: no line was measured"; exit 1 }
        printf "coverage %-14s %6.2f  %d of %d lines, at least %s\n", "total",
            100 * ran / total, ran, total, minimum
        for (i = 1; lines && i <= count; i++) {
            last = split(places[files[i]], place, " ")
            for (j = 1; j <= last; j++)
                if (!hits[files[i], place[j]]) printf "missed   %s:%d\n", files[i], place[j]
        }
        below = 100 * ran / total < minimum
        printf "%s coverage core %.2f %% of lines\n", below ? "FAIL" : "ok", 100 * ran / total
        exit below
    }' "$target/lcov.info"
