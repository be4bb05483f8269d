//! Names the shim: tools choose a library by its SONAME, for example valgrind's
//! `--soname-synonyms`. (`scripts/build-lib.sh` adds layout.ld where the linker takes it.)

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=layout.ld");
    let name = match std::env::var_os("CARGO_CFG_MEMOMAN_DEBUG") {
        Some(_) => "libmemoman_preload-debug.so",
        None => "libmemoman_preload.so",
    };
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{name}");
}
