//! The allocators that are compared: each is preloaded.

use std::path::{Path, PathBuf};

/// An allocator, and the library that is preloaded for it.
pub(crate) struct Allocator {
    pub(crate) name: &'static str,
    pub(crate) library: Option<PathBuf>,
}

/// The peers that are installed: glibc, which is always there, and Debian's packages.
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
    for (name, file) in [
        ("jemalloc", "libjemalloc.so.2"),
        ("tcmalloc", "libtcmalloc_minimal.so.4"),
        ("mimalloc", "libmimalloc.so.2.0"),
    ] {
        let library = Path::new("/usr/lib")
            .join(format!("{}-linux-gnu", std::env::consts::ARCH))
            .join(file);
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
