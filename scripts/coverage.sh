#!/usr/bin/env bash
# Line coverage of memoman-core by its own tests: scripts/coverage.sh [MINIMUM]
#
# The tests' output, one line for each file, and the total; fails if the total is below MINIMUM
# percent (98). Tests are not counted, because a test covers itself. COVERAGE_LINES=1 also lists the
# lines that no test ran.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

package=memoman-core
folder=$target/coverage
rm -rf "$folder"
mkdir -p "$folder"
export LLVM_PROFILE_FILE="$folder/%p-%m.profraw" CARGO_INCREMENTAL=0
RUSTC_WORKSPACE_WRAPPER=$(members_with -Cinstrument-coverage -Cdebuginfo=0)
export RUSTC_WORKSPACE_WRAPPER
features=allocator-api2,allocator-api2-02,allocator-api2-03,critical-section
cargo test -p $package --features "$features" --lib --tests 2>&1 | tee "$folder/tests.log" ||
    die "the tests fail"

llvm-profdata-22 merge -sparse "$folder"/*.profraw -o "$folder/all.profdata"
# One report for each program: in a joint one, a function that one program lacks loses its counts.
sed -n 's/^ *Running .*(\(.*\))$/\1/p' "$folder/tests.log" | while read -r program; do
    llvm-cov-22 export -format=lcov -instr-profile="$folder/all.profdata" "$program" \
        -ignore-filename-regex='/tests/' -sources "$root/crates/$package/src" 2>>"$folder/cov.log"
done >"$folder/lcov.info"

awk -v minimum="${1:-98}" -v lines="${COVERAGE_LINES:-0}" '
    function row(name, ran, all) {
        printf "coverage %-22s %6.2f  %d of %d lines\n", name, 100 * ran / all, ran, all | "sort"
    }
    /^SF:/ { file = $0; sub(/.*\/src\//, "", file) }
    /^DA:/ {
        split(substr($0, 4), part, ",")
        line = file ":" part[1]
        if (!(line in hits)) { hits[line] = 0; all[file]++; total++ }
        if (part[2] > 0 && !hits[line]) { hits[line] = 1; run[file]++; ran++ }
    }
    END {
        if (!total) { print "coverage: no line was measured"; exit 1 }
        for (file in all) row(file, run[file], all[file])
        for (line in hits) if (lines && !hits[line]) print "missed   " line | "sort"
        close("sort")
        row("total", ran, total)
        close("sort")
        below = 100 * ran / total < minimum
        printf "%s coverage core %.2f %% of lines, at least %s\n", below ? "FAIL" : "ok",
            100 * ran / total, minimum
        exit below
    }' "$folder/lcov.info"
