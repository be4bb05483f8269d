//! The memory of a program, and its blocks as a walk finds them.

use crate::ops::ARENA;
use crate::support::Region;
use memoman_core::Tlsf;

/// One range of memory for control structure and pools, with guards around it.
pub(crate) struct Arena(Region);

impl Arena {
    pub(crate) fn new() -> Arena {
        Arena(Region::new(ARENA, 0, 0xFF))
    }

    pub(crate) fn at(&self, offset: usize) -> *mut u8 {
        self.0.start().wrapping_add(offset)
    }

    /// The offset of an address in an image.
    pub(crate) fn offset(&self, address: usize) -> usize {
        address - self.0.start().addr()
    }

    pub(crate) fn copy_to(&self, image: &mut Vec<u8>) {
        image.clear();
        // SAFETY: the arena is initialised, and no reference into it is held.
        image.extend_from_slice(unsafe { std::slice::from_raw_parts(self.0.start(), ARENA) });
    }

    pub(crate) fn load(&self, image: &[u8]) {
        assert_eq!(image.len(), ARENA);
        // SAFETY: the image has as many bytes as the arena.
        unsafe {
            self.0
                .start()
                .copy_from_nonoverlapping(image.as_ptr(), ARENA)
        };
    }

    /// Panics if a byte outside `owned` (ranges of addresses) differs from the image.
    pub(crate) fn assert_untouched_outside(&self, image: &[u8], mut owned: Vec<(usize, usize)>) {
        owned.sort_unstable();
        owned.push((self.at(ARENA).addr(), usize::MAX));
        let mut from = self.at(0).addr();
        for (start, end) in owned {
            if start > from {
                let at = self.offset(from);
                // SAFETY: inside the arena.
                let now = unsafe { std::slice::from_raw_parts(self.at(at), start - from) };
                assert!(
                    now == &image[at..][..start - from],
                    "a byte outside the heap was written"
                );
            }
            from = from.max(end);
        }
    }
}

/// A block found by the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) addr: usize,
    /// Header included.
    pub(crate) size: usize,
    pub(crate) used: bool,
}

/// All blocks of an instance, in address order.
pub(crate) fn walk(tlsf: Tlsf) -> Vec<Seen> {
    let mut seen = Vec::new();
    // SAFETY: the tests' instances are live.
    unsafe {
        let mut pool = tlsf.first_pool();
        while let Some(this) = pool {
            this.walk(&mut |ptr, bytes, used| {
                seen.push(Seen {
                    addr: ptr.as_ptr().addr(),
                    size: bytes + Tlsf::ALLOC_OVERHEAD,
                    used,
                });
            });
            pool = tlsf.next_pool(this);
        }
    }
    seen
}

fn word(tag: u64, index: usize) -> u64 {
    let z = (tag ^ (index as u64) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (z ^ (z >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1
}

/// Fills a live block with contents that differ at every place, so that moved contents show too.
pub(crate) fn fill(ptr: *mut u8, bytes: usize, tag: u64) {
    for i in 0..bytes / 8 {
        // SAFETY: a live block of `bytes` bytes (caller).
        unsafe {
            ptr.add(8 * i)
                .cast::<u64>()
                .write_unaligned(word(tag, i).to_le());
        };
    }
    let tail = bytes & !7;
    for (i, byte) in word(tag, tail / 8)
        .to_le_bytes()
        .into_iter()
        .take(bytes - tail)
        .enumerate()
    {
        // SAFETY: inside the same block (caller).
        unsafe { ptr.add(tail + i).write(byte) };
    }
}

/// The first `bytes` bytes are unchanged since [`fill`].
pub(crate) fn is_filled(ptr: *const u8, bytes: usize, tag: u64) -> bool {
    let whole = (0..bytes / 8).all(|i| {
        // SAFETY: a live, initialised block of `bytes` bytes (caller).
        u64::from_le(unsafe { ptr.add(8 * i).cast::<u64>().read_unaligned() }) == word(tag, i)
    });
    let tail = bytes & !7;
    let rest = word(tag, tail / 8).to_le_bytes();
    // SAFETY: inside the same block (caller).
    whole && (tail..bytes).all(|i| unsafe { ptr.add(i).read() } == rest[i - tail])
}
