//! Slots for kept mappings. A compare-exchange on a slot decides which thread gets its mapping: no
//! thread waits, and a fork finds every slot whole.

use crate::process::mapping_word::{Mapping, STEP};
use crate::system::sync::{AtomicUsize, Ordering};

/// More would cost a search more than they save.
const SLOTS: usize = if cfg!(loom) { 2 } else { 64 };
/// Bits of a slot for the size, in steps; the rest is the start, in steps.
const SIZE_BITS: u32 = if cfg!(target_pointer_width = "64") {
    16
} else {
    12
};
/// The largest mapping that a slot can describe.
pub(crate) const BYTES_MOST: usize = ((1 << SIZE_BITS) - 1) * STEP;

/// Each is 0 or describes a mapping, which belongs to the thread that empties the slot.
pub(crate) struct Slots {
    slots: [AtomicUsize; SLOTS],
    /// No slot from here on is in use: a search ends here. It only grows.
    end: AtomicUsize,
}

fn pack(mapping: Mapping) -> usize {
    ((mapping.start / STEP) << SIZE_BITS) | (mapping.bytes / STEP)
}

fn unpack(slot: usize) -> Mapping {
    Mapping {
        start: (slot >> SIZE_BITS) * STEP,
        bytes: slot % (1 << SIZE_BITS) * STEP,
    }
}

impl Slots {
    #[cfg(not(all(loom, test)))]
    pub(crate) const fn new() -> Slots {
        Slots {
            slots: [const { AtomicUsize::new(0) }; SLOTS],
            end: AtomicUsize::new(0),
        }
    }

    /// loom's atomics have no constant constructor.
    #[cfg(all(loom, test))]
    pub(crate) fn new() -> Slots {
        Slots {
            slots: core::array::from_fn(|_| AtomicUsize::new(0)),
            end: AtomicUsize::new(0),
        }
    }

    fn used(&self) -> &[AtomicUsize] {
        let end = self.end.load(Ordering::Relaxed);
        self.slots.get(..end).unwrap_or(&self.slots)
    }

    /// Number and bytes of the mappings here: of one moment only if no other thread puts or takes.
    pub(crate) fn contents(&self) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for slot in self.used() {
            let slot = unpack(slot.load(Ordering::Relaxed)).bytes;
            count += usize::from(slot > 0);
            bytes += slot;
        }
        (count, bytes)
    }

    /// Puts a mapping of at most [`BYTES_MOST`] in, which then belongs to the thread that takes it.
    /// Returns the mapping that is left over: this one, or a smaller one that was here. O(slots).
    pub(crate) fn put(&self, mapping: Mapping) -> Option<Mapping> {
        let (mut least, mut least_seen) = (None, usize::MAX);
        for (index, slot) in self.slots.iter().enumerate() {
            let seen = slot.load(Ordering::Relaxed);
            if seen == 0 {
                if index >= self.end.load(Ordering::Relaxed) {
                    self.end.fetch_max(index + 1, Ordering::Relaxed);
                }
                if exchanged(slot, 0, pack(mapping)) {
                    return None;
                }
                continue;
            }
            let bytes = unpack(seen).bytes;
            if bytes < mapping.bytes.min(least_seen) {
                (least, least_seen) = (Some((slot, seen)), bytes);
            }
        }
        match least {
            Some((slot, seen)) if exchanged(slot, seen, pack(mapping)) => Some(unpack(seen)),
            _ => Some(mapping),
        }
    }

    /// Takes a mapping out: the smallest of at least `bytes`; else, with `or_less`, the largest of
    /// at least `or_less`. None if there is none, or other threads are faster every time. O(slots).
    pub(crate) fn take(&self, bytes: usize, or_less: Option<usize>) -> Option<Mapping> {
        self.take_aligned(bytes, or_less, 1)
    }

    /// [`take`](Slots::take) of a mapping that begins at a multiple of `align`, a power of two.
    pub(crate) fn take_aligned(
        &self,
        bytes: usize,
        or_less: Option<usize>,
        align: usize,
    ) -> Option<Mapping> {
        for _ in 0..2 {
            let mut best: Option<(&AtomicUsize, usize)> = None;
            let mut best_bytes = 0;
            for slot in self.used() {
                let seen = slot.load(Ordering::Relaxed);
                let Mapping { start, bytes: new } = unpack(seen);
                if align > 1 && start & (align - 1) != 0 {
                    continue;
                }
                let better = if best_bytes >= bytes && best_bytes > 0 {
                    new >= bytes && new < best_bytes
                } else {
                    new > best_bytes && new >= or_less.unwrap_or(bytes).min(bytes)
                };
                if better && seen != 0 {
                    (best, best_bytes) = (Some((slot, seen)), new);
                }
                if best_bytes == bytes && bytes > 0 {
                    break;
                }
            }
            let (slot, seen) = best?;
            if exchanged(slot, seen, 0) {
                return Some(unpack(seen));
            }
        }
        None
    }

    /// Takes out the mapping that begins at this address, if it has `bytes`. O(slots).
    pub(crate) fn take_at(&self, start: usize, bytes: usize) -> Option<Mapping> {
        let slot = self.used().iter().find_map(|slot| {
            let seen = slot.load(Ordering::Relaxed);
            (seen != 0 && unpack(seen).start == start).then_some((slot, seen))
        });
        let (slot, seen) = slot?;
        let fits = unpack(seen).bytes >= bytes;
        (fits && exchanged(slot, seen, 0)).then(|| unpack(seen))
    }

    /// Takes out a mapping that ends where this one begins, or begins where it ends, unless both
    /// together are too large for a slot. O(slots).
    pub(crate) fn take_beside(&self, mapping: Mapping) -> Option<Mapping> {
        for slot in self.used() {
            let seen = slot.load(Ordering::Relaxed);
            let other = unpack(seen);
            let beside = other.start == mapping.end() || other.end() == mapping.start;
            let fits = other.bytes <= BYTES_MOST - mapping.bytes;
            if seen != 0 && beside && fits && exchanged(slot, seen, 0) {
                return Some(other);
            }
        }
        None
    }

    /// A mapping has fewer bytes. O(slots).
    #[cfg(any(feature = "late-checks", test))]
    pub(crate) fn any_below(&self, bytes: usize) -> bool {
        let least = 1..bytes;
        self.used()
            .iter()
            .any(|slot| least.contains(&unpack(slot.load(Ordering::Relaxed)).bytes))
    }

    /// The number of slots.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

/// The slot held `seen` and holds `new`.
fn exchanged(slot: &AtomicUsize, seen: usize, new: usize) -> bool {
    // Start and size are all that describes a mapping, so one that was taken and put back meanwhile
    // is the same. Acquire and Release: its contents and its word in the map go with it.
    slot.compare_exchange(seen, new, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}
