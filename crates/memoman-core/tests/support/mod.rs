//! Shared by the core's tests: memory with guard bytes, a seeded generator, a checked instance.
#![allow(dead_code, reason = "each test file uses its part")]

#[cfg(all(not(memoman_small), target_pointer_width = "64"))]
pub(crate) mod cache;
pub(crate) mod fronts;
pub(crate) mod one_pool;
pub(crate) mod pools;

use memoman_core::{Stats, Tlsf};
use std::alloc::{Layout, alloc, dealloc};

/// Guard bytes on both sides of a region: the allocator must never touch them.
const GUARD: usize = 64;
const GUARD_BYTE: u8 = 0xA5;

/// A region of caller memory at a chosen offset from a 64-byte boundary, filled with `fill`,
/// between guards.
pub(crate) struct Region {
    base: *mut u8,
    layout: Layout,
    offset: usize,
    bytes: usize,
}

impl Region {
    pub(crate) fn new(bytes: usize, offset: usize, fill: u8) -> Region {
        let layout = Layout::from_size_align(bytes + offset + 2 * GUARD, 4096).unwrap();
        // SAFETY: the layout is not empty.
        let base = unsafe { alloc(layout) };
        assert!(!base.is_null());
        // SAFETY: the whole allocation belongs to this value.
        unsafe {
            base.write_bytes(GUARD_BYTE, layout.size());
            base.add(GUARD + offset).write_bytes(fill, bytes);
        }
        Region {
            base,
            layout,
            offset,
            bytes,
        }
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.base.wrapping_add(GUARD + self.offset)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn image(&self) -> Vec<u8> {
        // SAFETY: the region is initialised.
        unsafe { std::slice::from_raw_parts(self.start(), self.bytes) }.to_vec()
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let front = GUARD + self.offset;
        // SAFETY: the whole allocation belongs to this value and is initialised.
        unsafe {
            let all = std::slice::from_raw_parts(self.base, self.layout.size());
            let untouched = all[..front]
                .iter()
                .chain(&all[front + self.bytes..])
                .all(|&byte| byte == GUARD_BYTE);
            dealloc(self.base, self.layout);
            assert!(
                untouched || std::thread::panicking(),
                "bytes outside the region were written"
            );
        }
    }
}

/// A random generator with a printed seed (splitmix64, Steele, Lea, Flood, OOPSLA 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Asserts that the heap is sound and the counters equal what a walk finds.
pub(crate) fn assert_sound(tlsf: Tlsf) -> Stats {
    // SAFETY: the tests' instances are live.
    unsafe {
        assert_eq!(tlsf.diagnose(), None);
        let stats = tlsf.stats();
        assert_eq!(stats.used + stats.free + stats.overhead, stats.pool_bytes);
        let (mut used, mut free, mut live, mut bytes) = (0, 0, 0, 0);
        let mut pool = tlsf.first_pool();
        while let Some(this) = pool {
            bytes += this.memory().1;
            this.walk(&mut |_, size, in_use| {
                if in_use {
                    used += size + Tlsf::ALLOC_OVERHEAD;
                    live += 1;
                } else {
                    free += size + Tlsf::ALLOC_OVERHEAD;
                }
            });
            pool = tlsf.next_pool(this);
        }
        assert_eq!(
            (stats.used, stats.free, stats.live_blocks, stats.pool_bytes),
            (used, free, live, bytes)
        );
        assert!(stats.peak >= stats.used);
        stats
    }
}

/// An instance with a control structure of its own for requests up to `max_block`.
pub(crate) struct Instance {
    pub(crate) tlsf: Tlsf,
    _control: Region,
}

impl Instance {
    pub(crate) fn new(max_block: usize) -> Instance {
        let control = Region::new(Tlsf::control_size(max_block), 0, 0xFF);
        // SAFETY: the region may be written and is large enough.
        let tlsf = unsafe { Tlsf::create(control.start(), max_block) }.unwrap();
        Instance {
            tlsf,
            _control: control,
        }
    }
}
