#!/usr/bin/env bash
# Executes the first list of docs/release.md: scripts/release-check.sh [NAME…]
#
#   scripts/release-check.sh stamp   records that `make check` has passed on this tree
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=release
cd "$root"
stamp=$target/check/passed
version=$(memoman_version)

release_clean() { [ -z "$(git status --porcelain)" ] || { git status --short; return 1; }; }

if [ "${1:-}" = stamp ]; then
    rm -f "$stamp"
    # A tree with uncommitted changes has no name to record.
    ! release_clean >/dev/null || git rev-parse 'HEAD^{tree}' >"$stamp"
    exit 0
fi

# unless TEXT COMMAND…: TEXT if the command fails.
unless() { "${@:2}" || { echo "$1"; return 1; }; }

# One version: members take the workspace's, dependencies among them are exact and equal.
release_version() {
    local stated='^version *= *"'
    [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] ||
        { echo "no version in Cargo.toml: '$version'"; return 1; }
    ! grep -nE "$stated" Cargo.toml crates/*/Cargo.toml |
        grep -v "^Cargo.toml:[0-9]*:version = \"$version\"$" || return 1
    unless "Cargo.toml states more than one version" \
        [ "$(grep -cE "$stated" Cargo.toml)" -eq 1 ] || return 1
    ! sed -n '/^\[workspace.dependencies\]/,/^\[[^w]/p' Cargo.toml | grep '^memoman-' |
        grep -vF "version = \"=$version\"" || return 1
    unless "include/memoman.h has another version: make header" \
        grep -qx "#define MM_VERSION_STRING \"$version\"" include/memoman.h
}

release_changelog() {
    unless "CHANGELOG.md has no section '## [$version] - <date>'" \
        grep -qE "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md || return 1
    # Headings without an entry do no harm.
    ! sed -n '/^## \[Unreleased\]/,/^## \[[0-9]/p' CHANGELOG.md | grep '^[-*] '
}

release_tag() {
    ! git rev-parse --quiet --verify "refs/tags/v$version" ||
        { echo "v$version has been tagged"; return 1; }
}

release_header() { cargo check --quiet --package memoman --features header; }

release_help() {
    local name missing=0
    make --no-print-directory help >"$work/help"
    for name in $(sed -nE 's/^([a-z0-9-]+):.*/\1/p' Makefile); do
        grep -qE "^  make $name +[^ ]" "$work/help" ||
            { echo "make $name: not in make help"; missing=1; }
    done
    return $missing
}

release_files() {
    local file
    for file in README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE-MIT LICENSE-APACHE \
        docs/release.md .github/PULL_REQUEST_TEMPLATE.md .github/ISSUE_TEMPLATE/{bug,wish}.yml; do
        [ -s "$file" ] || { echo "missing: $file"; return 1; }
    done
    scripts/check-workflows.sh
}

release_check() {
    unless "make check has not passed on a committed tree" [ -e "$stamp" ] &&
        unless "make check has passed on another tree: run it again" \
            [ "$(cat "$stamp")" = "$(git rev-parse 'HEAD^{tree}')" ]
}

release_crates() { scripts/rust-crates.sh publish; }
release_embedded() { scripts/embedded.sh; }
release_docs() { scripts/docs.sh check && scripts/docs.sh build; }

# The names, in the list's order.
list='/^## Checked/,/^## By hand/s/^[0-9]*\. \*\*\([a-z-]*\)\*\*:.*/\1/p'
listed=$(sed -n "$list" docs/release.md)
# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $listed
for name in "$@"; do
    if ! grep -qx "$name" <<<"$listed" || ! declare -F "release_$name" >/dev/null; then
        fail "$name: not in both docs/release.md and scripts/release-check.sh"
    elif "release_$name" >"$work/log" 2>&1; then
        ok "$name"
    else
        fail "$name"
        grep -E '^(FAIL|skip)' "$work/log" | indented
        grep -vE '^(ok|FAIL|skip) ' "$work/log" | indented | tail -n 12
    fi
done
finish
