//! Names the shim: tools choose a library by its SONAME, for example valgrind's
//! `--soname-synonyms`. Lays it out.

use std::env::var_os;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=layout.ld");
    let is = |name: &str, value: &str| var_os(name).is_some_and(|found| found == value);
    let debug = var_os("CARGO_CFG_MEMOMAN_DEBUG").is_some();
    let name = match debug {
        true => "libmemoman_preload-debug.so",
        false => "libmemoman_preload.so",
    };
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{name}");
    if !debug
        && is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64")
    {
        let folder = var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!(
            "cargo::rustc-cdylib-link-arg=-Wl,-T,{}/layout.ld",
            folder.display()
        );
    }
}
