//! Shared by the tests of pools.

use super::{Region, assert_sound};
use memoman_core::{Pool, Stats, Tlsf};

pub(crate) fn add(tlsf: Tlsf, start: *mut u8, bytes: usize) -> Option<Pool> {
    // SAFETY: the tests' instances are live; each region outlives its use.
    unsafe { tlsf.add_pool(start, bytes) }
}

/// The pools' starts in list order; `assert_sound` tests the links in the other direction.
pub(crate) fn starts(tlsf: Tlsf) -> Vec<usize> {
    let mut found = Vec::new();
    // SAFETY: live instance.
    unsafe {
        let mut pool = tlsf.first_pool();
        while let Some(this) = pool {
            found.push(this.as_raw().addr());
            pool = tlsf.next_pool(this);
        }
    }
    found
}

/// Usable bytes and "in use" of each block of a pool.
pub(crate) fn blocks(pool: Pool) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    // SAFETY: live pool.
    unsafe { pool.walk(&mut |_, size, used| found.push((size, used))) };
    found
}

/// Runs a call that must be refused, and asserts that control structure, counters and pools are
/// unchanged.
pub(crate) fn unchanged(tlsf: Tlsf, regions: &[&Region], what: &str, act: impl FnOnce() -> bool) {
    let image = || -> (Stats, Vec<usize>, Vec<Vec<u8>>) {
        let regions = regions.iter().map(|region| region.image()).collect();
        (assert_sound(tlsf), starts(tlsf), regions)
    };
    let before = image();
    assert!(!act(), "{what}: not refused");
    assert!(before == image(), "{what}: changed something");
}
