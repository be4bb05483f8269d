//! The allocator's types for this crate and the C library: memoman-core's, or under
//! `--cfg memoman_debug` those of memoman-debug, which have the same interface.

#[cfg(memoman_debug)]
use debugged as imp;
#[cfg(not(memoman_debug))]
use plain as imp;

pub use imp::{Misuse, Refusal, Site, Step, Tlsf, Violation, at, here, walk};
pub use memoman_core::{Cursor, Pool, Stats};

/// Alignment of every payload.
pub(crate) const ALIGN: usize = Tlsf::ALIGN;
/// Bytes of a live block's header, which precedes its payload.
#[cfg(not(memoman_debug))]
pub(crate) const HEADER: usize = Tlsf::ALLOC_OVERHEAD;

#[cfg(not(memoman_debug))]
mod plain {
    pub use memoman_core::{Misuse, Refusal, Step, Tlsf, Violation};

    use core::ptr::NonNull;

    use memoman_core::Pool;

    /// A call site: only the debug library records one.
    #[derive(Clone, Copy)]
    pub struct Site;

    /// The caller of the exported function into which this is inlined.
    #[inline(always)]
    pub fn here() -> Site {
        Site
    }

    /// The instance, for a call from `_site`.
    #[inline(always)]
    pub fn at(tlsf: Tlsf, _site: Site) -> Tlsf {
        tlsf
    }

    /// [`Pool::walk`].
    ///
    /// # Safety
    /// The duties of [`Pool::walk`].
    pub unsafe fn walk(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: the caller keeps the duties of `Pool::walk`.
        unsafe { pool.walk(f) }
    }
}

#[cfg(memoman_debug)]
mod debugged {
    pub use memoman_debug::site::{Site, here};
    pub use memoman_debug::{DebugTlsf as Tlsf, Fault as Misuse, Refusal, Step, Violation};

    use core::ptr::NonNull;

    use memoman_core::Pool;

    /// The instance, for a call from `site`.
    #[inline(always)]
    pub fn at(tlsf: Tlsf, site: Site) -> Tlsf {
        tlsf.at(site)
    }

    /// [`Tlsf::walk_pool`].
    ///
    /// # Safety
    /// The duties of [`Tlsf::walk_pool`].
    pub unsafe fn walk(pool: Pool, f: &mut dyn FnMut(NonNull<u8>, usize, bool)) {
        // SAFETY: the caller keeps the duties of `Tlsf::walk_pool`.
        unsafe { Tlsf::walk_pool(pool, f) }
    }
}
