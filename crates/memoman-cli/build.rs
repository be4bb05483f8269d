//! With the feature `peers`: compiles o1heap, from the C source in its crate.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "peers")]
    peers();
}

#[cfg(feature = "peers")]
fn peers() {
    use std::env;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let output = Command::new(env::var_os("CARGO").expect("cargo sets it"))
        .args(["metadata", "--format-version", "1", "--manifest-path"])
        .arg(here.join("Cargo.toml"))
        .output()
        .expect("cargo metadata runs");
    let metadata = String::from_utf8(output.stdout).expect("cargo metadata writes UTF-8");
    // The one package whose manifest lies in a folder of that name.
    let manifest = metadata
        .split("\"manifest_path\":\"")
        .filter_map(|rest| rest.split_once('"'))
        .map(|(path, _)| Path::new(path))
        .find(|path| {
            path.parent()
                .is_some_and(|folder| folder.ends_with("o1heap-0.0.2"))
        })
        .expect("o1heap is a dependency");
    let folder = manifest.parent().expect("a manifest lies in a folder");
    let source = folder.join("o1heap/o1heap");
    cc::Build::new()
        .file(source.join("o1heap.c"))
        .include(&source)
        .define("O1HEAP_ASSERT(x)", "(void)(x)")
        .opt_level(3)
        .warnings(false)
        .compile("o1heap");
}
