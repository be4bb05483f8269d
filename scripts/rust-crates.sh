#!/usr/bin/env bash
# What crates.io and docs.rs would do with the crates: scripts/rust-crates.sh quick|publish
#
#   quick    documentation without warnings, an example for each public item, what each package contains, the Rust version
#            that is asked for, the examples
#   publish  the same, and `cargo publish --dry-run`, which builds each package as crates.io would (takes a minute, and
#            needs the network)
# One line a check, "ok crates …" or "FAIL crates …"; exits with 1 if one failed.
set -uo pipefail
mode=${1:-}
case $mode in
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    quick | publish) ;;
    *) echo "rust-crates.sh: quick or publish; --help explains" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
crates=(memoman-core memoman-debug memoman-global)
features=(--features memoman-core/allocator-api2)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$work/log
failures=0

check() { # NAME COMMAND…: its output is shown when it fails.
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok   crates $name"
    else
        echo "FAIL crates $name"
        sed 's/^/       /' "$log" | head -30
        failures=$((failures + 1))
    fi
}

documentation() { RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps "${features[@]}" "${crates[@]/#/--package=}"; }

# A link to a hidden item is no warning of rustdoc's, but stays in the page as text.
links_are_resolved() {
    local crate
    for crate in "${crates[@]//-/_}"; do python3 docs/tools/links.py --rustdoc "$target/doc/$crate" || return 1; done
}

# rustdoc lists the items; its switch is named for the nightly toolchain.
every_item_has_an_example() {
    local crate=$1
    shift
    RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --package "$crate" "$@" --target-dir "$target/doc-json" -- \
        -Zunstable-options --output-format json &&
        python3 scripts/doc_examples.py "$target/doc-json/doc/${crate//-/_}.json"
}

# Sources, examples, licences, what cargo adds: and nothing else.
contents() {
    local crate=$1 list file
    list=$(cargo package --quiet --list --allow-dirty --package "$crate") || return 1
    echo "$list"
    for file in Cargo.toml README.md LICENSE-MIT LICENSE-APACHE src/lib.rs; do
        grep -qx "$file" <<<"$list" || { echo "missing: $file"; return 1; }
    done
    ! grep -vE '^(src/.*\.rs|examples/.*\.rs|README\.md|LICENSE-(MIT|APACHE)|Cargo\.(toml|toml\.orig|lock)|\.cargo_vcs_info\.json)$' <<<"$list"
}

# The lowest Rust: stated once, and nothing of the standard library that is newer is called. (Whether the language
# itself is as old only that compiler can say; when it is installed, it is asked.)
lowest_rust() {
    local stated compiler
    stated=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    [ -n "$stated" ] || { echo "no rust-version in Cargo.toml"; return 1; }
    grep -q "^minimum=${stated#1.}$" scripts/setup.sh || { echo "scripts/setup.sh asks for another Rust than $stated"; return 1; }
    cargo clippy --quiet "${features[@]}" "${crates[@]/#/--package=}" --target-dir "$target" -- -D clippy::incompatible_msrv || return 1
    if compiler=$(rustup which --toolchain "$stated" cargo 2>/dev/null); then
        PATH=$(dirname "$compiler"):$PATH cargo check --quiet "${features[@]}" "${crates[@]/#/--package=}" --target-dir "$target/msrv"
    fi
}

examples() {
    cargo run --quiet --package memoman-core --features allocator-api2 --example budget &&
        cargo run --quiet --package memoman-global --example global
}

publish() { cargo publish --quiet --dry-run --allow-dirty "${crates[@]/#/--package=}" --target-dir "$target/publish"; }

# A stranger's crate that depends on ours by path, as `cargo add --path` writes it. Outside: cargo would enrol it here.
added_by_path() {
    local app=$work/stranger root=$PWD
    cargo new --quiet --vcs none --name stranger "$app" &&
        cp crates/memoman-global/examples/global.rs "$app/src/main.rs" &&
        (cd "$app" && cargo add --quiet --path "$root/crates/memoman-core" --features allocator-api2 &&
            cargo add --quiet --path "$root/crates/memoman-global" &&
            sed -i 's/global\.rs/main.rs/' src/main.rs && CARGO_TARGET_DIR=$app/target cargo run --quiet)
}

check documentation documentation
check links-are-resolved links_are_resolved
check examples-of-memoman-core every_item_has_an_example memoman-core --features allocator-api2
check examples-of-memoman-global every_item_has_an_example memoman-global
for crate in "${crates[@]}"; do
    check "contents-of-$crate" contents "$crate"
done
check lowest-rust lowest_rust
check examples-run examples
if [ "$mode" = publish ]; then
    check added-by-path added_by_path
    check publish-dry-run publish
fi
[ $failures -eq 0 ]
