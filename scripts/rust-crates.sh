#!/usr/bin/env bash
# What crates.io and docs.rs do with the crates: scripts/rust-crates.sh quick|publish
#
#   quick    documentation without warnings, an example for each public item, the contents of each
#            package, the lowest Rust version, the examples
#   publish  these, a crate and a firmware made by the documentation's commands, the nightly
#            feature, the names on crates.io, and `cargo publish --dry-run`, which builds each
#            package as crates.io does (three minutes, with the network; scripts/setup.sh
#            check-crates installs the tools)
set -uo pipefail
. "$(dirname "$0")/lib.sh"
group=crates
mode=${1:-}
case $mode in quick | publish) ;; *) misused "quick or publish" ;; esac
cd "$root"
crates=(memoman-core memoman-debug memoman-global)
optional=allocator-api2,allocator-api2-02,allocator-api2-03,critical-section
features=(--features "memoman-core/${optional//,/,memoman-core/}")

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
        python3 docs/tools/examples.py "$target/doc-json/doc/${crate//-/_}.json"
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

# In the profile whose packages the tests have compiled.
examples() {
    cargo run -q --profile test -p memoman-core --features allocator-api2 --example budget &&
        cargo run -q --profile test -p memoman-global --example global
}

publish() {
    cargo publish --quiet --dry-run --allow-dirty "${crates[@]/#/--package=}" \
        --target-dir "$target/publish"
}

# section TITLE, rust_block, added: a section of docs/book/rust.md, its program, its `cargo add`s.
section() { sed -n "/^$1/,/^## /p" "$root/docs/book/rust.md"; }
rust_block() { sed -n '/^```rust/,/^```$/{//!p}'; }
added() { sed -n "s,^\\$ cargo add,cargo add --quiet,; s,…/memoman,$root,; /^cargo add/p"; }

# A stranger's crate, made by the commands of docs/book/rust.md: no version is stated. It lies
# outside this workspace, which would take it in. It runs the page's collections and the example of
# memoman-global.
added_by_path() {
    local app=$work/stranger
    cargo new --quiet --vcs none --name stranger "$app" && mkdir "$app/src/bin" &&
        sed 's/global\.rs/main.rs/' crates/memoman-global/examples/global.rs >"$app/src/main.rs" &&
        section '## Collections' | rust_block >"$app/src/bin/collections.rs" &&
        section '# From Rust' | added >"$work/commands" &&
        [ "$(wc -l <"$work/commands")" -ge 3 ] &&
        (cd "$app" && bash -e "$work/commands" && export CARGO_TARGET_DIR=$app/target &&
            cargo run --quiet --bin stranger && cargo run --quiet --bin collections)
}

# The page's firmware on the micro:bit of QEMU, by Debian's Rust. It ends there, also on a panic.
firmware_by_path() (
    app=$work/firmware
    cargo new --quiet --vcs none --name firmware "$app" && cd "$app" || exit 1
    section '## A microcontroller' | added >"$work/commands"
    [ "$(wc -l <"$work/commands")" -ge 3 ] || { echo "no commands on the page"; exit 1; }
    section '## A microcontroller' | rust_block | sed 's/panic_halt/panic_semihosting/
        s/^    loop {}/    cortex_m_semihosting::debug::exit(Ok(()));\n&/' >src/main.rs
    printf '%s\n' 'MEMORY {' 'FLASH : ORIGIN = 0, LENGTH = 256K' \
        'RAM : ORIGIN = 0x20000000, LENGTH = 16K' '}' >memory.x
    bash -e "$work/commands" && cargo add --quiet cortex-m-semihosting &&
        cargo add --quiet panic-semihosting --features exit &&
        env PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 \
            CARGO_TARGET_THUMBV6M_NONE_EABI_LINKER=arm-none-eabi-ld \
            CARGO_TARGET_THUMBV6M_NONE_EABI_RUSTFLAGS=-Clink-arg=-Tlink.x \
            cargo build --quiet --release --target thumbv6m-none-eabi \
            -Zbuild-std=core,alloc,compiler_builtins --target-dir "$target/firmware-by-path" &&
        timeout 60 qemu-system-arm -M microbit -display none -serial none -monitor none \
            -semihosting-config enable=on,target=native </dev/null \
            -kernel "$target/firmware-by-path/thumbv6m-none-eabi/release/firmware"
)

# The traits of a nightly toolchain; this one's switch is named for it.
nightly() {
    RUSTC_BOOTSTRAP=1 cargo test --quiet --package memoman-core --features nightly,allocator-api2 \
        --test heap --target-dir "$target/nightly" calls_of_nightly | tee "$work/nightly" &&
        grep -q '1 passed' "$work/nightly"
}

# The names on crates.io are free, or ours by their repository.
names_are_free() {
    local crate
    for crate in "${crates[@]}"; do
        if cargo info --registry crates-io "$crate" >"$work/info" 2>&1; then
            grep -q '^repository: .*memoman' "$work/info" ||
                { echo "$crate is another project's on crates.io: choose another name"; return 1; }
        else
            grep -q 'could not find' "$work/info" || { cat "$work/info"; return 1; }
        fi
    done
}

check documentation documentation
check links-are-resolved links_are_resolved
check examples-of-memoman-core every_item_has_an_example memoman-core --features "$optional"
check examples-of-memoman-global every_item_has_an_example memoman-global
for crate in "${crates[@]}"; do
    check "contents-of-$crate" contents "$crate"
done
check lowest-rust lowest_rust
check examples-run examples
if [ "$mode" = publish ]; then
    check added-by-path added_by_path
    check firmware-by-path firmware_by_path
    check nightly nightly
    check names-are-free names_are_free
    check publish-dry-run publish
fi
finish
