#!/usr/bin/env bash
# What `make check` runs: format, lints, Rust tests, the C suite in every variant, the shim, the
# artefacts, packages, documentation, real programs. One line a step, one table at the end; logs in
# target/check/. Fails on any failure, and on a step without a test. scripts/setup.sh check installs
# its tools. CHECK_LIMIT=n: seconds after which a step has failed (900).
set -uo pipefail
. "$(dirname "$0")/lib.sh"
cd "$root"

logs=$target/check
results=$logs/results.tsv # variant, group, name, result, separated by tabs
began=$SECONDS
limit=${CHECK_LIMIT:-900}
running=
# A step is a process group of its own.
trap '[ -z "$running" ] || kill "$running" 2>/dev/null; exit 130' INT TERM
mkdir -p "$logs"
rm -f "$logs/passed"
: >"$results"

note() { printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$results"; }

# step NAME COUNTER COMMAND…: runs COMMAND; COUNTER turns the log of its output into results.
step() {
    local name=$1 counter=$2 log=$logs/$1.log start=$SECONDS status before failed
    shift 2
    printf '%5ds  %-12s ' $((SECONDS - began)) "$name"
    before=$(wc -l <"$results")
    timeout "$limit" "$@" >"$log" 2>&1 </dev/null &
    running=$!
    wait $running
    status=$?
    [ $status -ne 124 ] || echo "check: not finished after $limit s" >>"$log"
    "$counter" "$log" "$name" $status
    failed=$(tail -n +$((before + 1)) "$results" | grep -c "	FAILED$")
    if [ "$(wc -l <"$results")" -eq "$before" ]; then
        note step "$name" "ran_no_tests" FAILED
        failed=1
    elif [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
        note step "$name" "exit_status_$status" FAILED
        failed=1
    fi
    if [ "$failed" -eq 0 ]; then
        printf 'ok, %d tests, %d s\n' $(($(wc -l <"$results") - before)) $((SECONDS - start))
    else
        printf 'FAILED, %d s; %s ends:\n' $((SECONDS - start)) "$log"
        tail -n 40 "$log" | sed 's/^/        | /'
    fi
}

# The whole command is one test.
by_status() {
    local result=ok
    [ "$3" -eq 0 ] || result=FAILED
    note lint lint "$2" $result
}

# `cargo test`: a name with group_x_ in it belongs to that group of the corner cases, others to
# their crate.
by_cargo() {
    awk -F '\t' '
        /^ *Running / { crate = $0; sub(/.*deps\//, "", crate); sub(/-[0-9a-f]*\).*/, "", crate) }
        /^ *Doc-tests / { crate = "doc" }
        /^test .* \.\.\. / && !/^test result/ {
            line = $0; sub(/^test /, "", line)
            result = line; sub(/.* \.\.\. /, "", result)
            sub(/ \.\.\. .*/, "", line); gsub(/[ \t]/, "_", line)
            group = crate
            if (match(line, /group_[a-l]_/)) group = toupper(substr(line, RSTART + 6, 1))
            outcome = result ~ /^ok/ ? "ok" : result ~ /^ignored/ ? "skipped" : "FAILED"
            printf "rust\t%s\t%s\t%s\n", group, line, outcome
        }' "$1" >>"$results"
}

by_cargo_and_lines() { by_cargo "$@" && by_lines "$@"; }

# The harness writes its results itself.
by_harness() { cat "$target/c_suite/results.tsv" >>"$results" 2>/dev/null; }

# Lines "ok GROUP NAME", "FAIL GROUP NAME why", "skip GROUP NAME why".
by_lines() {
    awk '
        NF < 3 { next }
        $1 == "ok" { printf "other\t%s\t%s\tok\n", $2, $3 }
        $1 == "FAIL" { printf "other\t%s\t%s\tFAILED\n", $2, $3 }
        $1 == "skip" {
            group = $2; name = $3; $1 = $2 = $3 = ""; gsub(/\t/, " ")
            printf "other\t%s\t%s:%s\tskipped\n", group, name, $0
        }' "$1" >>"$results"
}

# The groups in the table's order, with titles where the name says too little.
groups='A size arithmetic|B alignment|C pools|D extend|E fit|F split and coalesce|G realloc
H process level, under LD_PRELOAD|I corruption|J accounting|input bad input|misuse|inspect
two two allocators at once|stress|global global wrapper|threads|fork
sanitizer sanitizers: bugs reported|artefacts exported symbols, sizes|debugger gdb and lldb
build make with little on PATH|programs unmodified programs|examples|crates Rust packages
docs code blocks, links, tables|workflows|fuzz fuzz corpora, planted bugs|soak soak, short|install
coverage lines of the core, by its tests|symbolic compiled library, some scenes
mutants the committed record|planted places of the planted bugs|text columns, words
plots figures equal their data|see real programs: trace to pool|lint format, clippy, provenance'

table() {
    tr '|' '\n' <<<"$groups" | awk -F '\t' '
        FNR == NR { group = $0; sub(/ .*/, "", group); order[++count] = group; known[group] = 1
            title[group] = substr($0, length(group) + 2); next }
        {
            if (!known[$2]) { known[$2] = 1; order[++count] = $2 }
            column = $1 ~ /^(rust|plain|dev|asan|tsan)$/ ? $1 : "other"
            if ($4 == "ok") { cell[$2, column]++; passed[$2]++; all++ }
            else if ($4 == "skipped") {
                skipped[$2]++; skips++; skip_names = skip_names "  skipped: " $2 " " $3 "\n"
            } else {
                failed[$2]++; failures++; names = names "  FAILED: " $1 " " $2 " " $3 "\n"
            }
        }
        END {
            cells = "%-16s %-34s %5s %5s %5s %5s %5s %5s |"
            printf "\n" cells " %6s %6s %7s\n", "group", "", "rust", "plain", "dev", "asan", "tsan",
                "other", "passed", "failed", "skipped"
            for (i = 1; i <= count; i++) {
                g = order[i]
                printf cells " %6d %6d %7d\n", g, title[g], cell[g, "rust"], cell[g, "plain"],
                    cell[g, "dev"], cell[g, "asan"], cell[g, "tsan"], cell[g, "other"],
                    passed[g], failed[g], skipped[g]
            }
            printf "%s%s%d skipped\n%d passed, %d failed\n", names, skip_names, skips, all, failures
        }' - "$results"
}

# required VARIANT GROUP…: each group has passed a test in that variant, or in `any` of them.
required() {
    local variant=$1 group
    shift
    for group in "$@"; do
        awk -F '\t' -v v="$variant" -v g="$group" \
            '$2 == g && $4 == "ok" && (v == "any" || $1 == v) { found = 1 } END { exit !found }' \
            "$results" || note "$variant" "$group" none_passed FAILED
    done
}

step format by_status cargo fmt --all --check
step text by_lines scripts/check_text.py
# In the folder and the profile of the other tests, so that packages of both are compiled once.
step plots by_cargo cargo test --locked --manifest-path benches/Cargo.toml --package plots \
    --target-dir "$target" --config profile.test.opt-level=1
step clippy by_status cargo clippy --workspace --all-targets --features memoman/header --quiet -- \
    -D warnings
step provenance by_status env RUSTC_BOOTSTRAP=1 \
    RUSTFLAGS="-Zcrate-attr=feature(strict_provenance_lints) -Dfuzzy_provenance_casts \
-Dlossy_provenance_casts" cargo check --quiet -p memoman-core --target-dir "$target/provenance"
step rust by_cargo cargo test -p memoman-debug -p memoman-global
# With the features of the shim, which has no tests of its own in Rust.
step shim-rust by_cargo cargo test -p memoman-global --features announced-threads,late-checks \
    --lib --test mappings --test kept --test full_table --test settings --test places \
    --test threads --test destructors
step tools by_cargo cargo test -p memoman-trace-format -p memoman-trace -p memoman-cli
step core by_cargo_and_lines scripts/coverage.sh
step core-docs by_cargo cargo test --doc -p memoman-core --features allocator-api2,critical-section
step small by_cargo env RUSTC_WORKSPACE_WRAPPER="$(members_with --cfg memoman_small)" \
    RUSTDOCFLAGS="--cfg memoman_small" cargo test -p memoman-core
step crates by_lines scripts/rust-crates.sh quick
step lock-model by_cargo env RUSTFLAGS="${RUSTFLAGS:-} --cfg loom" \
    cargo test -p memoman-global --test '*_model' \
    --target-dir "$target/loom"
rm -f "$target/c_suite/results.tsv"
step c-suite by_harness cargo test -p memoman-tests
debug=(env RUSTFLAGS="${RUSTFLAGS:-} --cfg memoman_debug -Cforce-frame-pointers=yes"
    CARGO_TARGET_DIR="$target/memoman-debug")
step debug-lint by_status "${debug[@]}" cargo clippy --quiet --all-targets -p memoman \
    -p memoman-debug -p memoman-global -p memoman-preload -- -D warnings
step debug-rust by_cargo "${debug[@]}" cargo test -p memoman-global --lib --test debugged
step debug by_lines scripts/check-debug.sh
step fuzz by_lines scripts/fuzz.sh replay
step soak by_lines scripts/soak.sh check
step library by_status scripts/build-lib.sh dist release
step artefacts by_lines scripts/check-artifacts.sh dist
step debugger by_lines scripts/check-debugger.sh dist
step build by_lines scripts/check-build.sh
step headers by_lines scripts/check-headers.sh dist
step install by_lines scripts/check-install.sh dist
step see by_lines scripts/see.sh quick
step realtime by_lines scripts/rtsan.sh dist
step programs by_lines scripts/programs.sh check dist
step examples by_lines examples/run.sh dist
step docs by_lines scripts/docs.sh check
step workflows by_lines scripts/check-workflows.sh
step 32-bit by_cargo scripts/other-targets.sh check i686 quick
step symbolic by_lines scripts/symbolic.sh dist quick
step mutants by_lines python3 scripts/mutants_report.py --committed
step planted by_lines scripts/planted.sh --places

# Every group of the corner cases must have been tested, where it can be.
for variant in plain dev asan; do
    required $variant A B C D E F G I J input misuse inspect dump observe record two stress global \
        threads fork
done
required tsan two threads fork
required any H sanitizer text plots artefacts debugger build programs fuzz soak install examples \
    crates docs workflows coverage symbolic mutants planted see
printf '%5ds  done; logs in %s\n' $((SECONDS - began)) "$logs"
table
! grep -q '	FAILED$' "$results" && scripts/release-check.sh stamp
