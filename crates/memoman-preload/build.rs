//! Names the shim: tools choose a library by its SONAME, for example valgrind's
//! `--soname-synonyms`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let name = match std::env::var_os("CARGO_CFG_MEMOMAN_DEBUG") {
        Some(_) => "libmemoman_preload-debug.so",
        None => "libmemoman_preload.so",
    };
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{name}");
}
