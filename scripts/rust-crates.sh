#!/usr/bin/env bash
# What crates.io and docs.rs do with the crates: scripts/rust-crates.sh quick|publish
#
#   quick    documentation without warnings, an example for each public item, the contents of each
#            package, the lowest Rust version, the examples
#   publish  these, a crate that depends on ours by path, and `cargo publish --dry-run`, which
#            builds each package as crates.io does (a minute, with the network)
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=crates
mode=${1:-}
case $mode in quick | publish) ;; *) misused "quick or publish" ;; esac
cd "$root"
crates=(memoman-core memoman-debug memoman-global)
features=(--features memoman-core/allocator-api2)

documentation() {
    RUSTDOCFLAGS='-D warnings' cargo doc --quiet --no-deps "${features[@]}" \
        "${crates[@]/#/--package=}"
}

# A link to a hidden item is no warning of rustdoc's, but stays in the page as text.
links_are_resolved() {
    local crate
    for crate in "${crates[@]//-/_}"; do
        python3 docs/tools/links.py --rustdoc "$target/doc/$crate" || return 1
    done
}

# rustdoc lists the items; its switch is named for the nightly toolchain.
every_item_has_an_example() {
    local crate=$1
    shift
    RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --package "$crate" "$@" \
        --target-dir "$target/doc-json" -- -Zunstable-options --output-format json &&
        python3 scripts/doc_examples.py "$target/doc-json/doc/${crate//-/_}.json"
}

# Sources, examples, licences and cargo's own files, nothing else.
contents() {
    local crate=$1 list file
    list=$(cargo package --quiet --list --allow-dirty --package "$crate") || return 1
    echo "$list"
    for file in Cargo.toml README.md LICENSE-MIT LICENSE-APACHE src/lib.rs; do
        grep -qx "$file" <<<"$list" || { echo "missing: $file"; return 1; }
    done
    file='src/.*\.rs|examples/.*\.rs|README\.md|LICENSE-(MIT|APACHE)'
    ! grep -vE "^($file|Cargo\\.(toml|toml\\.orig|lock)|\\.cargo_vcs_info\\.json)\$" <<<"$list"
}

# The lowest Rust: nothing newer of the standard library is called. Only that compiler knows whether
# the language is as old: it builds the crates if it is installed.
lowest_rust() {
    local stated compiler
    stated=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    [ -n "$stated" ] || { echo "no rust-version in Cargo.toml"; return 1; }
    cargo clippy --quiet "${features[@]}" "${crates[@]/#/--package=}" --target-dir "$target" \
        -- -D clippy::incompatible_msrv || return 1
    if compiler=$(rustup which --toolchain "$stated" cargo 2>/dev/null); then
        PATH=$(dirname "$compiler"):$PATH cargo check --quiet "${features[@]}" \
            "${crates[@]/#/--package=}" --target-dir "$target/msrv"
    fi
}

examples() {
    cargo run --quiet --package memoman-core --features allocator-api2 --example budget &&
        cargo run --quiet --package memoman-global --example global
}

publish() {
    cargo publish --quiet --dry-run --allow-dirty "${crates[@]/#/--package=}" \
        --target-dir "$target/publish"
}

# A stranger's crate that depends on ours by path, as `cargo add --path` writes it. It lies outside
# this workspace, which would take it in.
added_by_path() {
    local app=$work/stranger
    cargo new --quiet --vcs none --name stranger "$app" &&
        cp crates/memoman-global/examples/global.rs "$app/src/main.rs" &&
        (cd "$app" &&
            cargo add --quiet --path "$root/crates/memoman-core" --features allocator-api2 &&
            cargo add --quiet --path "$root/crates/memoman-global" &&
            sed -i 's/global\.rs/main.rs/' src/main.rs &&
            CARGO_TARGET_DIR=$app/target cargo run --quiet)
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
finish
