# shellcheck shell=bash
# The scripts' common part: places, --help, result lines, temporary files. Sourced by each script.
#
#   root, target  the source tree and cargo's target folder, as absolute paths
#   work          a folder for temporary files, removed when the script ends
#   group         the group of the result lines "ok GROUP NAME", which scripts/check.sh counts

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
[ "${target#/}" != "$target" ] || target=$root/$target
script=$(basename "$0")

# usage: the comment at the head of the script. Every script prints it for --help.
usage() { sed -n '2,/^[^#]/{/^#/!q;s/^# \{0,1\}//p}' "$0"; }
case "${1:-}" in -h | --help) usage; exit 0 ;; esac

# `make -j` closes its jobserver to commands other than make, and cargo would warn of that.
unset MAKEFLAGS MFLAGS

work=$(mktemp -d)
results=$work/results
trap 'rm -rf "$work"' EXIT
: >"$results"

die() { echo "$script: $*" >&2; exit 1; }
misused() { echo "$script: $*; --help explains" >&2; exit 2; }

# Result lines, kept for `finish` wherever they are printed: in a pipe, in a background job.
ok() { echo "ok   $group $*" | tee -a "$results"; }
fail() { echo "FAIL $group $*" | tee -a "$results"; }
skip() { echo "skip $group $*" | tee -a "$results"; }
# relay: result lines of another program, from stdin.
relay() { tee -a "$results"; }
indented() { sed 's/^/       /'; }

# check NAME COMMAND…: the command succeeds. Its output is shown if it fails. PROGRESS=n runs it
# in a subshell and prints a line every n seconds until its end.
check() {
    local name=$1 status=0
    shift
    if [ -n "${PROGRESS:-}" ]; then
        "$@" >"$work/log" 2>&1 &
        watch $! "$name" || status=$?
    else
        "$@" >"$work/log" 2>&1 || status=$?
    fi
    if [ $status -eq 0 ]; then
        ok "$name"
    else
        fail "$name"
        indented <"$work/log" | tail -n 30
        return 1
    fi
}
# watch JOB NAME: waits for the job; its status.
watch() {
    local begin=$SECONDS said=0
    while kill -0 "$1" 2>/dev/null; do
        sleep 0.1
        if [ $((SECONDS - begin)) -ge $((said + PROGRESS)) ]; then
            said=$((SECONDS - begin))
            echo "     $group $2: $said s"
        fi
    done
    wait "$1"
}

# expect NAME STATUS TEXT COMMAND…: the command ends with STATUS and prints TEXT.
expect() {
    local name=$1 wanted=$2 text=$3 output status=0
    shift 3
    output=$("$@" 2>&1) || status=$?
    if [ "$status" -eq "$wanted" ] && [[ $output == *"$text"* ]]; then
        ok "$name"
    else
        output=$(tail -c 400 <<<"$output" | tr '\n' ' ')
        fail "$name status $status, wanted $wanted: $output"
    fi
}

# one_line COMMAND…: the command fails with a message of one line, which is printed.
one_line() {
    local output
    ! output=$("$@" 2>&1) && echo "$output" && [ "$(wc -l <<<"$output")" -eq 1 ]
}

# finish: the counts; fails if one result is a failure, or if there is none.
finish() {
    local passed failed
    passed=$(grep -c '^ok ' "$results") || true
    failed=$(grep -c '^FAIL ' "$results") || true
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}

# place FROM TO [MODE]: replaces TO only if its bytes differ, so that whatever is newer stays fresh.
place() { same_bytes "$1" "$2" || install -D -m "${3:-644}" "$1" "$2"; }
same_bytes() { [ -e "$2" ] && [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]; }

# swap OLD NEW FILE…: OLD becomes NEW, however the lines of OLD are broken and indented in the
# files. Prints the number of places.
swap() {
    OLD=$1 NEW=$2 perl -0pi -e '
        BEGIN { $old = join "\\s+", map { quotemeta } split " ", $ENV{OLD} }
        $n += s/$old/$ENV{NEW}/g; END { print STDERR $n + 0 }' "${@:3}" 2>&1
}

# members_with FLAG…: a RUSTC_WORKSPACE_WRAPPER with which cargo passes the flags to rustc for the
# packages of this workspace only, so that what they depend on is not built anew.
members_with() {
    local wrapper=$target/with/${*//[^a-z0-9_]/}
    printf '#!/bin/sh\nexec "$@" %s\n' "$*" >"$work/wrapper"
    place "$work/wrapper" "$wrapper" 755
    echo "$wrapper"
}

rust_host() { rustc -vV | sed -n 's/^host: //p'; }
memoman_version() {
    sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' "$root/Cargo.toml"
}
# header_functions HEADER: the functions that it declares, sorted. Without comments and preprocessor
# lines, a function is a name right before a parenthesis.
header_functions() {
    sed -e '/^#/d' -e 's|/\*.*\*/||g' -e '/\/\*/,/\*\//d' "$1" | grep -oE '\bmm_[a-z0-9_]+ *\(' |
        tr -d ' (' | sort -u
}
