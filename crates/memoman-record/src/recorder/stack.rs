//! The numbers of a stream's stacks: each distinct stack is defined once in the stream.

use core::ptr;
use core::sync::atomic::{Ordering, compiler_fence};

use memoman_trace_format::layout::op;
use memoman_trace_format::number;

use super::lane::Lane;
use super::number::put_number;
use super::walk::Walker;

use super::{modules, rules, settings, unwind};

/// The stacks that are defined: an open-addressed table from a 64-bit hash to a number. Two stacks
/// of one hash count as one.
pub(crate) struct Stacks {
    table: Table,
    count: u32,
    /// The stack of the present event: here, because an array in a frame would be cleared for each.
    room: [usize; unwind::ROOM],
    walker: Walker,
}

struct Table {
    entries: *mut Entry,
    /// A power of two, or 0 without entries.
    capacity: usize,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    /// 0 for an empty entry.
    hash: u64,
    number: u64,
}

const FIRST: usize = 1 << 10;

impl Stacks {
    /// The stacks are those of another file.
    pub(crate) fn forget(&mut self) {
        if !self.table.entries.is_null() {
            unmap(self.table.entries, self.table.capacity);
        }
        self.table = Table {
            entries: ptr::null_mut(),
            capacity: 0,
        };
        self.count = 0;
    }

    /// The stream has another thread.
    pub(crate) fn enter(&mut self) {
        self.walker.forget();
    }

    /// The number of the calling thread's stack, 0 when it has none. Defines it in the lane, which
    /// has room for that.
    pub(crate) fn number(&mut self, lane: &mut Lane) -> u64 {
        let most = settings::stacks() as usize;
        if rules::are_there()
            && let Some(addresses) = self.walker.walk(most)
        {
            let innermost_first = addresses.iter().rev().copied();
            return self
                .table
                .number(&mut self.count, lane, addresses, innermost_first);
        }
        let range = unwind::addresses(&mut self.room, most);
        let addresses = &self.room[range];
        let innermost_first = addresses.iter().copied();
        self.table
            .number(&mut self.count, lane, addresses, innermost_first)
    }
}

impl Table {
    /// The number of a stack, which is new when its hash is: the addresses in an order of the
    /// caller's, and the innermost first.
    #[inline(always)]
    fn number(
        &mut self,
        count: &mut u32,
        lane: &mut Lane,
        addresses: &[usize],
        innermost_first: impl ExactSizeIterator<Item = usize>,
    ) -> u64 {
        if addresses.is_empty() {
            return 0;
        }
        let hash = hash(addresses);
        if *count as usize * 2 >= self.capacity && !self.grow() {
            return 0;
        }
        let entry = self.find(hash);
        // SAFETY: an entry of the table.
        unsafe {
            if (*entry).hash != 0 {
                return (*entry).number;
            }
            *count += 1;
            define(lane, innermost_first);
            *entry = Entry {
                hash,
                number: u64::from(*count),
            };
        }
        modules::write_if_new();
        u64::from(*count)
    }

    /// The entry of a hash, or the empty one where it belongs. The table is at most half full.
    fn find(&self, hash: u64) -> *mut Entry {
        let mask = self.capacity - 1;
        let mut at = (hash >> 20) as usize & mask;
        loop {
            // SAFETY: `at` is below the capacity.
            let entry = unsafe { self.entries.add(at) };
            // SAFETY: as above.
            let found = unsafe { (*entry).hash };
            if found == hash || found == 0 {
                return entry;
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) -> bool {
        let capacity = if self.capacity == 0 {
            FIRST
        } else {
            self.capacity * 4
        };
        // SAFETY: a new mapping.
        let mapped = unsafe {
            libc::mmap(
                ptr::null_mut(),
                capacity * size_of::<Entry>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if mapped == libc::MAP_FAILED {
            return false;
        }
        let (old, before) = (self.entries, self.capacity);
        (self.entries, self.capacity) = (mapped.cast(), capacity);
        for at in 0..before {
            // SAFETY: an entry of the old table, which moves to the new one.
            unsafe {
                let entry = *old.add(at);
                if entry.hash != 0 {
                    *self.find(entry.hash) = entry;
                }
            }
        }
        if !old.is_null() {
            unmap(old, before);
        }
        true
    }
}

fn unmap(entries: *mut Entry, capacity: usize) {
    // SAFETY: a mapping of `grow`, which is not used any more.
    unsafe { libc::munmap(entries.cast(), capacity * size_of::<Entry>()) };
}

/// A hash that is not 0. Four sums run beside each other: each multiplication waits for the one
/// before it.
fn hash(addresses: &[usize]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(FACTOR).rotate_left(29);
    let mut sums = [addresses.len() as u64, 1, 2, 3];
    let fours = addresses.chunks_exact(sums.len());
    let rest = fours.remainder();
    for four in fours.chain(core::iter::once(rest)) {
        for (sum, &address) in sums.iter_mut().zip(four) {
            *sum = mix(*sum, address as u64);
        }
    }
    let whole = sums.into_iter().fold(0, mix);
    (whole ^ whole >> 32) | 1
}

/// Writes the definition of the stream's next stack.
#[cold]
#[inline(never)]
fn define(lane: &mut Lane, addresses: impl ExactSizeIterator<Item = usize>) {
    // SAFETY: the lane has room for the longest record and an event behind it.
    unsafe {
        let mut at = put_number(lane.at.add(1), addresses.len() as u64);
        let mut before = 0;
        for address in addresses {
            at = put_number(at, number::difference(before, address as u64, true));
            before = address as u64;
        }
        compiler_fence(Ordering::Release);
        lane.at.write(op::PRESENT | op::DEFINE);
        lane.at = at;
    }
}
