#!/usr/bin/env bash
# Executes the first list of docs/release.md: release-check.sh [NAME…]
# One line a check, "ok release NAME" or "FAIL release NAME"; exits with 1 if one failed.
#   release-check.sh stamp    remembers that `make check` has passed on this tree (scripts/check.sh calls it)
set -uo pipefail
case "${1:-}" in
    -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
stamp=$target/check/passed
log=$(mktemp)
trap 'rm -f "$log"' EXIT
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

clean() { [ -z "$(git status --porcelain)" ] || { git status --short; return 1; }; }

if [ "${1:-}" = stamp ]; then
    rm -f "$stamp"
    # A tree that is not committed has no name to remember.
    ! clean >/dev/null || git rev-parse 'HEAD^{tree}' >"$stamp"
    exit 0
fi

version() {
    [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$ ]] || { echo "no version in Cargo.toml: '$version'"; return 1; }
    # Nobody else states one: members take the workspace's, dependencies among them are exact and equal.
    ! grep -nE '^version *= *"' Cargo.toml crates/*/Cargo.toml | grep -v "^Cargo.toml:[0-9]*:version = \"$version\"$" || return 1
    [ "$(grep -cE '^version *= *"' Cargo.toml)" -eq 1 ] || { echo "Cargo.toml states more than one version"; return 1; }
    ! sed -n '/^\[workspace.dependencies\]/,/^\[[^w]/p' Cargo.toml | grep '^memoman-' | grep -vF "version = \"=$version\"" || return 1
    grep -qx "#define MM_VERSION_STRING \"$version\"" include/memoman.h || { echo "include/memoman.h has another version: make header"; return 1; }
}

changelog() {
    grep -qE "^## \[${version//./\\.}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
        { echo "CHANGELOG.md has no section '## [$version] - <date>'"; return 1; }
    # Headings of kinds without an entry do no harm.
    ! sed -n '/^## \[Unreleased\]/,/^## \[[0-9]/p' CHANGELOG.md | grep '^[-*] '
}

tag() { ! git rev-parse --quiet --verify "refs/tags/v$version" || { echo "v$version has been tagged"; return 1; }; }
header() { touch build.rs && MEMOMAN_HEADER=verify cargo build --quiet --package memoman; }

help() {
    local name missing=0
    for name in $(make --no-print-directory -pnq 2>/dev/null | sed -n 's/^\.PHONY: *//p'); do
        make --no-print-directory help | grep -E "^  make $name +[^ ]" >/dev/null || { echo "make $name: not in make help"; missing=1; }
    done
    return $missing
}

files() {
    local file
    for file in README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE-MIT LICENSE-APACHE docs/release.md \
        .github/PULL_REQUEST_TEMPLATE.md .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/wish.yml; do
        [ -s "$file" ] || { echo "missing: $file"; return 1; }
    done
    # The templates are forms: they must at least be YAML with what a form needs.
    python3 - .github/ISSUE_TEMPLATE/*.yml <<'PYTHON'
import re
import sys

for path in sys.argv[1:]:
    text = open(path, encoding="utf-8").read()
    if path.endswith("config.yml"):
        continue
    for key in ("name", "description", "body"):
        if not re.search(rf"^{key}:", text, re.MULTILINE):
            sys.exit(f"{path}: no {key}")
PYTHON
}

check() {
    [ -e "$stamp" ] || { echo "make check has not passed on a committed tree"; return 1; }
    [ "$(cat "$stamp")" = "$(git rev-parse 'HEAD^{tree}')" ] || { echo "make check has passed on another tree: run it again"; return 1; }
}

crates() { scripts/rust-crates.sh publish; }
embedded() { scripts/embedded.sh; }
docs() { scripts/docs.sh check && scripts/docs.sh build; }

# The names, in the list's order.
listed=$(sed -n '/^## Checked/,/^## By hand/s/^[0-9]*\. \*\*\([a-z-]*\)\*\*:.*/\1/p' docs/release.md)
[ $# -gt 0 ] || set -- $listed
failures=0
[ $# -gt 0 ] || { echo "FAIL release docs/release.md names no check"; exit 1; }
for name in "$@"; do
    if ! grep -qx "$name" <<<"$listed" || ! declare -F "$name" >/dev/null; then
        echo "FAIL release $name: the list and scripts/release-check.sh do not agree on it"
        failures=$((failures + 1))
    elif "$name" >"$log" 2>&1; then
        echo "ok   release $name"
    else
        echo "FAIL release $name"
        grep -E '^(FAIL|skip)' "$log" | sed 's/^/       /'
        grep -vE '^(ok|FAIL|skip) ' "$log" | sed 's/^/       /' | tail -12
        failures=$((failures + 1))
    fi
done
[ $failures -eq 0 ]
