//! Links the release archive of memoman, and o1heap, compiled from the C source in its crate.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let root = here
        .ancestors()
        .nth(2)
        .expect("benches/compare lies two levels deep");
    let archive = root.join("dist/libmemoman.a");
    println!("cargo::rerun-if-changed={}", archive.display());
    println!("cargo::rerun-if-changed=build.rs");
    if !archive.exists() {
        println!("cargo::error={} is missing: run `make`", archive.display());
        return;
    }
    println!(
        "cargo::rustc-link-search=native={}",
        root.join("dist").display()
    );
    println!("cargo::rustc-link-lib=static=memoman");

    let source = o1heap(&here);
    cc::Build::new()
        .file(source.join("o1heap.c"))
        .include(&source)
        .define("O1HEAP_ASSERT(x)", "(void)(x)")
        .opt_level(3)
        .warnings(false)
        .compile("o1heap");
}

/// The folder of o1heap.c in cargo's copy of the crate.
fn o1heap(here: &Path) -> PathBuf {
    let cargo = env::var_os("CARGO").expect("cargo sets it");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(here.join("Cargo.toml"))
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON");
    let manifest = metadata["packages"]
        .as_array()
        .and_then(|packages| packages.iter().find(|package| package["name"] == "o1heap"))
        .and_then(|package| package["manifest_path"].as_str())
        .expect("o1heap is a dependency");
    Path::new(manifest)
        .parent()
        .expect("a manifest lies in a folder")
        .join("o1heap/o1heap")
}
