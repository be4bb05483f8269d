//! The allocators, each a library to preload.

use std::path::{Path, PathBuf};

/// An allocator and its library; glibc has none.
pub(crate) struct Allocator {
    pub(crate) name: &'static str,
    pub(crate) library: Option<PathBuf>,
}

/// The shim, glibc, and those of Debian's packages and the two crates of benches/peers that are
/// installed; a line on stderr names each missing one.
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
    // Libraries of benches/peers.
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
