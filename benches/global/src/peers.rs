//! The allocators that are compared: each is preloaded.

use std::path::{Path, PathBuf};

/// An allocator, and the library that is preloaded for it.
pub(crate) struct Allocator {
    pub(crate) name: &'static str,
    pub(crate) library: Option<PathBuf>,
}

/// The peers that are installed: glibc, which is always there, Debian's packages, and two from crates.
pub(crate) fn allocators(shim: &Path) -> Vec<Allocator> {
    let mut found = vec![
        Allocator {
            name: "memoman",
            library: Some(shim.to_owned()),
        },
        Allocator {
            name: "glibc",
            library: None,
        },
    ];
    let debian = Path::new("/usr/lib").join(format!("{}-linux-gnu", std::env::consts::ARCH));
    // The last two are built from crates, by benches/peers/.
    let built = record::root().join("target/benches/release");
    for (name, folder, file) in [
        ("jemalloc", &debian, "libjemalloc.so.2"),
        ("tcmalloc", &debian, "libtcmalloc_minimal.so.4"),
        ("mimalloc", &debian, "libmimalloc.so.2.0"),
        ("mimalloc-3", &built, "libpeer_mimalloc.so"),
        ("snmalloc", &built, "libpeer_snmalloc.so"),
    ] {
        let library = folder.join(file);
        if library.exists() {
            found.push(Allocator {
                name,
                library: Some(library),
            });
        } else {
            eprintln!("global: {name} is not installed: no {}", library.display());
        }
    }
    found
}
