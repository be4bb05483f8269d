#!/usr/bin/env bash
# The files of .github against their published schemas, which check-jsonschema carries; a job of a
# workflow runs make targets only. scripts/setup.sh check-workflows installs the tool.
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=workflows
cd "$root"

tool=$target/workflows/bin/check-jsonschema
[ -x "$tool" ] || die "target/workflows is missing: run scripts/setup.sh check-workflows"
valid() { "$tool" --builtin-schema "$1" "$2"; }
# Each command is `make` with targets and variables of this Makefile.
runs_make_only() {
    local commands target
    commands=$(sed -nE 's/^ *(- )?run: *//p' "$1")
    [ -n "$commands" ] || { echo "$1 runs nothing"; return 1; }
    ! grep -vE '^make( [A-Za-z0-9_=/.-]+)*$' <<<"$commands" || return 1
    for target in $(tr ' ' '\n' <<<"$commands" | grep -vE '^make$|='); do
        grep -q "^$target:" Makefile || { echo "no target $target in the Makefile"; return 1; }
    done
}

for file in .github/workflows/*.yml; do
    name=$(basename "$file" .yml)
    check "$name.yml" valid vendor.github-workflows "$file"
    check "$name.yml-runs-make-only" runs_make_only "$file"
    # A job without a runner, which the schema must refuse; a command that is no make target.
    sed 's/runs-on:/run-on:/' "$file" >"$work/$name.yml"
    expect "$name.yml-without-a-runner-is-refused" 1 "'runs-on' is a required property" \
        valid vendor.github-workflows "$work/$name.yml"
    sed 's/run: make /run: true /' "$file" >"$work/$name.yml"
    expect "$name.yml-with-another-command-is-refused" 1 'true ' runs_make_only "$work/$name.yml"
done
for file in .github/ISSUE_TEMPLATE/*.yml; do
    schema=vendor.github-issue-forms
    [ "${file##*/}" != config.yml ] || schema=vendor.github-issue-config
    check "${file##*/}" valid $schema "$file"
done
finish
